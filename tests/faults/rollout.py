# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout over three hosts in two batches, and what must hold after it, whatever was hit.

The hosts, their steps with the ledger and the invariants are those of the randomised runs.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from end_to_end.clouds import ROOT, Cloud, make_cloud
from kill.scenario import ledger, until_idle
from random_runs.cloud import SETTINGS
from random_runs.history import OURS, Verdict, read_history
from random_runs.invariants import Violation, violations
from random_runs.plan import Plan, StepPlan

from .table import WELL, Outcome, Row

FAILS = ("in_batch", "at_end")
BATCHES = [1, "100%"]


@dataclass(frozen=True)
class Cell:
    """One cell of the matrix."""

    row: Row
    method: str
    fail: str

    @property
    def plan(self) -> Plan:
        """A step, updates that want a restart, and another step."""
        # What has no guard must not be done before it is hit.
        kind, seconds = ("guarded", 0.5) if self.row.guard else ("bare", 5)
        steps = (
            StepPlan("first", kind, "never", "none", seconds, 0, 0, 1),
            StepPlan("os_updates", "os_updates", "if_required", "none", 0, 0, 0, 1),
            StepPlan("last", "guarded", "never", "none", 0.1, 0, 0, 1),
        )
        return Plan(
            seed=1,
            steps=steps,
            restart="if_required",
            method=self.method,
            old_agent=False,
            updates=("kernel",),
            hosts=3,
            timeout_s=self.row.timeouts["batch"],
            rival="none",
            rival_method=self.method,
            rival_delay_s=0,
            hits=(),
            losses=(),
        )

    @property
    def batches(self) -> list[list[str]]:
        """The hosts by batch."""
        first, *others = self.plan.host_names()
        return [[first], others]

    @property
    def hit(self) -> str:
        """The host that the fault is for."""
        return self.batches[self.row.batch - 1][0]


@contextmanager
def fleet(cell: Cell, folder: Path) -> Iterator[Cloud]:
    """The hosts, with the fault on one of them."""
    more = {cell.hit: dict(cell.row.instance)}
    cloud = make_cloud(
        folder,
        *(instance | more.get(instance["name"], {}) for instance in cell.plan.instances()),
        faults=[cell.row.entry(cell.hit)],
        settings=SETTINGS | dict(cell.row.settings),
    )
    try:
        yield cloud
    finally:
        cloud.stop()


@dataclass(frozen=True)
class Rollout:
    """How a rollout ended: the verdicts by host, none on a host that was not reached."""

    cell: Cell
    cloud: Cloud
    status: int
    output: str
    verdicts: dict[str, dict[str, Any]]
    ended: float

    def outcome(self, host: str) -> Outcome:
        verdict = self.verdicts.get(host)
        return (verdict["status"], verdict["blame"]) if verdict else ("not_reached", None)

    def expected(self, host: str) -> frozenset[Outcome]:
        """What is right for a host: the fault hits only one, and no batch starts after a failure in the one before."""
        if host == self.cell.hit:
            return self.cell.row.outcomes
        later = host in self.cell.batches[1] and self.cell.hit in self.cell.batches[0]
        stopped = later and not self.verdicts[self.cell.hit]["ok"]
        return frozenset({("not_reached", None)}) if stopped else WELL


def roll_out(cell: Cell, cloud: Cloud) -> Rollout:
    """Run the playbook, ours or one of a user's own."""
    plan = cell.plan
    steps = [_options(step, plan.run_id) for step in plan.steps]
    variables = {
        "patch_hosts_run_id": plan.run_id,
        "patch_hosts_steps": steps,
        "patch_hosts_batches": BATCHES,
        "patch_hosts_timeouts": dict(cell.row.timeouts),
        "patch_hosts_restart_method": cell.method,
    }
    if cell.fail == "at_end":
        report = cloud.folder / "report"
        extra = json.dumps(variables | {"patch_hosts_report_dir": str(report)})
        outcome = cloud.playbook(ROOT / "playbooks" / "patch.yml", "-e", extra)
        hosts = json.loads((report / "report.json").read_text(encoding="utf-8"))["hosts"]
    else:
        path = cloud.folder / "own.yml"
        path.write_text(yaml.safe_dump([_own_play()]), encoding="utf-8")
        outcome = cloud.playbook(path, "-e", json.dumps(variables))
        texts = re.findall(r'"VERDICT:([A-Za-z0-9+/=]*):VERDICT"', outcome.output)
        hosts = dict(json.loads(base64.b64decode(text)) for text in texts)
    verdicts = {name: host for name, host in hosts.items() if host.get("run_id")}
    return Rollout(cell, cloud, outcome.status, outcome.output, verdicts, time.time())


