# SPDX-License-Identifier: GPL-3.0-or-later
"""System events and the role: one restart for the updates and for the event, which is closed by it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models
from end_to_end.clouds import REGION, ROOT, UPDATES, Cloud, Outcome, client_of, make_cloud

pytestmark = pytest.mark.once  # it does not depend on Ansible or Python

PATCH = ROOT / "playbooks" / "patch.yml"
REBOOT = "SystemMaintenance.Reboot"


def announce(cloud: Cloud, *hosts: str, type_: str = REBOOT, seconds: float = 3600, real: bool = False) -> list[str]:
    """CreateSimulatedSystemEvents; the ids of the events."""
    request = models.CreateSimulatedSystemEventsRequest(
        region_id=REGION,
        event_type=type_,
        not_before=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds)),
        instance_id=[cloud.ids()[host] for host in hosts],
        trigger_real_ops=real,
    )
    ids: list[str] = client_of(cloud).create_simulated_system_events(request).body.event_id_set.event_id
    return ids


def patch(cloud: Cloud, *arguments: str, **variables: Any) -> Outcome:
    report = cloud.folder / "report"
    extra = {"patch_hosts_report_dir": str(report), "patch_hosts_batches": ["100%"], **variables}
    outcome = cloud.playbook(PATCH, "-e", json.dumps(extra), *arguments)
    outcome.results = [json.loads((report / "report.json").read_text(encoding="utf-8"))]
    return outcome


def shutdowns(cloud: Cloud, host: str) -> list[str]:
    return [line["cause"] for line in cloud.audit(event="shutdown", instance_id=cloud.ids()[host])]


def states(cloud: Cloud, event_id: str) -> list[str]:
    return [line["status"] for line in cloud.audit(event="system_event", event_id=event_id)]


def test_one_restart_where_exit_codes_alone_have_two(folder: Path) -> None:
    cloud = make_cloud(folder, {"name": "naive", "updates": UPDATES}, {"name": "ours", "updates": UPDATES})
    try:
        events = dict(zip(cloud.ids(), announce(cloud, "naive", "ours", real=True), strict=True))
        naive = patch(cloud, "--limit", "naive", patch_hosts_restart_method="exit_code")
        # One restart, and a second one to come: the event is where it was.
        assert shutdowns(cloud, "naive") == ["guest"]
        assert states(cloud, events["naive"]) == ["Scheduled"]
        words = " ".join(naive.output.split())
        assert f"naive: system event {events['naive']} ({REBOOT}, Scheduled) is due at" in words
        assert "A restart by exit code does not settle it" in words
        ours = patch(cloud, "--limit", "ours")
        assert ours.status == 0, ours.output
        assert f"restarted (closed system event {events['ours']})" in ours.output
        verdict = ours.result["hosts"]["ours"]
        (event,) = verdict["events"]
        assert (event["event_id"], event["type"]) == (events["ours"], REBOOT)
        assert (event["status_before"], event["status_after"], event["closed_by_run"]) == ("Scheduled", "Avoided", True)
        assert [receipt["verdict"] for receipt in verdict["receipts"]] == ["restarted"]
        assert shutdowns(cloud, "ours") == ["api"]
        assert states(cloud, events["ours"]) == ["Scheduled", "Avoided"]
    finally:
        cloud.stop()


def test_an_event_is_a_reason_to_restart_unless_the_run_may_not(folder: Path) -> None:
    cloud = make_cloud(folder, {"name": "a"}, {"name": "b"}, {"name": "c"})
    try:
        event_id, _other = announce(cloud, "a", "c")
        (redeploy,) = announce(cloud, "b", type_="SystemMaintenance.Redeploy")
        never = patch(cloud, "--limit", "c", patch_hosts_restart="never")
        assert "and this run may not restart: the event stays" in " ".join(never.output.split())
        outcome = patch(cloud, "--limit", "a,b")
        assert outcome.status == 0, outcome.output
        a, b = outcome.result["hosts"]["a"], outcome.result["hosts"]["b"]
        assert (a["status"], b["status"]) == ("restarted", "unchanged")
        (receipt,) = a["receipts"]
        assert any(line.startswith(f"reason: system event {event_id} is due at 20") for line in receipt["evidence"])
        assert [(event["event_id"], event["status_after"]) for event in b["events"]] == [(redeploy, "Scheduled")]
        assert f"b: system event {redeploy} (SystemMaintenance.Redeploy, Scheduled) is due" in outcome.output
        # One call before and one after for all hosts.
        calls = cloud.audit(action="DescribeInstanceHistoryEvents")
        assert len(calls) == 4
        assert [shutdowns(cloud, host) for host in "abc"] == [["api"], [], []]
    finally:
        cloud.stop()


def test_who_may_not_read_events_goes_on_without(folder: Path) -> None:
    allowed = ["ecs:DescribeInstances", "ecs:DescribeCloudAssistantStatus", "ecs:RunCommand", "ecs:DescribeInvocation*"]
    keys = [{"id": "demo", "secret": "demo-secret"}, {"id": "some", "secret": "some-secret", "allow": allowed}]
    cloud = make_cloud(folder, {"name": "a", "updates": UPDATES}, access_keys=keys)
    try:
        announce(cloud, "a")
        connection = {"access_key_id": "some", "access_key_secret": "some-secret"}
        outcome = patch(cloud, patch_hosts_connection=connection)
        assert outcome.status == 0, outcome.output
        assert outcome.result["hosts"]["a"]["status"] == "restarted"
        assert outcome.result["hosts"]["a"]["events"] is None
        assert shutdowns(cloud, "a") == ["guest"]
        words = " ".join(outcome.output.split())
        assert "System events are not known in this run" in words
        assert "The permission is ecs:DescribeInstanceHistoryEvents" in words
    finally:
        cloud.stop()


def test_an_event_of_a_host_that_needs_nothing_is_closed_once(folder: Path) -> None:
    """The same run started again has nothing more to do."""
    cloud = make_cloud(folder, {"name": "a"})
    try:
        announce(cloud, "a")
        first = patch(cloud, patch_hosts_run_id="CHG-1")
        again = patch(cloud, patch_hosts_run_id="CHG-1")
        (event,) = again.result["hosts"]["a"]["events"]
        assert (first.status, again.status) == (0, 0)
        assert (event["status_before"], event["status_after"], event["closed_by_run"]) == (None, "Avoided", True)
        assert shutdowns(cloud, "a") == ["api"]
    finally:
        cloud.stop()
