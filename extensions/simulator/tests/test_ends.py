# SPDX-License-Identifier: GPL-3.0-or-later
"""How commands end: by themselves, by a signal, for their time, by a stop, with a power action.

Measured on the real agent; FIDELITY.md tells which test shows what.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from ecs_simulator.clock import ManualClock
from simulator_helpers import REGION, Caller, make_fleet, serving, until

WEB = "i-bp1testweb000000001"
WAIT = "while [ ! -e /root/go ]; do sleep 0.02; done"
pytestmark = pytest.mark.usefixtures("namespaces")


def fleet(**more: Any) -> Any:
    return make_fleet({"name": "web-01", "id": WEB, "boot_s": 0, **more}, settings={"stop_grace_s": 0})


@pytest.fixture
async def call(tmp_path: Path) -> AsyncIterator[Caller]:
    async with serving(fleet(), tmp_path, machine="namespace") as call:
        yield call


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The home of root on the machine."""
    return tmp_path / "state/machines" / WEB / "root/root"


async def run(call: Caller, script: str, **more: Any) -> dict[str, Any]:
    return await call.result(await call.run(script, WEB, **more), WEB)


async def use_shell(call: Caller, shell: str) -> None:
    """Make it the sh of the agent: the first of its PATH."""
    row = await run(call, f"ln -s $(command -v {shell}) /usr/local/sbin/sh")
    if row["ExitCode"] != 0:
        pytest.skip(f"there is no {shell}")


async def appears(file: Path) -> None:
    async def there() -> bool:
        return file.exists()

    await until(there)


async def alive(call: Caller) -> str:
    """Which of the processes in /root/pids are alive."""
    script = "for pid in $(cat /root/pids); do kill -0 $pid 2>/dev/null && echo alive || echo dead; done"
    return " ".join((await run(call, script))["Output"].split())


@pytest.mark.parametrize(
    ("shell", "mode", "left"),
    [
        # dash waits for the script, bash becomes the script. Its child lives on in both.
        ("dash", "Process", "alive alive"),
        ("bash", "Process", "dead alive"),
        ("dash", "ProcessTree", "dead dead"),
        ("bash", "ProcessTree", "dead dead"),
    ],
)
async def test_who_dies_when_a_command_is_stopped(call: Caller, root: Path, shell: str, mode: str, left: str) -> None:
    await use_shell(call, shell)
    script = "sleep 1000 & echo $$ $! > /root/pids; touch /root/ready; wait"
    invoke_id = await call.run(script, WEB, termination_mode=mode)
    await appears(root / "ready")
    await call("StopInvocation", region_id=REGION, invoke_id=invoke_id, instance_id=[WEB])
    row = await call.row(invoke_id, WEB)
    assert row["InvocationStatus"] == "Terminated"
    ends = [event for event in call.events("command_end") if event["invoke_id"] == invoke_id]
    assert [event["exit_code"] for event in ends] in ([], [-9])

    async def as_expected() -> bool:
        return await alive(call) == left

    await until(as_expected)
    assert await call.row(invoke_id, WEB) == row


async def test_a_timeout_kills_the_shell_and_leaves_the_script(call: Caller, root: Path) -> None:
    # As dash does: the agent's direct child waits for the script.
    answer = await call(
        "RunCommand",
        region_id=REGION,
        type="RunShellScript",
        command_content=f"{WAIT}; touch /root/done",
        launcher="sh -c '\"$0\"; :'",
        instance_id=[WEB],
        timeout=10,
    )
    row = await call.result(answer["InvokeId"], WEB)
    assert (row["InvocationStatus"], row["ErrorCode"], row["ExitCode"]) == ("Timeout", "ExecutionTimeout", 1)
    assert [event["exit_code"] for event in call.events("command_end")] == [-9]
    (root / "go").touch()
    await appears(root / "done")


@pytest.mark.parametrize(("shell", "exit_code"), [("dash", 137), ("bash", -1)])
async def test_the_exit_code_of_a_script_that_a_signal_ended(call: Caller, shell: str, exit_code: int) -> None:
    await use_shell(call, shell)
    row = await run(call, "kill -9 $$")
    assert (row["InvocationStatus"], row["ErrorCode"], row["ExitCode"]) == ("Failed", "ExitCodeNonzero", exit_code)


async def test_a_child_in_the_background_does_not_delay_the_end(call: Caller, root: Path) -> None:
    invoke_id = await call.run(f"trap '' PIPE; ({WAIT}; echo late; touch /root/late) & echo now", WEB)
    row = await call.result(invoke_id, WEB)
    assert (row["InvocationStatus"], row["Output"]) == ("Success", "now\n")
    (root / "go").touch()
    await appears(root / "late")
    assert await call.row(invoke_id, WEB) == row


async def test_the_exit_codes_of_windows_are_taken_modulo_256(call: Caller) -> None:
    row = await run(call, "exit 3010")
    assert (row["InvocationStatus"], row["ExitCode"]) == ("Failed", 194)
    await call.happened("boot", times=2)
    row = await run(call, "exit 3009")
    assert (row["InvocationStatus"], row["ExitCode"]) == ("Failed", 193)
    await call.happened("shutdown", times=2)
    assert [event["action"] for event in call.events("shutdown")] == ["restart", "power_off"]


async def test_the_agent_runs_the_first_shutdown_of_its_path(call: Caller) -> None:
    fake = '#!/bin/sh\\nlogger "got $*"\\n'
    await run(call, f"cd /usr/local/sbin; printf '{fake}' > new; chmod 755 new; mv new shutdown")
    row = await run(call, "exit 194")
    assert row["ExitCode"] == 194
    assert (await call.happened("syslog"))["text"].endswith("got -r now")
    assert call.events("shutdown") == []


async def test_an_agent_that_is_too_old_knows_no_power_actions(tmp_path: Path) -> None:
    old = fleet(agent={"version": "2.2.3.316"}, machine="scripted", answers=[{"exit_code": 194}])
    clock = ManualClock()
    async with serving(old, tmp_path, clock=clock) as call:
        invoke_id = await call.run("exit 194", WEB)
        await clock.advance(60)
        assert (await call.row(invoke_id, WEB))["ExitCode"] == 194
        assert call.events("shutdown") == []


async def test_a_stopped_command_in_the_queue_may_restart_its_instance(call: Caller, root: Path) -> None:
    for _number in range(10):
        await call.run(WAIT, WEB)
    queued = await call.run("exit 194", WEB)
    await call.happened("command_start", times=10)
    await call("StopInvocation", region_id=REGION, invoke_id=queued, instance_id=[WEB])
    row = await call.row(queued, WEB)
    assert (row["InvocationStatus"], "ExitCode" in row) == ("Cancelled", False)
    (root / "go").touch()
    assert (await call.happened("shutdown"))["cause"] == "guest"
    await call.happened("boot", times=2)
    # Nobody hears of it.
    assert await call.row(queued, WEB) == row
    ends = {event["invoke_id"]: event["exit_code"] for event in call.events("command_end")}
    assert ends[queued] == 194


async def test_each_run_of_a_schedule_may_restart_its_instance(tmp_path: Path) -> None:
    clock = ManualClock()
    web = fleet(machine="scripted", answers=[{"exit_code": 194}])
    async with serving(web, tmp_path, clock=clock) as call:
        await call.run("exit 194", WEB, frequency="rate(2m)")
        await clock.advance(250)
        assert [event["cause"] for event in call.events("shutdown")] == ["guest", "guest"]
