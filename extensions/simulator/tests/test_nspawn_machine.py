# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines with a real systemd, where the agent is a service."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from ecs_simulator.errors import SimulatorError
from ecs_simulator.fleet import Fleet
from ecs_simulator.machines.base import MachineError, PowerAction
from ecs_simulator.machines.nspawn.machine import why_not
from ecs_simulator.machines.nspawn.tree import make_tree
from ecs_simulator.simulator import Simulator
from simulator_helpers import REGION, ROOTFS, Caller, make_fleet, serving, until

pytestmark = pytest.mark.once
WEB = "i-bp1testnspawn00001"
# A machine takes seconds, and more where much else is done.
PATIENCE_S = 120


def fleet(*more: dict[str, Any], **web: Any) -> Fleet:
    return make_fleet({"name": "web-01", "id": WEB, "machine": "nspawn", "boot_s": 0, **web}, *more)


def machine(call: Caller) -> Any:
    assert call.simulator and call.simulator.cloud
    return call.simulator.cloud.hosts[WEB].machine


async def output(call: Caller, script: str) -> str:
    row = await call.result(await call.run(script, WEB), WEB)
    return str(row["Output"])


async def happened(call: Caller, name: str, times: int = 1) -> dict[str, Any]:
    async def look() -> list[dict[str, Any]]:
        return call.events(name)[times - 1 : times]

    event: dict[str, Any] = (await until(look, PATIENCE_S))[0]
    return event


async def online(call: Caller) -> bool:
    answer = await call("DescribeCloudAssistantStatus", region_id=REGION, instance_id=[WEB])
    row = answer["InstanceCloudAssistantStatusSet"]["InstanceCloudAssistantStatus"][0]
    return bool(row["CloudAssistantStatus"] == "true")


async def test_a_restart_is_real(nspawn: None, tmp_path: Path) -> None:
    async with serving(fleet(), tmp_path, rootfs=ROOTFS) as call:
        # Whatever of it writes to the service's pipe would be killed by that before.
        script = (
            "echo kept >/root/file; echo gone >/run/file; sleep 1000 >/dev/null 2>&1 & logger -t tester hello; exit 194"
        )
        row = await call.result(await call.run(script, WEB), WEB)
        assert (row["InvocationStatus"], row["ExitCode"]) == ("Failed", 194)
        boots = [(await happened(call, "boot", number))["boot_id"] for number in (1, 2)]
        await happened(call, "agent_up", 2)
        look = "cat /root/file /proc/sys/kernel/random/boot_id; pgrep sleep; ls /run/file; hostname; cat /proc/1/comm"
        assert (await output(call, look)).splitlines() == [
            "kept",
            boots[1],
            "ls: cannot access '/run/file': No such file or directory",
            "web-01",
            "systemd",
        ]
        assert boots[0] != boots[1]
        assert [line["text"] for line in call.events("syslog") if "tester" in line["text"]] == ["tester: hello"]
        # The power button, and the plug.
        await call("RebootInstance", instance_id=WEB)
        await happened(call, "agent_up", 3)
        await call("StopInstance", instance_id=WEB, force_stop=True)
        await happened(call, "shutdown", 3)
        assert [line["cause"] for line in call.events("shutdown")] == ["guest", "api", "api_forced"]


async def test_the_agent_is_a_service(nspawn: None, tmp_path: Path) -> None:
    async with serving(fleet(), tmp_path, rootfs=ROOTFS) as call:
        assert await output(call, "systemctl show aliyun.service --property=ActiveState,UnitFileState") == (
            "ActiveState=active\nUnitFileState=enabled\n"
        )
        assert await output(call, "/usr/local/share/aliyun-assist/*/aliyun-service --version") == "2.2.3.1065\n"
        stop = await call.run("systemctl stop aliyun.service; echo lived >/root/lived", WEB)
        await happened(call, "agent_down")
        assert not await online(call)
        # The script outlives the agent, and its end is noted, but nobody reports it.
        assert (await happened(call, "command_end", 3))["exit_code"] is None
        waits = await call.run("cat /root/lived", WEB)
        assert (await call.row(waits, WEB))["InvocationStatus"] == "Pending"
        await machine(call).start_agent()
        assert (await call.result(waits, WEB))["Output"] == "lived\n"
        assert await online(call)
        row = await call.result(stop, WEB)
        assert (row["InvocationStatus"], row["ErrorCode"]) == ("Error", "ScriptFileExisted")
        assert len(call.events("boot")) == 1


