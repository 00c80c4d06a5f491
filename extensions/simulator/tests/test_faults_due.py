# SPDX-License-Identifier: GPL-3.0-or-later
"""Which faults an event sets off."""

import pytest
from ecs_simulator.cloud.faults import Faults
from ecs_simulator.errors import FleetError
from ecs_simulator.fleet import parse_fleet
from ecs_simulator.fleet_faults import After, Fault

START = Fault("i-1", "agent_killed", After("command_start"), times=2)
LINE = Fault("i-1", "power_loss", After("syslog", "half way"))


def test_a_fault_is_due_on_its_instance_after_its_event_and_as_often_as_it_may_come() -> None:
    faults = Faults()
    for fault in (START, LINE):
        faults.add(fault)
    events = [
        ("i-2", "command_start", ""),
        ("i-1", "command_end", ""),
        ("i-1", "command_start", ""),
        ("i-1", "syslog", "begun"),
        ("i-1", "syslog", "step: half way there"),
        ("i-1", "syslog", "step: half way there"),
        ("i-1", "command_start", ""),
        ("i-1", "command_start", ""),
    ]
    assert [faults.due(*event) for event in events] == [[], [], [START], [], [LINE], [], [START], []]


def test_a_name_that_two_regions_have_is_not_enough() -> None:
    region = {"instances": [{"name": "web-01"}]}
    document = {
        "access_keys": [{"id": "demo", "secret": "x"}],
        "regions": {"cn-hangzhou": region, "cn-beijing": region},
        "faults": [{"on": {"instance": "web-01"}, "fault": "power_loss"}],
    }
    with pytest.raises(FleetError, match=r"faults\[0\].on.instance is the name of 2 instances: use an id \(i-"):
        parse_fleet(document)
