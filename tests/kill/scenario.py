# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is hit at a point: what runs, how it is hit, and what must hold whatever was hit.

Two hosts, one of which restarts. The witnesses are the simulator's audit log (the runner logs what it begins and
finishes), and a ledger on each host that the steps write themselves.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from end_to_end.clouds import ROOT, Cloud, make_cloud
from end_to_end.processes import command_of, descendants, host_of, with_home

RUN_ID = "CHG-1"
# A loaded machine is slow, and no failure; these only end what would wait for ever.
PATIENCE_S = 300
CONTROLLER_S = 900
LEDGER = "/root/ledger"


def script(name: str, then: str = "true") -> str:
    """A step that takes a moment and says when it begins and ends."""
    return (
        f"echo start {name} >> {LEDGER}; sync; sleep 0.3; touch /root/{name}; echo end {name} >> {LEDGER}; sync; {then}"
    )


GUARDED = {"name": "guarded", "script": script("guarded"), "unless": "test -e /root/guarded", "restart": "never"}
RERUN = {"name": "again", "script": script("again", "[ $(hostname) != a ] || exit 194"), "rerun": True}
LAST = {"name": "last", "script": script("last"), "unless": "test -e /root/last", "restart": "never"}
BARE = {"name": "bare", "script": script("bare"), "restart": "never"}
STEPS = [GUARDED, RERUN, LAST]


@contextmanager
def two_hosts(folder: Path) -> Iterator[Cloud]:
    """Host a, which restarts in the run, and host b, which does not."""
    cloud = make_cloud(folder, {"name": "a"}, {"name": "b"})
    try:
        yield cloud
    finally:
        cloud.stop()


@dataclass
class Controller:
    """An ansible-playbook at work."""

    cloud: Cloud
    process: subprocess.Popen[bytes]
    log: Path
    report: Path

    def wait(self) -> dict[str, Any]:
        """Its report, when it has ended."""
        self.process.wait(timeout=CONTROLLER_S)
        found: dict[str, Any] = json.loads(self.report.read_text(encoding="utf-8"))["hosts"]
        return found

    def processes(self) -> set[int]:
        """Its own, and those of its workers and modules, which lead sessions of their own."""
        return with_home(Path(self.cloud.environment["HOME"]))

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8")


