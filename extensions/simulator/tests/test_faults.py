# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong with an instance, on machines with real processes and through the public door."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from ecs_simulator.clock import ManualClock
from simulator_helpers import REGION, Caller, make_fleet, serving, until

WEB = "i-bp1testweb000000001"
# Runs until it is told to go; its end can be told from that of any other.
WAIT = "echo ready; while [ ! -e /root/go ]; do sleep 0.02; done; exit 7"
pytestmark = pytest.mark.usefixtures("namespaces")


def fleet(*faults: dict[str, Any], **settings: Any) -> Any:
    web = {"name": "web-01", "id": WEB, "boot_s": 0}
    return make_fleet(web, settings={"stop_grace_s": 0.2, **settings}, faults=list(faults))


def let_go(folder: Path) -> None:
    """Tell the scripts that wait, whether there is an agent or not."""
    (folder / "state/machines" / WEB / "root/root/go").touch()


@pytest.fixture
async def call(tmp_path: Path) -> AsyncIterator[Caller]:
    async with serving(fleet(report_retry_s=0), tmp_path, machine="namespace") as call:
        yield call


async def wait_until_it_waits(call: Caller, **more: Any) -> str:
    """A command that runs until it is let go; its invocation's id."""
    invoke_id = await call.run(WAIT, WEB, **more)

    async def is_ready() -> bool:
        return bool((await call.row(invoke_id, WEB))["Output"])

    await until(is_ready)
    return invoke_id


async def output_of(call: Caller, script: str) -> str:
    output: str = (await call.result(await call.run(script, WEB), WEB))["Output"]
    return output


async def is_online(call: Caller) -> bool:
    answer = await call("DescribeCloudAssistantStatus", region_id=REGION, instance_id=[WEB])
    status = answer["InstanceCloudAssistantStatusSet"]["InstanceCloudAssistantStatus"][0]["CloudAssistantStatus"]
    return bool(status == "true")


async def test_a_power_loss_is_sudden_and_the_machine_comes_back(call: Caller) -> None:
    invoke_id = await call.run("trap 'echo goodbye > /root/last' TERM; logger ready; while :; do sleep 0.02; done", WEB)
    await call.happened("syslog")
    await call.fault("power_loss")
    row = await call.result(invoke_id, WEB)
    assert (row["InvocationStatus"], row["ErrorCode"]) == ("Error", "InstanceRestarted")
    before, after = (event["boot_id"] for event in call.events("boot"))
    assert before != after
    assert await output_of(call, "cat /proc/sys/kernel/random/boot_id; cat /root/last 2>&1 || :") == (
        f"{after}\ncat: /root/last: No such file or directory\n"
    )
    assert [(event["cause"], event["action"]) for event in call.events("shutdown")] == [("power_loss", "restart")]
    assert call.faults() == [("power_loss", None)]


async def test_a_power_loss_on_the_way_down_keeps_a_stopped_instance_stopped(call: Caller) -> None:
    await call.run("trap '' TERM; logger ready; while :; do sleep 0.02; done", WEB)
    await call.happened("syslog")
    await call("StopInstances", region_id=REGION, instance_id=[WEB])
    await call.fault("power_loss")
    assert [(event["cause"], event["action"]) for event in call.events("shutdown")] == [("power_loss", "power_off")]
    status, answer = await call.post_fault({"instance": WEB, "fault": "power_loss"})
    assert (status, answer) == (400, {"error": f"web-01 ({WEB}) is not up, so there is no power to lose"})


async def test_a_script_outlives_a_killed_agent_and_nobody_reports_it(call: Caller, tmp_path: Path) -> None:
    invoke_id = await wait_until_it_waits(call)
    await call.fault("agent_killed", seconds=3600)
    assert not await is_online(call)
    let_go(tmp_path)
    assert (await call.happened("command_end"))["exit_code"] == 7
    assert (await call.row(invoke_id, WEB))["InvocationStatus"] == "Running"
    kinds = [event["event"] for event in call.events()]
    assert kinds == ["boot", "agent_up", "command_start", "agent_down", "command_end"]
    status, answer = await call.post_fault({"instance": WEB, "fault": "agent_killed"})
    assert (status, answer) == (400, {"error": f"web-01 ({WEB}) has no running agent to kill"})


async def test_what_comes_again_after_a_killed_agent_is_refused(call: Caller, tmp_path: Path) -> None:
    invoke_id = await wait_until_it_waits(call)
    await call.fault("agent_killed", seconds=0)
    row = await call.result(invoke_id, WEB)
    assert (row["InvocationStatus"], row["ErrorCode"]) == ("Error", "ScriptFileExisted")
    assert row["ErrorInfo"].endswith(f"/{invoke_id}.sh failed: script file existed")
    # What was refused still runs, and its end changes nothing.
    assert len(call.events("command_start")) == 1
    let_go(tmp_path)
    assert (await call.happened("command_end"))["exit_code"] == 7
    assert await call.row(invoke_id, WEB) == row
    assert await output_of(call, "echo alive") == "alive\n"