def _options(step: StepPlan, run_id: str) -> dict[str, Any]:
    """A step as the role takes it; where it has begun, it says so in the host's log, for faults that wait for it."""
    options = {key: value for key, value in step.options(run_id).items() if value is not None}
    if "script" in options:
        options["script"] = options["script"].replace("note start\n", f"note start\nlogger '{step.name} is at work'\n")
    return options


def _own_play() -> dict[str, Any]:
    """A play of a user's own: a host that fails in it takes no part any more, but for what always runs."""
    verdict = "VERDICT:{{ [inventory_hostname, patch_hosts_result | default({})] | to_json | b64encode }}:VERDICT"
    return {
        "hosts": "all",
        "gather_facts": False,
        "serial": BATCHES,
        "tasks": [
            {
                "block": [{"ansible.builtin.import_role": {"name": "cloudops.alibaba.patch_hosts"}}],
                "always": [{"ansible.builtin.debug": {"msg": verdict}}],
            }
        ],
    }


# --- what must hold -------------------------------------------------------------------------------------------------


def broken_promises(rollout: Rollout) -> list[Violation]:
    """The invariants of the randomised runs, by the audit log and the hosts' own ledgers."""
    cloud, plan = rollout.cloud, rollout.cell.plan
    until_idle(cloud)
    found = []
    for host, instance_id in cloud.ids().items():
        lines = [
            line for line in cloud.audit() if instance_id in (line.get("instance_id"), *line.get("instance_ids", ()))
        ]
        content = rollout.verdicts.get(host)
        verdicts = [Verdict(plan.run_id, rollout.ended, content)] if content else []
        found += violations(read_history(plan, host, lines, ledger(cloud, instance_id), verdicts))
    return found


def assert_proven(rollout: Rollout, host: str) -> None:
    """It says that it is patched and restarted, and so it is."""
    machine = rollout.cloud.folder / "state" / "machines" / rollout.cloud.ids()[host] / "root"
    installed = (machine / "var/lib/updates/installed").read_text(encoding="utf-8")
    assert installed.split() == ["kernel", "2"], installed
    for step in ("first", "last"):
        assert (machine / f"root/{rollout.cell.plan.run_id}.{step}.done").exists(), step
    verdict = rollout.verdicts[host]
    assert [receipt["method"] for receipt in verdict["receipts"]] == [rollout.cell.method]


def assert_only_the_batch_was_touched(rollout: Rollout) -> None:
    """Nothing is asked of a host before its batch or after it, and nothing of one that was not reached."""
    first, second = ([at for host in batch for at in _acts(rollout.cloud, host)] for batch in rollout.cell.batches)
    assert not second or max(first, default="") < min(second), "both batches were at work at once"
    for host in rollout.cloud.ids():
        if host not in rollout.verdicts:
            assert not _acts(rollout.cloud, host), f"{host} was not reached, and something was done to it"


def _acts(cloud: Cloud, host: str) -> list[str]:
    """When a host was asked for something that changes it, or did it."""
    instance_id = cloud.ids()[host]
    asked = [
        line["time"]
        for line in cloud.audit(kind="api")
        if instance_id in line["instance_ids"] and not line["action"].startswith("Describe")
    ]
    return asked + [
        line["time"]
        for line in cloud.audit(kind="machine", instance_id=instance_id)
        if line["event"] in ("command_start", "command_end") or line.get("cause") in OURS
    ]