async def test_a_killed_agent_comes_again_and_a_boot_may_be_without_one(nspawn: None, tmp_path: Path) -> None:
    async with serving(fleet(), tmp_path, rootfs=ROOTFS) as call:
        # Its parent is the shell that was started for it, whose parent is the agent.
        agent = "ps -o ppid= $PPID"
        pid = await output(call, agent)
        assert int(pid) == int(await output(call, "systemctl show --property=MainPID --value aliyun.service"))
        await call.fault("agent_killed", seconds=0)
        await happened(call, "agent_up", 2)
        assert int(await output(call, agent)) != int(pid)
        await call.fault("boot_without_agent")
        await call("RebootInstance", instance_id=WEB)
        await happened(call, "boot", 2)
        assert not await online(call)
        await call("RebootInstance", instance_id=WEB)
        await happened(call, "agent_up", 3)
        for fault, lacks in (("disk_full", "disk that can be filled"), ("clock_skew", "clock of its own")):
            sentence = f"web-01 ({WEB}) is an nspawn machine, which has no {lacks}"
            assert await call.post_fault({"instance": WEB, "fault": fault, "seconds": 9}) == (400, {"error": sentence})


async def test_an_agent_that_is_off_at_first_can_be_installed(nspawn: None, tmp_path: Path) -> None:
    async with serving(fleet(agent={"state": "stopped"}), tmp_path, rootfs=ROOTFS) as call:
        assert not await online(call)
        await call("InstallCloudAssistant", region_id=REGION, instance_id=[WEB])
        await happened(call, "agent_up")
        await machine(call).shut_down(PowerAction.RESTART)
        await happened(call, "agent_up", 2)


async def test_several_at_once_keep_their_files(nspawn: None, tmp_path: Path) -> None:
    ids = [WEB, "i-bp1testnspawn00002", "i-bp1testnspawn00003"]
    others = [{"name": id_, "id": id_, "machine": "nspawn", "boot_s": 0} for id_ in ids[1:]]
    for run in (1, 2):
        async with serving(fleet(*others), tmp_path, rootfs=ROOTFS) as call:
            invoke_id = await call.run(f"echo {run} >>/etc/runs; hostname; cat /etc/runs", *ids)
            rows = [await call.result(invoke_id, id_) for id_ in ids]
        runs = "1\n2\n"[: 2 * run]
        assert [row["Output"] for row in rows] == [f"{name}\n{runs}" for name in ("web-01", *ids[1:])]


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ({"updates": [{"name": "curl", "from": "1", "to": "2"}]}, "an nspawn machine has real ones"),
        ({"answers": [{"output": "x"}]}, "on an nspawn machine commands really run"),
        ({"os": "windows"}, "must be scripted for a Windows instance"),
    ],
)
def test_what_an_nspawn_machine_cannot_have(key: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        fleet(**key)


async def test_where_there_are_none_a_fleet_that_wants_some_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(**more: Any) -> str:
        simulator = Simulator(fleet(), state_dir=tmp_path / "state", **more)
        with pytest.raises(SimulatorError) as caught:
            await simulator.start()
        await simulator.close()
        return str(caught.value)

    monkeypatch.setattr("os.geteuid", lambda: 1)
    assert await refused(rootfs=ROOTFS) == "nspawn machines need root"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name: None if "nspawn" in name else name)
    assert "nspawn machines need systemd-nspawn (Debian: systemd-container" in await refused(rootfs=ROOTFS)
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.delenv("ECS_SIMULATOR_ROOTFS", raising=False)
    assert "make one with ecs-simulator rootfs DIR" in await refused()
    assert f"{tmp_path} is none" in await refused(rootfs=tmp_path)


def test_a_machine_goes_with_its_rootfs(nspawn: None, tmp_path: Path) -> None:
    (spec,) = fleet().instances
    (tmp_path / "rootfs" / "etc").mkdir(parents=True)
    shutil.copy(ROOTFS / "etc" / "ecs-simulator-rootfs", tmp_path / "rootfs" / "etc")
    settings = fleet().settings
    make_tree(tmp_path / WEB, spec, settings, tmp_path / "rootfs")
    make_tree(tmp_path / WEB, spec, settings, ROOTFS)
    (tmp_path / "rootfs" / "etc" / "ecs-simulator-rootfs").write_text("another")
    with pytest.raises(MachineError, match="was made for another rootfs: remove it, and the machine is made anew"):
        make_tree(tmp_path / WEB, spec, settings, tmp_path / "rootfs")
    assert why_not(tmp_path / "rootfs", tmp_path) is None