async def test_a_script_that_writes_after_the_agents_end_gets_sigpipe(call: Caller, tmp_path: Path) -> None:
    await call.run("logger ready; while [ ! -e /root/go ]; do sleep 0.02; done; echo more; touch /root/survived", WEB)
    await call.happened("syslog")
    await call.fault("agent_killed", seconds=0)
    let_go(tmp_path)
    assert (await call.happened("command_end"))["exit_code"] in (-13, 128 + 13)
    assert await output_of(call, "ls /root") == "go\n"


async def test_an_interrupted_command_may_be_said_to_be_so(tmp_path: Path) -> None:
    async with serving(fleet(agent_restart_redelivers=False), tmp_path, machine="namespace") as call:
        invoke_id = await wait_until_it_waits(call)
        await call.fault("agent_killed", seconds=0)
        row = await call.result(invoke_id, WEB)
        assert (row["InvocationStatus"], row["ErrorCode"]) == ("Error", "ClientRestarted")


async def test_a_stopped_command_in_the_queue_runs_all_the_same(call: Caller, tmp_path: Path) -> None:
    for _number in range(10):
        await call.run(WAIT, WEB)
    queued = await call.run("echo ran > /root/ran; exit 5", WEB)
    await call.happened("command_start", times=10)
    await call("StopInvocation", region_id=REGION, invoke_id=queued, instance_id=[WEB])
    row = await call.result(queued, WEB)
    assert row["InvocationStatus"] == "Cancelled"
    let_go(tmp_path)
    await call.happened("command_end", times=11)
    assert await output_of(call, "cat /root/ran") == "ran\n"
    assert await call.row(queued, WEB) == row


async def test_a_lost_report_leaves_the_command_running_for_the_service(call: Caller) -> None:
    await call.fault("report_lost")
    invoke_id = await call.run("exit 3", WEB)
    assert (await call.happened("report_lost"))["invoke_id"] == invoke_id
    assert [event["exit_code"] for event in call.events("command_end")] == [3]
    assert (await call.row(invoke_id, WEB))["InvocationStatus"] == "Running"
    assert await output_of(call, "echo next") == "next\n"


async def test_a_lost_report_does_not_stop_a_restart(call: Caller) -> None:
    await call.fault("report_lost")
    row = await call.result(await call.run("exit 194", WEB), WEB)
    assert (row["InvocationStatus"], row["ErrorCode"]) == ("Error", "InstanceRestarted")
    kinds = [event["event"] for event in call.events("report_lost", "shutdown", "boot")]
    assert kinds == ["boot", "report_lost", "shutdown", "boot"]


async def test_the_service_gives_up_on_what_is_not_reported(tmp_path: Path) -> None:
    clock = ManualClock()
    web = {"name": "web-01", "id": WEB, "machine": "scripted"}
    async with serving(make_fleet(web), tmp_path, clock=clock) as call:
        await call.fault("report_lost")
        invoke_id = await call.run("true", WEB)
        await clock.advance(119)
        assert (await call.row(invoke_id, WEB))["InvocationStatus"] == "Running"
        await clock.advance(2)
        row = await call.row(invoke_id, WEB)
        assert (row["InvocationStatus"], row["ErrorCode"]) == ("Timeout", "ExecutionTimeout")
        assert "ExitCode" not in row


async def test_commands_wait_for_an_agent_that_is_offline(call: Caller, tmp_path: Path) -> None:
    before = await wait_until_it_waits(call)
    await call.fault("agent_offline")
    assert not await is_online(call)
    meanwhile = await call.run("echo hello", WEB)
    let_go(tmp_path)
    await call.happened("report_lost")
    assert [(await call.row(id_, WEB))["InvocationStatus"] for id_ in (before, meanwhile)] == ["Running", "Pending"]
    await call.fault("agent_offline", seconds=0)
    assert (await call.result(meanwhile, WEB))["Output"] == "hello\n"
    assert await is_online(call)
    assert len(call.events("agent_offline")) == 2
    assert len(call.events("agent_online", "agent_down")) == 1


async def test_an_offline_machine_restarts_and_is_interrupted_once_it_is_heard_of_again(call: Caller) -> None:
    await call.run("logger ready; trap '' PIPE; while :; do sleep 0.02; done", WEB)
    invoke_id = await wait_until_it_waits(call)
    await call.fault("agent_offline")
    await call.fault("power_loss")
    await call.happened("agent_up", times=2)
    assert (await call.row(invoke_id, WEB))["InvocationStatus"] == "Running"
    await call.fault("agent_offline", seconds=0)
    assert (await call.result(invoke_id, WEB))["ErrorCode"] == "InstanceRestarted"


