# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulator that serves some runs side by side, and what happens on its hosts as it happens."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from end_to_end import clouds
from end_to_end.processes import command_of, host_of, is_below

from .plan import LEDGER, Plan

_LOOK_S = 0.02
# Nothing here takes long, so that a run takes seconds.
SETTINGS = {
    "agent_restart_s": 2.0,
    "report_retry_s": 0.3,
    "unreported_timeout_s": 2.0,
    "delivery_timeout_s": 5.0,
    "stop_grace_s": 0.5,
}


class Cloud:
    """A simulator with the hosts of some plans; its audit log is read as it grows."""

    def __init__(self, plans: Sequence[Plan], *, odd: bool) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="cloudops-random-", ignore_cleanup_errors=True)
        # What is unknown about the real service is one way in this cloud and the other way in the next.
        settings = SETTINGS | {"guest_restart_shows_in_status": odd, "agent_restart_redelivers": not odd}
        instances = [instance for plan in plans for instance in plan.instances()]
        self._simulator = clouds.make_cloud(Path(self._folder.name), *instances, settings=settings)
        self.ids = self._simulator.ids()
        self.lines: dict[str, list[dict[str, Any]]] = defaultdict(list)
        """What happened, by instance id."""
        self.listeners: dict[str, Callable[[dict[str, Any]], None]] = {}
        self._log = self._simulator.audit_log.open(encoding="utf-8")
        self._rest = ""

    @property
    def connection(self) -> dict[str, Any]:
        """The connection options of modules."""
        environment = self._simulator.environment
        return {
            "region_id": environment["ALIBABA_CLOUD_REGION_ID"],
            "endpoint": environment["ALIBABA_CLOUD_ECS_ENDPOINT"],
            "access_key_id": environment["ALIBABA_CLOUD_ACCESS_KEY_ID"],
            "access_key_secret": environment["ALIBABA_CLOUD_ACCESS_KEY_SECRET"],
        }

    async def listen(self) -> None:
        """Read the audit log until cancelled."""
        while True:
            self.catch_up()
            await asyncio.sleep(_LOOK_S)

    def catch_up(self) -> None:
        """Take in the lines that are new, and tell who listens."""
        *lines, self._rest = (self._rest + self._log.read()).split("\n")
        for text in lines:
            line = json.loads(text)
            for instance_id in line.get("instance_ids", [line.get("instance_id")]):
                self.lines[instance_id].append(line)
                if instance_id in self.listeners:
                    self.listeners[instance_id](line)

    def stop(self) -> None:
        self._simulator.stop()
        self._log.close()
        self._folder.cleanup()

    def ledger(self, instance_id: str) -> list[str]:
        """What the steps wrote on a host."""
        ledger = Path(self._folder.name, "state", "machines", instance_id, f"root{LEDGER}")
        return ledger.read_text(encoding="utf-8").splitlines() if ledger.exists() else []

    def fault(self, instance_id: str, name: str, seconds: float | None) -> bool:
        """Switch a fault on, now; False when there is nothing that it could hit."""
        more = {} if seconds is None else {"seconds": seconds}
        body = json.dumps({"instance": instance_id, "fault": name} | more).encode()
        request = urllib.request.Request(f"{self.connection['endpoint']}/_simulator/faults", data=body, method="POST")
        request.add_header("Content-Type", "application/json")
        with suppress(urllib.error.HTTPError), urllib.request.urlopen(request, timeout=30) as answer:
            return bool(answer.status == 200)
        return False

    def kill_keepers(self, host: str) -> bool:
        """Kill the keepers on a host; False when there are none."""
        found = [pid for pid in self._at_work(host) if b"keep" in command_of(pid).split(b"\0")]
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(found)

    def wait_until_quiet(self, host: str) -> None:
        """Wait until no runner, keeper or step is left on a host."""
        while self._at_work(host):
            time.sleep(1)

    def _at_work(self, host: str) -> list[int]:
        pids = [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]
        # The cheap questions first: who is to be killed may be gone in a moment.
        ours = [pid for pid in pids if _is_ours(command_of(pid).split(b"\0")) and host_of(pid) == host]
        return [pid for pid in ours if is_below(pid, self._simulator.process.pid)]


def _is_ours(words: Sequence[bytes]) -> bool:
    """A runner, a keeper or a step; the watch over a step whose keeper was killed only sleeps."""
    return b"watch" not in words and any(b"/delivery." in word for word in words)
