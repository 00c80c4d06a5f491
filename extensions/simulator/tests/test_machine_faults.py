# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong with a machine's boots, heartbeats and existence, on scripted machines with a clock of their own."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from ecs_simulator.clock import ManualClock
from simulator_helpers import REGION, Caller, make_fleet, serving

WEB = "i-bp1testweb000000001"
BOOT_S = 10


def fleet(*faults: dict[str, Any], **settings: Any) -> Any:
    answers = [{"match": "restart", "exit_code": 194}, {"match": "long", "seconds": 3600}, {"output": "hello\n"}]
    web = {"name": "web-01", "id": WEB, "boot_s": BOOT_S, "answers": answers}
    return make_fleet(web, settings=settings, faults=list(faults))


@pytest.fixture
async def call(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Caller]:
    async with serving(fleet(), tmp_path, machine="scripted", clock=clock) as caller:
        yield caller


async def status(call: Caller) -> str:
    answer = await call("DescribeInstanceStatus", region_id=REGION, instance_id=[WEB])
    value: str = answer["InstanceStatuses"]["InstanceStatus"][0]["Status"]
    return value


async def assistant(call: Caller) -> dict[str, Any]:
    answer = await call("DescribeCloudAssistantStatus", region_id=REGION, instance_id=[WEB])
    row: dict[str, Any] = answer["InstanceCloudAssistantStatusSet"]["InstanceCloudAssistantStatus"][0]
    return row


async def restart(call: Caller) -> None:
    await call("RebootInstances", region_id=REGION, instance_id=[WEB])


def kinds(call: Caller) -> list[str]:
    return [event["event"] for event in call.events()]


async def test_a_restart_may_take_long_once(call: Caller, clock: ManualClock) -> None:
    await call.fault("boot_slow", seconds=600)
    await restart(call)
    await clock.advance(BOOT_S + 599)
    assert await status(call) == "Starting"
    await clock.advance(1)
    assert await status(call) == "Running"
    await restart(call)
    await clock.advance(BOOT_S)
    assert len(call.events("boot")) == 3


async def test_a_machine_may_never_come_back_and_look_as_if_it_had(call: Caller, clock: ManualClock) -> None:
    await call.fault("boot_stuck")
    await restart(call)
    await clock.advance(3600)
    assert await status(call) == "Running"
    assert (await assistant(call))["CloudAssistantStatus"] == "false"
    assert kinds(call) == ["boot", "agent_up", "agent_down", "shutdown", "boot_stuck"]
    invoke_id = await call.run("hello", WEB)
    await clock.advance(61)
    assert (await call.row(invoke_id, WEB))["ErrorCode"] == "ClientNotRunning"
    status_code, answer = await call.post_fault({"instance": WEB, "fault": "power_loss"})
    assert (status_code, answer["error"]) == (400, f"web-01 ({WEB}) is not up, so there is no power to lose")
    # Another restart through the API is what helps.
    await call("RebootInstances", region_id=REGION, instance_id=[WEB], force_reboot=True)
    await clock.advance(BOOT_S)
    assert (await assistant(call))["CloudAssistantStatus"] == "true"


async def test_a_machine_may_come_back_without_its_agent(call: Caller, clock: ManualClock) -> None:
    await call.fault("boot_without_agent")
    await call.run("restart", WEB)
    await clock.advance(60)
    assert kinds(call)[-2:] == ["shutdown", "boot"]
    assert (await assistant(call))["CloudAssistantStatus"] == "false"
    await restart(call)
    await clock.advance(BOOT_S)
    assert kinds(call)[-3:] == ["shutdown", "boot", "agent_up"]


async def test_a_restart_may_happen_twice(call: Caller, clock: ManualClock) -> None:
    await call.fault("boot_twice", seconds=5)
    await restart(call)
    await clock.advance(BOOT_S)
    first = call.events("boot")[-1]["boot_id"]
    await clock.advance(5 + BOOT_S)
    assert [event["cause"] for event in call.events("shutdown")] == ["api", "boot_twice"]
    assert call.events("boot")[-1]["boot_id"] != first
    await clock.advance(600)
    assert len(call.events("boot")) == 3


