# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes instances is sent once, whatever the network does; the audit log is the witness."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from end_to_end.clouds import Cloud, make_cloud

pytestmark = pytest.mark.once  # it does not depend on Ansible or Python

STATE = "cloudops.alibaba.ecs_instance_state"
AGENT = "cloudops.alibaba.ecs_cloud_assistant"
REBOOT = "cloudops.alibaba.ecs_reboot"


@pytest.fixture
def cloud(folder: Path) -> Iterator[Cloud]:
    """The answer to the first of each request gets lost, after it took effect."""
    lost = {"fault": "connection_cut", "took_effect": True}
    actions = ("StopInstances", "StartInstances", "RebootInstances", "InstallCloudAssistant")
    cloud = make_cloud(
        folder,
        {"name": "web-01"},
        {"name": "bare-01", "agent": {"state": "stopped"}},
        faults=[{"on": {"action": action}, **lost} for action in actions],
    )
    yield cloud
    cloud.stop()


def test_a_lost_answer_is_looked_into_and_nothing_is_sent_twice(cloud: Cloud) -> None:
    ids = cloud.ids()
    web = {"instance_ids": [ids["web-01"]], "timeout": 60}
    outcome = cloud.play(
        [
            {STATE: web | {"state": "stopped"}},
            {STATE: web | {"state": "running"}},
            {AGENT: web | {"install": False}},
            {REBOOT: web},
            {AGENT: {"instance_ids": [ids["bare-01"]], "install_after": 0, "timeout": 60}},
        ]
    )
    assert [result["changed"] for result in outcome.results] == [True, True, False, True, True], outcome.output
    assert not any(result["failed_ids"] for result in outcome.results), outcome.output
    assert outcome.results[3]["instances"][ids["web-01"]]["receipt"]["verdict"] == "restarted"
    for action in ("StopInstances", "StartInstances", "RebootInstances", "InstallCloudAssistant"):
        assert len(cloud.audit(kind="api", action=action)) == 1
    assert len(cloud.audit(event="shutdown", instance_id=ids["web-01"])) == 2