async def test_a_fault_of_the_fleet_file_waits_for_a_line_in_the_system_log(tmp_path: Path) -> None:
    fault = {"on": {"instance": "web-01"}, "fault": "power_loss", "after": {"syslog": "half way"}}
    async with serving(fleet(fault), tmp_path, machine="namespace") as call:
        script = "logger -t step begun; logger -t step 'half way there'; while :; do sleep 0.02; done"
        for times in (1, 2):
            invoke_id = await call.run(script, WEB)
            await call.happened("syslog", times=2 * times)
            if times == 1:
                assert (await call.result(invoke_id, WEB))["ErrorCode"] == "InstanceRestarted"
        # Once is the default.
        assert (await call.row(invoke_id, WEB))["InvocationStatus"] == "Running"
        assert call.faults() == [("power_loss", None)]


async def test_a_fault_comes_as_often_as_it_says(tmp_path: Path) -> None:
    fault = {"on": {"instance": WEB}, "fault": "agent_killed", "after": "command_start", "times": 2, "seconds": 0}
    async with serving(fleet(fault), tmp_path, machine="namespace") as call:
        codes = [(await call.result(await call.run("sleep 0.1", WEB), WEB))["ErrorCode"] for _time in range(3)]
        assert codes == ["ScriptFileExisted", "ScriptFileExisted", ""]


async def test_a_fault_may_be_there_from_the_start_or_wait_when_asked_for(tmp_path: Path) -> None:
    fault = {"on": {"instance": "web-01"}, "fault": "agent_offline"}
    async with serving(fleet(fault), tmp_path, machine="namespace") as call:
        assert not await is_online(call)
        await call.fault("power_loss", after="agent_online")
        assert call.faults() == [("agent_offline", None)]
        await call.fault("agent_offline", seconds=0)
        assert (await call.happened("shutdown"))["cause"] == "power_loss"
        # A fault that finds nothing to hit is refused, and the log says so.
        await call.fault("agent_killed", after="shutdown")
        await call.happened("boot", times=2)
        await call.fault("power_loss")
        assert call.faults()[-1] == ("agent_killed", f"web-01 ({WEB}) has no running agent to kill")


async def test_a_full_disk_is_full_for_all_that_runs_and_over_restarts(call: Caller, tmp_path: Path) -> None:
    await call.run("logger ready; while [ ! -e /root/go ]; do sleep 0.02; done; env echo no > /var/kept; exit 4", WEB)
    await call.happened("syslog")
    await call.fault("disk_full")
    let_go(tmp_path)
    assert (await call.happened("command_end"))["exit_code"] == 4
    # A script that cannot be saved runs without its file.
    output = await output_of(call, "echo $0; cat /var/kept; env echo 1 > /root/x")
    assert (output.splitlines()[0], "File too large" in output) == ("sh", True)
    await call.fault("power_loss")
    await call.happened("agent_up", times=2)
    assert "full" in await output_of(call, "echo 1 > /root/x || echo full")
    await call.fault("disk_full", seconds=0)

    async def is_free() -> bool:
        return await output_of(call, "echo 1 > /root/x && echo free || :") == "free\n"

    await until(is_free)


async def test_a_flood_comes_before_what_the_script_prints(call: Caller) -> None:
    await call.fault("output_flood")
    row = await call.result(await call.run("echo the end", WEB), WEB)
    assert row["Output"].endswith("of what nobody wants to read\nthe end\n")
    assert row["Dropped"] > 0
    assert await output_of(call, "echo the end") == "the end\n"


async def test_a_clock_may_be_wrong_and_stays_so(call: Caller) -> None:
    async def wrong_by() -> int:
        now, local, written = (await output_of(call, "date +%s; date -d @0 +%s; date -u +%s")).split()
        assert local == "0"
        assert abs(int(written) - int(now)) <= 1
        return round(int(now) - time.time())

    assert abs(await wrong_by()) <= 5
    await call.fault("clock_skew", seconds=-3600)
    assert abs(await wrong_by() + 3600) <= 5
    await call.fault("power_loss")
    await call.happened("agent_up", times=2)
    assert abs(await wrong_by() + 3600) <= 5
    await call.fault("clock_skew", seconds=0)
    assert abs(await wrong_by()) <= 5


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("{", "the body is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ([], "the body must be a mapping, and is a list"),
        ({"fault": "power_loss"}, "instance is needed and missing"),
        (
            {"instance": "web-1", "fault": "power_loss"},
            "instance is 'web-1', and no instance has that name or id; did you mean 'web-01'?",
        ),
        (
            {"instance": "web-01", "fault": "power_lost"},
            "fault must be one of agent_killed, agent_offline, boot_slow, boot_stuck, boot_twice, boot_without_agent, "
            "clock_skew, disk_full, heartbeat_slow, instance_released, output_flood, power_loss, report_lost, "
            "not 'power_lost'; "
            "did you mean 'power_loss'?",
        ),
        (
            {"instance": "web-01", "fault": "power_loss", "afer": "boot"},
            "afer is not a known key; did you mean 'after'?",
        ),
    ],
)
async def test_what_is_wrong_with_a_request_is_said(tmp_path: Path, body: Any, sentence: str) -> None:
    async with serving(make_fleet({"name": "web-01", "machine": "scripted"}), tmp_path) as call:
        assert await call.post_fault(body) == (400, {"error": sentence})
