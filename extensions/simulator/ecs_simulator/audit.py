# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit log: what callers asked for and what machines did, as JSON lines in the order it happened."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TextIO, get_args

from ecs_simulator.clock import Clock, iso_milliseconds
from ecs_simulator.errors import SimulatorError

MachineEvent = Literal[
    "boot",
    "shutdown",
    "command_start",
    "command_end",
    "agent_up",
    "agent_down",
    "agent_offline",
    "agent_online",
    "report_lost",
    "file_received",
    "syslog",
    "created",
    "released",
    "system_event",
    "boot_stuck",
]
MACHINE_EVENTS: tuple[str, ...] = get_args(MachineEvent)


class Audit:
    """Appends events to a file, one JSON object a line; without a file it forgets them.

    ``on_machine`` is called with the instance's id, the event and its text, if any, after each machine event.
    """

    def __init__(self, clock: Clock, path: Path | None = None) -> None:
        self._clock = clock
        self._file: TextIO | None = None
        self.on_machine: Callable[[str, str, str], None] = lambda instance_id, event, text: None
        if path:
            try:
                # Line buffered: a killed simulator leaves whole lines.
                self._file = path.open("a", buffering=1, encoding="utf-8")
            except OSError as error:
                raise SimulatorError(f"cannot write the audit log {path}: {error.strerror}") from error

    def api(
        self,
        *,
        action: str,
        caller: str,
        instance_ids: list[str],
        code: str,
        request_id: str,
        milliseconds: int,
        **more: Any,
    ) -> None:
        """An API request that was answered; ``code`` is ``200`` or the error code."""
        self._write(
            "api",
            action=action,
            caller=caller,
            instance_ids=instance_ids,
            code=code,
            request_id=request_id,
            milliseconds=milliseconds,
            **more,
        )

    def machine(self, instance_id: str, event: MachineEvent, **more: Any) -> None:
        """Something that happened on or to a machine."""
        self._write("machine", instance_id=instance_id, event=event, **more)
        self.on_machine(instance_id, event, more.get("text", ""))

    def fault(self, instance_id: str, fault: str, **more: Any) -> None:
        """A fault that fires."""
        self._write("fault", instance_id=instance_id, fault=fault, **more)

    def request_fault(self, action: str, fault: str, *, request_id: str) -> None:
        """A fault that a request gets."""
        self._write("fault", action=action, fault=fault, request_id=request_id)

    def close(self) -> None:
        """Close the file; later events are forgotten."""
        if self._file:
            self._file.close()
            self._file = None

    def _write(self, kind: str, **event: Any) -> None:
        if self._file:
            record = {"kind": kind, "time": iso_milliseconds(self._clock.time()), **event}
            self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
