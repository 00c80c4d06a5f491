# SPDX-License-Identifier: GPL-3.0-or-later
"""Two jobs at once share one budget of unavailable hosts, whatever goes wrong with what they lease them by.

`make test-faults` runs it; `FAULT_SAMPLE=9` takes every ninth. What judges it is tested in test_availability.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from end_to_end.clouds import ROOT, Cloud, make_cloud
from end_to_end.test_max_unavailable import leases
from faults.availability import most_unavailable, shared_hosts
from faults.table import API, AT_A_REQUEST, EXIT_CODE, PATIENT
from faults.test_faults import EVERY
from kill.scenario import CONTROLLER_S, Controller, kill_controller, until

PATCH = ROOT / "playbooks" / "patch.yml"
# Both want b, and with a it is in one group.
JOBS = {"one": "a,b", "two": "b"}
SETTLE_S = 3
BUDGET = {"hosts": 1, "by": ["tag:app"], "settle_s": SETTLE_S}
# Of a job that is killed: the other one waits for its end.
SHORT = {"lease_s": 90}
SHORT_TIMES = {"settle": 10, "restart": 30, "batch": 60}


def _lost(action: str) -> dict[str, Any]:
    return {"on": {"action": action}, "fault": "connection_cut", "took_effect": True, "times": 2}


@dataclass(frozen=True)
class Trouble:
    """What goes wrong. ``killed`` is an action: the first job dies when it has asked for it, and may be ``resumed``."""

    name: str
    fault: Mapping[str, Any] | None = None
    method: str = EXIT_CODE
    settings: Mapping[str, Any] = field(default_factory=dict)
    killed: str = ""
    resumed: bool = False
    budget: bool = True


TROUBLES = (
    Trouble("answers to leases lost", _lost("TagResources")),
    Trouble("answers to releases lost", _lost("UntagResources"), API),
    Trouble("leases throttled", {"on": {"action": "TagResources"}, "fault": "throttle", "times": 4, "seconds": 0.5}),
    Trouble("leases unavailable", {"on": {"action": "TagResources"}, "fault": "http_503", "times": 2}, API),
    Trouble("releases unavailable", {"on": {"action": "UntagResources"}, "fault": "http_503", "times": 2}),
    Trouble("reading cut off", {"on": {"action": "DescribeInstances"}, "fault": "connection_cut", "times": 6}, API),
    Trouble("tags are read late", settings={"tags_read_after_s": SETTLE_S - 1}),
    Trouble(
        "agent killed at a request", {"on": {"instance": "b"}, "fault": "agent_killed", "after": AT_A_REQUEST}, API
    ),
    Trouble("power lost at a request", {"on": {"instance": "b"}, "fault": "power_loss", "after": AT_A_REQUEST}),
    Trouble("killed with a claim", killed="TagResources"),
    Trouble("killed at work", killed="RunCommand"),
    Trouble("killed at work, and started again", method=API, killed="RunCommand", resumed=True),
    # The others have something to judge: without a budget there are two at once.
    Trouble("nobody counts", budget=False),
)
SAMPLE = TROUBLES[::EVERY]


def start(cloud: Cloud, run: str, trouble: Trouble) -> Controller:
    """A job with a key, a home and a folder of its own, so that it can be told from the other, and killed alone."""
    folder = cloud.folder / run
    folder.mkdir(exist_ok=True)
    home = {"HOME": str(folder), "ANSIBLE_HOME": str(folder / ".ansible")}
    ours = replace(cloud, folder=folder, environment=cloud.environment | home)
    dies = run == "one" and trouble.killed and not trouble.resumed
    done = f"/root/done.{run}"
    variables = {
        "patch_hosts_run_id": run,
        "patch_hosts_connection": {"access_key_id": run, "access_key_secret": f"secret-of-{run}"},
        "patch_hosts_batches": [1],
        "patch_hosts_timeouts": SHORT_TIMES if dies else PATIENT,
        "patch_hosts_restart": "always",
        "patch_hosts_restart_method": trouble.method,
        "patch_hosts_steps": [{"name": "work", "script": f"sleep 2; touch {done}", "unless": f"test -e {done}"}],
        "patch_hosts_max_unavailable": (BUDGET | (SHORT if dies else {})) if trouble.budget else {},
    }
    log = folder / "log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            ours.command(PATCH, "-e", json.dumps(variables), "--limit", JOBS[run]),
            cwd=folder,
            env=ours.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Controller(ours, process, log, folder)


@pytest.mark.parametrize("trouble", SAMPLE, ids=[trouble.name for trouble in SAMPLE])
def test_two_jobs_at_once_keep_to_the_budget(trouble: Trouble, tmp_path: Path) -> None:
    cloud = make_cloud(
        tmp_path,
        *({"name": host, "tags": {"app": "web"}} for host in "ab"),
        faults=[dict(trouble.fault)] if trouble.fault else [],
        settings={"agent_restart_s": 1.0, **trouble.settings},
        access_keys=[{"id": "demo", "secret": "demo-secret"}, *({"id": r, "secret": f"secret-of-{r}"} for r in JOBS)],
    )
    try:
        jobs = {run: start(cloud, run, trouble) for run in JOBS}
        if trouble.killed:
            assert until(lambda: bool(cloud.audit(action=trouble.killed, caller="one")), jobs["one"])
            kill_controller(jobs["one"])
        if trouble.resumed:
            jobs["one"] = start(cloud, "one", trouble)
        judge(cloud, trouble, jobs)
    finally:
        cloud.stop()


def judge(cloud: Cloud, trouble: Trouble, jobs: Mapping[str, Controller]) -> None:
    statuses = {run: job.process.wait(timeout=CONTROLLER_S) for run, job in jobs.items()}
    told = "\n".join(job.output for job in jobs.values())
    lines: Sequence[Mapping[str, Any]] = cloud.audit()
    if not trouble.budget:
        assert most_unavailable(lines) == 2, told
        return
    assert not trouble.fault or cloud.audit(kind="fault"), "the fault has not come"
    assert most_unavailable(lines) == 1, told
    assert not shared_hosts(lines), told
    dead = trouble.killed and not trouble.resumed
    assert statuses == {"one": -9 if dead else 0, "two": 0}, told
    # What was given back may be read a little later.
    until(lambda: all("cloudops-lease.two" not in keys for keys in leases(cloud).values()))
    until(lambda: bool(dead) or leases(cloud) == {"a": [], "b": []})