async def test_a_second_restart_does_not_hit_a_machine_that_is_going_down(call: Caller, clock: ManualClock) -> None:
    await call.fault("boot_twice", seconds=5)
    await restart(call)
    await clock.advance(BOOT_S)
    await call("StopInstances", region_id=REGION, instance_id=[WEB])
    await clock.advance(60)
    assert await status(call) == "Stopped"
    assert [event["cause"] for event in call.events("shutdown")] == ["api", "api"]


async def test_faults_of_a_boot_may_come_together_and_from_the_fleet_file(tmp_path: Path, clock: ManualClock) -> None:
    on = {"on": {"instance": "web-01"}}
    faults = [{**on, "fault": "boot_slow", "seconds": 90}, {**on, "fault": "boot_stuck", "after": "shutdown"}]
    async with serving(fleet(*faults), tmp_path, machine="scripted", clock=clock) as call:
        await call("RebootInstance", instance_id=WEB, force_stop=True)
        await clock.advance(BOOT_S + 89)
        assert call.events("boot_stuck") == []
        await clock.advance(1)
        assert len(call.events("boot")) == 1
        assert call.faults() == [("boot_slow", None), ("boot_stuck", None)]


async def test_a_slow_heartbeat_looks_offline_and_is_not(call: Caller, clock: ManualClock) -> None:
    await clock.advance(90)
    before = (await assistant(call))["LastHeartbeatTime"]
    await call.fault("heartbeat_slow", seconds=600)
    assert (await assistant(call))["LastHeartbeatTime"] == before
    await clock.advance(100)
    assert (await assistant(call))["CloudAssistantStatus"] == "true"
    await clock.advance(100)
    row = await assistant(call)
    assert (row["CloudAssistantStatus"], row["LastHeartbeatTime"]) == ("false", before)
    invoke_id = await call.run("hello", WEB)
    await clock.advance(2)
    assert (await call.row(invoke_id, WEB))["InvocationStatus"] == "Success"
    await clock.advance(400)
    row = await assistant(call)
    assert row["CloudAssistantStatus"] == "true"
    assert row["LastHeartbeatTime"] > before


async def test_an_instance_may_be_released_in_the_middle_of_a_command(tmp_path: Path, clock: ManualClock) -> None:
    fault = {"on": {"instance": "web-01"}, "fault": "instance_released", "after": "command_start"}
    async with serving(fleet(fault), tmp_path, machine="scripted", clock=clock) as call:
        invoke_id = await call.run("long", WEB)
        await clock.advance(1)
        await call.happened("released")
        row = await call.row(invoke_id, WEB)
        assert (row["InvocationStatus"], row["ErrorCode"]) == ("Error", "InstanceReleased")
        assert (await call("DescribeInstances", region_id=REGION))["TotalCount"] == 0


async def test_a_full_disk_has_no_room_for_a_script(call: Caller, clock: ManualClock) -> None:
    await call.fault("disk_full", seconds=600)
    invoke_id = await call.run("hello", WEB)
    await clock.advance(2)
    row = await call.row(invoke_id, WEB)
    assert (row["InvocationStatus"], row["ErrorCode"]) == ("Error", "NoEnoughSpace")
    assert "no space left on device" in row["ErrorInfo"]
    await clock.advance(600)
    invoke_id = await call.run("hello", WEB)
    await clock.advance(2)
    assert (await call.row(invoke_id, WEB))["InvocationStatus"] == "Success"


async def test_a_flood_leaves_the_end_of_the_output(call: Caller, clock: ManualClock) -> None:
    await call.fault("output_flood")
    for dropped in (True, False):
        invoke_id = await call.run("hello", WEB)
        await clock.advance(2)
        row = await call.row(invoke_id, WEB)
        assert row["Output"].endswith("hello\n")
        assert (row["Dropped"] > 0, len(row["Output"])) == ((True, 12_000) if dropped else (False, 6))


async def test_a_scripted_machine_has_no_clock_to_be_wrong(call: Caller) -> None:
    status_code, answer = await call.post_fault({"instance": WEB, "fault": "clock_skew", "seconds": -60})
    sentence = f"web-01 ({WEB}) is a scripted machine, which has no clock of its own"
    assert (status_code, answer) == (400, {"error": sentence})
