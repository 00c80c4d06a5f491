# SPDX-License-Identifier: GPL-3.0-or-later
"""How many hosts are unavailable at once, whoever works on them: the audit log is the witness."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models
from end_to_end.clouds import REGION, ROOT, Cloud, Outcome, client_of, make_cloud

pytestmark = pytest.mark.once  # it does not depend on Ansible or Python

PATCH = ROOT / "playbooks" / "patch.yml"
ONE_OF_APP = {"hosts": 1, "by": ["tag:app"], "settle_s": 1}
# Long enough for two jobs to meet.
SLOW: dict[str, Any] = {
    "patch_hosts_batches": [1],
    "patch_hosts_steps": [{"name": "slow", "script": "sleep 5", "restart": "never"}],
}


def options(**variables: Any) -> list[str]:
    return ["-e", json.dumps({"patch_hosts_steps": [], "patch_hosts_restart": "always", **variables})]


def patch(cloud: Cloud, *arguments: str, **variables: Any) -> Outcome:
    report = cloud.folder / "report"
    outcome = cloud.playbook(PATCH, *options(patch_hosts_report_dir=str(report), **variables), *arguments)
    outcome.results = [json.loads((report / "report.json").read_text(encoding="utf-8"))]
    return outcome


def start(cloud: Cloud, log: Path, hosts: str, **variables: Any) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            cloud.command(PATCH, *options(**variables), "--limit", hosts),
            cwd=cloud.folder,
            env=cloud.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def leases(cloud: Cloud) -> dict[str, list[str]]:
    """The keys of leases that instances have."""
    request = models.DescribeInstancesRequest(region_id=REGION, max_results=100)
    rows = client_of(cloud).describe_instances(request).body.to_map()["Instances"]["Instance"]
    keys = {row["InstanceName"]: [tag["TagKey"] for tag in row["Tags"]["Tag"]] for row in rows}
    return {name: [key for key in tags if key.startswith("cloudops-lease")] for name, tags in keys.items()}


def most_unavailable(cloud: Cloud) -> int:
    """How many instances were down, or without their agent, at the worst moment after all had come up."""
    names = {value: key for key, value in cloud.ids().items()}
    up: set[str] = set()
    worst = 0
    begun = False
    for line in cloud.audit(kind="machine"):
        if line["event"] == "agent_up":
            up.add(line["instance_id"])
        elif line["event"] in ("shutdown", "agent_down"):
            up.discard(line["instance_id"])
        begun = begun or len(up) == len(names)
        worst = max(worst, len(names) - len(up)) if begun else 0
    assert begun
    return worst


def test_two_jobs_at_once_share_one_budget(folder: Path) -> None:
    cloud = make_cloud(folder, *({"name": name, "tags": {"app": "web"}} for name in "abc"))
    try:
        logs = [folder / "one.log", folder / "two.log"]
        jobs = [
            start(cloud, log, hosts, **SLOW, patch_hosts_max_unavailable=ONE_OF_APP, patch_hosts_run_id=run_id)
            for log, hosts, run_id in zip(logs, ("a,b", "b,c"), ("one", "two"), strict=True)
        ]
        statuses = [job.wait(timeout=500) for job in jobs]
        texts = [log.read_text(encoding="utf-8") for log in logs]
        assert statuses == [0, 0], "\n".join(texts)
        assert "Waiting for other runs: " in "".join(texts)
        ids = cloud.ids()
        restarts = {name: len(cloud.audit(event="shutdown", instance_id=ids[name])) for name in ids}
        assert restarts == {"a": 1, "b": 2, "c": 1}
        assert most_unavailable(cloud) == 1
        assert leases(cloud) == {"a": [], "b": [], "c": []}
    finally:
        cloud.stop()


def test_two_jobs_over_different_hosts_of_a_zone_share_one_budget(folder: Path) -> None:
    names = ("a", "b", "c", "d")
    cloud = make_cloud(folder, *({"name": name} for name in names))
    try:
        logs = [folder / "one.log", folder / "two.log"]
        budget = {"hosts": 1, "by": ["zone"], "of": "region", "settle_s": 1}
        jobs = [
            start(cloud, log, hosts, **SLOW, patch_hosts_max_unavailable=budget)
            for log, hosts in zip(logs, ("a,b", "c,d"), strict=True)
        ]
        statuses = [job.wait(timeout=500) for job in jobs]
        texts = [log.read_text(encoding="utf-8") for log in logs]
        assert statuses == [0, 0], "\n".join(texts)
        assert "Waiting for other runs: " in "".join(texts)
        assert {line["instance_id"] for line in cloud.audit(event="shutdown")} == set(cloud.ids().values())
        assert most_unavailable(cloud) == 1
        assert leases(cloud) == {name: [] for name in names}
    finally:
        cloud.stop()


def test_a_job_that_dies_holds_nobody_for_ever(folder: Path) -> None:
    cloud = make_cloud(folder, *({"name": name, "tags": {"app": "web"}} for name in "ab"))
    try:
        variables: dict[str, Any] = {
            "patch_hosts_run_id": "dead",
            "patch_hosts_timeouts": {"batch": 10, "restart": 10},
            "patch_hosts_max_unavailable": ONE_OF_APP | {"lease_s": 30},
        }
        job = start(cloud, folder / "dead.log", "a", **variables)
        while not cloud.audit(action="TagResources"):
            assert job.poll() is None, (folder / "dead.log").read_text(encoding="utf-8")
            time.sleep(0.05)
        os.killpg(job.pid, signal.SIGKILL)
        job.wait()
        assert leases(cloud)["a"] == ["cloudops-lease.dead"]
        next_one = {"patch_hosts_run_id": "next", "patch_hosts_batches": [1], "patch_hosts_max_unavailable": ONE_OF_APP}
        outcome = patch(cloud, **next_one)
        assert outcome.status == 0, outcome.output
        words = " ".join(outcome.output.split())
        assert "Waiting for other runs: a is leased by run dead until" in words
        assert "was still leased by run dead until" in words
        assert leases(cloud) == {"a": [], "b": []}
    finally:
        cloud.stop()


def test_hosts_beyond_the_budget_are_left_alone(folder: Path) -> None:
    cloud = make_cloud(folder, {"name": "a"}, {"name": "b"}, {"name": "off", "status": "Stopped"})
    try:
        variables: dict[str, Any] = {"patch_hosts_batches": [2], "patch_hosts_max_errors": {"budget": 1, "all": 0}}
        outcome = patch(cloud, patch_hosts_max_unavailable={"hosts": 2, "settle_s": 0}, **variables)
        assert outcome.status != 0
        results = outcome.result["hosts"]
        assert {name: (result["status"], result["blame"]) for name, result in results.items()} == {
            "a": ("restarted", None),
            "b": ("not_reached", "budget"),
            "off": ("failed", "offline"),
        }
        assert results["b"]["error_info"] == (
            "Nothing was done to it. At most 2 of the 3 instances of zone cn-hangzhou-h may be unavailable "
            "(max_unavailable): a is in this batch, off is Stopped. Smaller batches make room for it."
        )
        ids = cloud.ids()
        assert {line["instance_id"] for line in cloud.audit(event="shutdown")} == {ids["a"]}
        assert next(line["instance_ids"] for line in cloud.audit(action="RunCommand")) == [ids["a"]]
        assert leases(cloud) == {"a": [], "b": [], "off": []}
    finally:
        cloud.stop()


def test_what_can_never_fit_and_what_is_refused_disturb_nobody(folder: Path) -> None:
    """Batches that are too large, leases that are too short, steps that are none: nothing is even leased."""
    cloud = make_cloud(folder, *({"name": name} for name in "abc"))
    try:
        budget = {"hosts": 1, "settle_s": 0}
        refused = {
            "Batch 2 has 2 of the 3 instances of zone cn-hangzhou-h, and at most 1": {
                "patch_hosts_batches": [1, "100%"]
            },
            "lease_s of max_unavailable is 60, and a batch and a restart may take 8100 s": {
                "patch_hosts_batches": [1],
                "patch_hosts_max_unavailable": budget | {"lease_s": 60},
            },
        }
        for words, variables in refused.items():
            outcome = patch(cloud, **{"patch_hosts_max_unavailable": budget, **variables})
            assert outcome.status != 0
            assert words in outcome.result["hosts"]["a"]["error_info"]
            assert {result["status"] for result in outcome.result["hosts"].values()} == {"not_reached"}
        outcome = patch(
            cloud,
            patch_hosts_batches=[1],
            patch_hosts_max_unavailable=budget,
            patch_hosts_steps=[{"name": "no name"}],
        )
        assert outcome.status != 0
        assert {result["status"] for result in outcome.result["hosts"].values()} == {"not_reached"}
        assert cloud.audit(action="TagResources") == []
        assert cloud.audit(action="RunCommand") == []
    finally:
        cloud.stop()


def test_without_the_permission_to_tag_nothing_happens(folder: Path) -> None:
    keys = [
        {"id": "demo", "secret": "demo-secret"},
        {"id": "some", "secret": "some-secret", "allow": ["ecs:Describe*", "ecs:RunCommand", "ecs:RebootInstances"]},
    ]
    cloud = make_cloud(folder, {"name": "a"}, {"name": "b"}, access_keys=keys)
    try:
        connection = {"access_key_id": "some", "access_key_secret": "some-secret"}
        outcome = patch(cloud, patch_hosts_connection=connection, patch_hosts_max_unavailable={"hosts": 1})
        assert outcome.status != 0
        assert "TagResources on" in outcome.output
        assert "Forbidden.RAM" in outcome.output
        assert cloud.audit(action="RunCommand") == []
        assert {result["status"] for result in outcome.result["hosts"].values()} == {"not_reached"}
    finally:
        cloud.stop()


def test_what_cannot_be_given_back_is_warned_of(folder: Path) -> None:
    allowed = ["ecs:Describe*", "ecs:RunCommand", "ecs:RebootInstances", "ecs:TagResources"]
    keys = [
        {"id": "demo", "secret": "demo-secret"},
        {"id": "some", "secret": "some-secret", "allow": allowed},
    ]
    cloud = make_cloud(folder, {"name": "a"}, access_keys=keys)
    cloud.environment["ANSIBLE_DEPRECATION_WARNINGS"] = "true"
    try:
        outcome = patch(
            cloud,
            patch_hosts_connection={"access_key_id": "some", "access_key_secret": "some-secret"},
            patch_hosts_max_unavailable={"hosts": 1, "settle_s": 0},
            patch_hosts_run_id="CHG-1",
        )
        assert outcome.status == 0, outcome.output
        words = " ".join(outcome.output.split())
        assert f"Leases of run CHG-1 could not be removed from {cloud.ids()['a']}, and other runs leave" in words
        assert "UntagResources on" in words
        assert "is deprecated" not in words
        assert leases(cloud) == {"a": ["cloudops-lease.CHG-1"]}
    finally:
        cloud.stop()
