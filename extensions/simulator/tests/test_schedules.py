# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that run later and more than once, through the real SDK, on a clock that stands still."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from ecs_simulator.clock import ManualClock
from simulator_helpers import REGION, Caller, make_fleet, serving

WEB, OLD = "i-bp1schedule00000001", "i-bp1schedule00000002"
ANSWERS = [{"match": "slow", "seconds": 90}, {"match": "", "output": "hello\n"}]
INSTANCES = [
    {"name": "web-01", "id": WEB, "answers": ANSWERS, "boot_s": 5},
    {"name": "old-01", "id": OLD, "answers": ANSWERS, "agent": {"version": "2.2.3.250"}},
]


@pytest.fixture
async def call(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Caller]:
    async with serving(make_fleet(*INSTANCES), tmp_path, machine="scripted", clock=clock) as caller:
        yield caller


async def send(call: Caller, script: str = "echo", instance_id: str = WEB, timeout: int = 20, **more: Any) -> str:
    answer = await call(
        "RunCommand",
        region_id=REGION,
        type="RunShellScript",
        command_content=script,
        instance_id=[instance_id],
        timeout=timeout,
        **more,
    )
    invoke_id: str = answer["InvokeId"]
    return invoke_id


async def history(call: Caller, invoke_id: str) -> list[dict[str, Any]]:
    """All runs, the newest first."""
    answer = await call(
        "DescribeInvocationResults",
        region_id=REGION,
        invoke_id=invoke_id,
        include_history=True,
        content_encoding="PlainText",
    )
    rows: list[dict[str, Any]] = answer["Invocation"]["InvocationResults"]["InvocationResult"]
    return rows


async def status(call: Caller, invoke_id: str) -> tuple[str, int]:
    """Of the one instance, and how often the command has run there."""
    row = await call.row(invoke_id, WEB)
    return row["InvocationStatus"], row["Repeats"]


async def restart(call: Caller, clock: ManualClock, **more: Any) -> None:
    await call("RebootInstance", instance_id=WEB, **more)
    await clock.advance(10)


async def test_a_command_runs_at_its_times(call: Caller, clock: ManualClock) -> None:
    invoke_id = await send(call, frequency="rate(1m)")
    assert await status(call, invoke_id) == ("Scheduled", 0)
    await clock.advance(59)
    assert await status(call, invoke_id) == ("Scheduled", 0)
    await clock.advance(120)
    row = await call.row(invoke_id, WEB)
    # Between the runs it is scheduled, with the outcome of the last one.
    assert (row["InvocationStatus"], row["InvokeRecordStatus"], row["Repeats"]) == ("Scheduled", "Running", 2)
    assert (row["Output"], row["ExitCode"]) == ("hello\n", 0)
    rows = await history(call, invoke_id)
    assert [(run["Repeats"], run["InvocationStatus"]) for run in rows] == [(2, "Success"), (1, "Success")]
    assert [run["StartTime"] for run in rows] == ["2027-01-15T08:02:00Z", "2027-01-15T08:01:00Z"]
    answer = await call("DescribeInvocations", region_id=REGION, invoke_id=invoke_id)
    shown = answer["Invocations"]["Invocation"][0]
    assert (shown["RepeatMode"], shown["Frequency"], shown["Timed"]) == ("Period", "rate(1m)", True)
    assert (shown["InvocationStatus"], shown["InvokeStatus"]) == ("Scheduled", "Running")


async def test_a_run_that_would_overlap_is_skipped(call: Caller, clock: ManualClock) -> None:
    invoke_id = await send(call, "slow", timeout=60, frequency="rate(61s)")
    # The agent tries for 6 s to say that the time of the first run is up, and so has it still when the second is due.
    await call.fault("agent_offline", seconds=140)
    await clock.advance(200)
    assert [event["time"][11:19] for event in call.events("command_start")] == ["08:01:01", "08:03:03"]
    assert await status(call, invoke_id) == ("Running", 1)