def start(cloud: Cloud, steps: list[dict[str, Any]], *, number: int = 1, run_id: str = RUN_ID) -> Controller:
    """Start the playbook over both hosts."""
    report = cloud.folder / f"report-{number}"
    variables = {
        "patch_hosts_run_id": run_id,
        "patch_hosts_steps": steps,
        "patch_hosts_batches": ["100%"],
        "patch_hosts_timeouts": {"settle": 10, "restart": 300, "batch": 600},
        "patch_hosts_report_dir": str(report),
    }
    log = cloud.folder / f"output-{number}"
    with log.open("wb") as file:
        process = subprocess.Popen(
            cloud.command(ROOT / "playbooks" / "patch.yml", "-e", json.dumps(variables)),
            cwd=cloud.folder,
            env=cloud.environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    return Controller(cloud, process, log, report / "report.json")


@dataclass(frozen=True)
class Point:
    """A moment of the run: the audit log's line with these values, the so-manieth of its kind on host a."""

    name: str
    values: dict[str, str] = field(hash=False)
    number: int = 1

    def passed(self, cloud: Cloud) -> bool:
        host = cloud.ids()["a"]
        lines = [line for line in cloud.audit() if host in (line.get("instance_id"), *line.get("instance_ids", []))]
        return sum(self._fits(line) for line in lines) >= self.number

    def _fits(self, line: dict[str, Any]) -> bool:
        return all(str(line.get(key, "")).endswith(value) for key, value in self.values.items())


def until(condition: Callable[[], bool], controller: Controller | None = None, seconds: float = PATIENCE_S) -> bool:
    """Wait for a condition; False when the controller ends first."""
    end = time.monotonic() + seconds
    while not condition():
        if controller and controller.process.poll() is not None:
            return condition()
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return True


# --- how something is hit -------------------------------------------------------------------------------------------


def kill_controller(controller: Controller) -> None:
    """All of its processes at once, as when its machine dies."""
    stopped: set[int] = set()
    while more := controller.processes() - stopped:
        _signal(more, signal.SIGSTOP)
        stopped |= more
    _signal(stopped, signal.SIGKILL)
    controller.process.wait()
    assert controller.processes() <= stopped, "something of the controller goes on"
    until(lambda: not controller.processes())


def kill_ansible(controller: Controller) -> None:
    """Its main process alone, as people do; the rest has to follow by itself."""
    controller.process.kill()
    controller.process.wait()
    until(lambda: not controller.processes(), seconds=30)


def _signal(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def kill_keeper(controller: Controller) -> None:
    """The keeper on host a, if one is at work."""
    for pid in descendants(controller.cloud.process.pid):
        if b"keep" in command_of(pid).split(b"\0") and host_of(pid) == "a":
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def cut_power(controller: Controller) -> None:
    fault(controller.cloud, "power_loss")


def kill_agent(controller: Controller) -> None:
    fault(controller.cloud, "agent_killed", seconds=1)


def fault(cloud: Cloud, name: str, **more: int) -> None:
    """Switch a fault of the simulator on, for host a."""
    body = json.dumps({"instance": "a", "fault": name} | more).encode()
    address = cloud.environment["ALIBABA_CLOUD_ECS_ENDPOINT"]
    request = urllib.request.Request(f"{address}/_simulator/faults", data=body, method="POST")
    request.add_header("Content-Type", "application/json")
    # A host that is down is refused: there is nothing to hit.
    with suppress(urllib.error.HTTPError), urllib.request.urlopen(request) as answer:
        assert answer.status == 200


def _works(command: bytes) -> bool:
    """Whether it is a runner or a keeper; the watch over a step whose keeper was killed only sleeps."""
    words = command.split(b"\0")
    return any(word.endswith(b"runner.sh") for word in words) and not {b"keep", b"continue"}.isdisjoint(words)


# --- what must hold -------------------------------------------------------------------------------------------------


def check(cloud: Cloud, verdicts: dict[str, Any], *, power_cuts: int) -> None:
    """Nothing happened twice, and the receipts say what happened. ``verdicts`` are those of the last controller."""
    for name, instance_id in cloud.ids().items():
        lines = cloud.audit(kind="machine", instance_id=instance_id)
        assert_finished_steps_stay_finished(name, lines)
        assert_starts_follow_interruptions(name, ledger(cloud, instance_id))
        boots = [line["boot_id"] for line in lines if line["event"] == "boot"]
        receipts = [receipt for receipt in verdicts[name]["receipts"] if receipt["verdict"] == "restarted"]
        cuts = power_cuts if name == "a" else 0
        restarts = len(boots) - 1
        # A power cut between a request and its restart stands for that restart.
        assert len(receipts) <= restarts <= len(receipts) + cuts, (name, boots, receipts)
        assert len(receipts) <= (1 if name == "a" else 0), receipts
        for receipt in receipts:
            before, after = boots.index(receipt["boot_id_before"]), boots.index(receipt["boot_id_after"])
            assert before < after, (boots, receipt)


def assert_finished_steps_stay_finished(host: str, lines: list[dict[str, Any]]) -> None:
    finished: set[str] = set()
    for line in lines:
        said = re.search(r"step (\S+): (done|unchanged|skipped|attempt \d+ starts)$", line.get("text", ""))
        if said and said[2].startswith("attempt"):
            assert said[1] not in finished, f"on {host}, step {said[1]} started again after it had finished"
        elif said:
            finished.add(said[1])


def assert_starts_follow_interruptions(host: str, entries: list[str]) -> None:
    """Never do two run at the same time; and what came to its end begins again only if it was said to be harmless."""
    at_work: str | None = None
    ended: list[str] = []
    for entry in entries:
        word, name = entry.split()
        if word == "start":
            assert name not in ended or name == RERUN["name"], f"on {host}, {name} ran again after its end: {entries}"
            at_work = name
        else:
            assert at_work == name, f"on {host}, {name} ended while {at_work} was at work: {entries}"
            ended.append(name)
            at_work = None


def ledger(cloud: Cloud, instance_id: str) -> list[str]:
    """What the steps wrote on a host."""
    found = list((cloud.folder / "state").rglob(f"*{instance_id}*/**/root/ledger"))
    return found[0].read_text(encoding="utf-8").splitlines() if found else []


def until_idle(cloud: Cloud) -> None:
    """Wait until no runner and no keeper is at work on any host."""
    until(lambda: not any(_works(command_of(pid)) for pid in descendants(cloud.process.pid)))


def assert_quiet_since(cloud: Cloud, moment: str) -> None:
    """No machine event after the last verdict, although nobody is at work on a host any more."""
    until_idle(cloud)
    late = [
        line
        for line in cloud.audit(kind="machine")
        if line["time"] > moment and line["event"] in ("shutdown", "boot", "command_start")
    ]
    assert not late, late
