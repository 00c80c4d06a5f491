# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit log: what callers asked for and what machines did, as JSON lines in the order it happened."""

import json
from pathlib import Path
from typing import Any, TextIO

from ecs_simulator.clock import Clock, iso_milliseconds
from ecs_simulator.errors import SimulatorError


class Audit:
    """Appends events to a file, one JSON object a line; without a file it forgets them."""

    def __init__(self, clock: Clock, path: Path | None = None) -> None:
        self._clock = clock
        self._file: TextIO | None = None
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

    def machine(self, instance_id: str, event: str, **more: Any) -> None:
        """Something that happened on or to a machine.

        ``event`` is one of ``boot``, ``shutdown``, ``command_start``, ``command_end``, ``agent_up``,
        ``agent_down``, ``syslog``.
        """
        self._write("machine", instance_id=instance_id, event=event, **more)

    def close(self) -> None:
        """Close the file; later events are forgotten."""
        if self._file:
            self._file.close()
            self._file = None

    def _write(self, kind: str, **event: Any) -> None:
        if self._file:
            record = {"kind": kind, "time": iso_milliseconds(self._clock.time()), **event}
            self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