async def test_a_schedule_is_stopped(call: Caller, clock: ManualClock) -> None:
    invoke_id = await send(call, frequency="0 * * * * *")
    await clock.advance(90)
    await call("StopInvocation", region_id=REGION, invoke_id=invoke_id)
    assert await status(call, invoke_id) == ("Terminated", 1)
    await clock.advance(600)
    assert len(call.events("command_start")) == 1
    answer = await call("DescribeInvocations", region_id=REGION, invoke_id=invoke_id)
    assert answer["Invocations"]["Invocation"][0]["InvokeStatus"] == "Stopped"
    assert answer["Invocations"]["Invocation"][0]["Timed"] is False


async def test_a_schedule_is_stopped_before_its_first_run_or_during_one(call: Caller, clock: ManualClock) -> None:
    before = await send(call, frequency="rate(1h)")
    await call("StopInvocation", region_id=REGION, invoke_id=before)
    assert await status(call, before) == ("Cancelled", 0)
    during = await send(call, "slow", timeout=60, frequency="rate(2m)")
    await clock.advance(130)
    assert await status(call, during) == ("Running", 1)
    await call("StopInvocation", region_id=REGION, invoke_id=during, instance_id=[WEB])
    assert await status(call, during) == ("Terminated", 1)
    await clock.advance(600)
    assert len(await history(call, during)) == 1


async def test_a_command_runs_once_at_a_time(call: Caller, clock: ManualClock) -> None:
    invoke_id = await send(call, frequency="at(2027-01-15 16:00:30 Asia/Shanghai)")
    await clock.advance(29)
    assert await status(call, invoke_id) == ("Scheduled", 0)
    await clock.advance(60)
    assert await status(call, invoke_id) == ("Success", 1)


async def test_a_time_that_has_passed_makes_the_command_invalid(call: Caller) -> None:
    invoke_id = await send(call, frequency="at(2027-01-15 07:00:00)")
    row = await call.row(invoke_id, WEB)
    assert (row["InvocationStatus"], row["ErrorCode"]) == ("Invalid", "AtExpressionExpired")


async def test_a_frequency_that_is_wrong_is_refused_or_becomes_invalid(call: Caller, tmp_path: Path) -> None:
    with pytest.raises(AlibabaCloudException) as caught:
        await send(call, frequency="rate(1s)")
    assert (caught.value.status_code, caught.value.code) == (400, "InvalidParam.Frequency")
    (tmp_path / "other").mkdir()
    fleet = make_fleet(*INSTANCES, settings={"wrong_frequency_is_refused": False})
    async with serving(fleet, tmp_path / "other", machine="scripted", clock=ManualClock()) as other:
        row = await other.row(await send(other, frequency="rate(1s)"), WEB)
        assert (row["InvocationStatus"], row["ErrorCode"]) == ("Invalid", "InvalidRateExpression")


async def test_an_old_agent_knows_no_intervals(call: Caller) -> None:
    row = await call.row(await send(call, instance_id=OLD, frequency="rate(1m)"), OLD)
    assert (row["InvocationStatus"], row["ErrorCode"]) == ("Aborted", "ClientNeedUpgrade")
    assert "2.2.3.282" in row["ErrorInfo"]
    row = await call.row(await send(call, instance_id=OLD, frequency="0 * * * * *"), OLD)
    assert row["InvocationStatus"] == "Scheduled"


async def test_a_run_is_missed_without_an_agent_and_unheard_of_without_a_line(call: Caller, clock: ManualClock) -> None:
    invoke_id = await send(call, frequency="rate(1m)")
    await call.fault("agent_killed", seconds=70)
    await clock.advance(65)
    assert call.events("command_start") == []
    await call.fault("agent_offline", seconds=100)
    await clock.advance(56)
    assert len(call.events("command_start")) == 1
    assert await status(call, invoke_id) == ("Scheduled", 0)
    await clock.advance(120)
    assert len(call.events("command_start")) == 3
    assert await status(call, invoke_id) == ("Scheduled", 2)


async def test_what_an_agent_left_of_a_schedule_does_not_run_again(call: Caller, clock: ManualClock) -> None:
    invoke_id = await send(call, "slow", timeout=100, frequency="rate(2m)")
    await clock.advance(121)
    await call.fault("agent_killed", seconds=5)
    await clock.advance(10)
    rows = await history(call, invoke_id)
    assert [(run["InvocationStatus"], run["ErrorCode"]) for run in rows] == [("Error", "ClientRestarted")]
    await clock.advance(120)
    assert (await status(call, invoke_id))[0] == "Running"


async def test_a_command_runs_at_the_next_start_or_at_every(call: Caller, clock: ManualClock) -> None:
    once = await send(call, repeat_mode="NextRebootOnly")
    always = await send(call, repeat_mode="EveryReboot")
    await clock.advance(100)
    assert await status(call, once) == await status(call, always) == ("Scheduled", 0)
    await restart(call, clock)
    assert await status(call, once) == ("Success", 1)
    assert await status(call, always) == ("Scheduled", 1)
    await restart(call, clock, force_stop=True)
    assert len(await history(call, always)) == 2
    await call("StopInvocation", region_id=REGION, invoke_id=always)
    await restart(call, clock)
    assert await status(call, always) == ("Terminated", 2)
    assert len(call.events("command_start")) == 3


async def test_a_released_instance_has_no_schedule(call: Caller, clock: ManualClock) -> None:
    period, start = await send(call, frequency="rate(1m)"), await send(call, repeat_mode="NextRebootOnly")
    await clock.advance(61)
    call.simulator.cloud.release(call.simulator.cloud.hosts[WEB])
    await clock.advance(120)
    assert await status(call, period) == ("Success", 1)
    assert await status(call, start) == ("Error", 0)
    assert len(call.events("command_start")) == 1


async def test_restarts_through_the_api_may_not_count(tmp_path: Path, clock: ManualClock) -> None:
    fleet = make_fleet(*INSTANCES, settings={"api_restart_runs_reboot_commands": False})
    async with serving(fleet, tmp_path, machine="scripted", clock=clock) as call:
        invoke_id = await send(call, repeat_mode="NextRebootOnly")
        await restart(call, clock)
        assert await status(call, invoke_id) == ("Scheduled", 0)
        await call.fault("power_loss")
        await clock.advance(10)
        assert await status(call, invoke_id) == ("Success", 1)


async def test_an_agent_that_starts_again_on_the_same_boot_is_no_start_of_the_instance(
    call: Caller, clock: ManualClock
) -> None:
    invoke_id = await send(call, repeat_mode="NextRebootOnly")
    await call.fault("agent_killed", seconds=5)
    await clock.advance(10)
    assert await status(call, invoke_id) == ("Scheduled", 0)


async def test_invocations_are_found_by_what_they_are(call: Caller, clock: ManualClock) -> None:
    period = await send(call, name="tick", frequency="rate(1m)", resource_group_id="rg-1")
    once = await send(call, name="now")
    await clock.advance(1)

    async def found(**filters: Any) -> list[str]:
        answer = await call("DescribeInvocations", region_id=REGION, **filters)
        return [row["InvokeId"] for row in answer["Invocations"]["Invocation"]]

    assert await found() == [once, period]
    assert await found(timed=True) == [period]
    assert await found(timed=False) == [once]
    assert await found(repeat_mode="Once") == await found(command_name="now") == [once]
    assert await found(resource_group_id="rg-1") == [period]
    assert await found(invoke_status="Scheduled") == await found(invoke_status="Running") == [period]
    assert await found(invoke_status="Finished") == await found(invoke_status="Success") == [once]
    assert await found(command_type="RunBatScript") == []
    # TotalCount counts on numbered pages only.
    numbered = await call("DescribeInvocations", region_id=REGION, page_size=1)
    by_token = await call("DescribeInvocations", region_id=REGION, max_results=1)
    assert (numbered["TotalCount"], by_token["TotalCount"]) == (2, 0)
    assert await found(max_results=1, next_token=by_token["NextToken"]) == [period]
    # With an instance, name and mode do not count.
    assert await found(instance_id=WEB, command_name="now", repeat_mode="Once") == [once, period]
    for action, parameters, code in [
        ("DescribeInvocations", {"include_output": True}, "MissingParameter.InvokeId"),
        ("DescribeInvocationResults", {"include_history": True}, "MissingParameter.InvokeId"),
        ("DescribeInvocationResults", {"include_history": True, "invoke_id": once}, "InvalidParameter.IncludeHistory"),
    ]:
        with pytest.raises(AlibabaCloudException) as caught:
            await call(action, region_id=REGION, **parameters)
        assert caught.value.code == code
