# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances that come and go while the simulator runs."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models
from ecs_simulator.api.sequential_names import sequential_names
from ecs_simulator.clock import ManualClock
from simulator_helpers import REGION, Caller, make_fleet, refused, serving, until

WEB, SAFE = "i-bp1testweb000000001", "i-bp1testsafe00000001"
IMAGE = {"id": "m-bp1patched", "boot_s": 5, "answers": [{"match": "slow", "seconds": 3600}, {"output": "from image\n"}]}
GOOD: dict[str, Any] = {"region_id": REGION, "image_id": "aliyun_3_x64", "instance_type": "ecs.g7.large"}


@pytest.fixture
async def call(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Caller]:
    fleet = make_fleet(
        {"name": "web-01", "id": WEB, "answers": [{"seconds": 3600}]},
        {"name": "safe-01", "id": SAFE, "deletion_protection": True},
        images=[IMAGE],
    )
    async with serving(fleet, tmp_path, machine="scripted", clock=clock) as caller:
        yield caller


async def run(call: Caller, **more: Any) -> list[str]:
    answer = await call("RunInstances", **(GOOD | more))
    ids: list[str] = answer["InstanceIdSets"]["InstanceIdSet"]
    return ids


async def rows(call: Caller, *ids: str) -> list[dict[str, Any]]:
    answer = await call("DescribeInstances", region_id=REGION, instance_ids=str(list(ids)), max_results=100)
    found: list[dict[str, Any]] = answer["Instances"]["Instance"]
    return found


async def test_instances_are_made_boot_and_run_commands(call: Caller, clock: ManualClock) -> None:
    ids = await run(
        call,
        amount=2,
        image_id="m-bp1patched",
        instance_name="blue-[1,2]",
        host_name="blue",
        zone_id="cn-hangzhou-j",
        resource_group_id="rg-1",
        unique_suffix=True,
        tag=[models.RunInstancesRequestTag(key="app", value="blue")],
    )
    pending = await rows(call, *ids)
    assert [row["Status"] for row in pending] == ["Pending", "Pending"]
    assert [row["InstanceName"] for row in pending] == ["blue-01", "blue-02"]
    assert [row["HostName"] for row in pending] == ["blue001", "blue002"]
    await clock.advance(5)
    for row in await rows(call, *ids):
        assert (row["Status"], row["ImageId"], row["ZoneId"]) == ("Running", "m-bp1patched", "cn-hangzhou-j")
        assert (row["ResourceGroupId"], row["Tags"]) == ("rg-1", {"Tag": [{"TagKey": "app", "TagValue": "blue"}]})
    invoke_id = await call.run("hello", *ids)
    await clock.advance(2)
    assert (await call.row(invoke_id, ids[1]))["Output"] == "from image\n"
    assert [event["instance_id"] for event in call.events("created")] == ids


async def test_an_image_decides_the_system_and_names_have_defaults(call: Caller, clock: ManualClock) -> None:
    [linux] = await run(call)
    [windows] = await run(call, image_id=None, image_family="acs:win2022")
    await clock.advance(10)
    by_id = {row["InstanceId"]: row for row in await rows(call, linux, windows)}
    assert [by_id[id_]["OSType"] for id_ in (linux, windows)] == ["linux", "windows"]
    assert (by_id[linux]["InstanceName"], by_id[linux]["HostName"]) == (linux, f"iZ{linux[2:]}Z")


async def test_ids_follow_the_seed(tmp_path: Path) -> None:
    made = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        async with serving(make_fleet(), tmp_path / folder, machine="scripted") as call:
            made.append(await run(call, amount=3))
    assert made[0] == made[1]
    assert len(set(made[0])) == 3


async def test_a_client_token_makes_once(call: Caller) -> None:
    first = await run(call, client_token="one")
    assert await run(call, client_token="one") == first
    assert await run(call, client_token="two") != first
    code = await refused(call, "RunInstances", **GOOD, amount=2, client_token="one")
    assert code == (403, "IdempotentParameterMismatch")
    assert len(call.events("created")) == 2


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"region_id": "mars-1"}, "InvalidRegionId.NotFound"),
        ({"image_id": None}, "MissingParameter.ImageId"),
        ({"instance_type": None}, "MissingParameter.InstanceType"),
        ({"instance_type": "t2.micro"}, "InvalidInstanceType.ValueNotSupported"),
        ({"amount": 0}, "InvalidParameter.Amount"),
        ({"amount": 101}, "InvalidParameter.Amount"),
        ({"amount": 2, "min_amount": 3}, "InvalidParameter.MinAmount"),
        ({"instance_name": "1"}, "InvalidInstanceName.Malformed"),
        ({"instance_name": "http://x"}, "InvalidInstanceName.Malformed"),
        ({"host_name": "-x-"}, "InvalidHostName.Malformed"),
        ({"host_name": "x" * 65}, "InvalidHostName.Malformed"),
        ({"host_name": "w" * 16, "image_id": "win2022"}, "InvalidHostName.Malformed"),
        ({"host_names": ["one"], "amount": 2}, "InvalidParameter.HostNames"),
        ({"launch_template_id": "lt-1"}, "InvalidLaunchTemplate.NotFound"),
        ({"tag": [models.RunInstancesRequestTag(key=f"k{n}") for n in range(21)]}, "NumberExceed.Tags"),
        ({"client_token": "x" * 65}, "InvalidClientToken.Malformed"),
        ({"dry_run": True}, "DryRunOperation"),
    ],
)
async def test_what_is_not_made(call: Caller, change: dict[str, Any], code: str) -> None:
    assert (await refused(call, "RunInstances", **(GOOD | change)))[1] == code
    assert call.events("created") == []


async def test_a_stopped_instance_is_released(call: Caller, clock: ManualClock) -> None:
    code = await refused(call, "DeleteInstances", region_id=REGION, instance_id=[WEB])
    assert code == (403, "IncorrectInstanceStatus")
    await call("StopInstance", instance_id=WEB)
    await clock.advance(1)
    await call("DeleteInstance", instance_id=WEB)
    assert await rows(call, WEB) == []
    assert (await call.happened("released"))["instance_id"] == WEB
    status, answer = await call.post_fault({"instance": WEB, "fault": "power_loss"})
    assert (status, answer) == (400, {"error": f"{WEB} has been released"})


async def test_what_runs_on_a_released_instance_is_an_error(call: Caller, clock: ManualClock) -> None:
    invoke_id = await call.run("work", WEB)
    await clock.advance(1)
    await call("DeleteInstances", region_id=REGION, instance_id=[WEB], force=True)
    row = await call.row(invoke_id, WEB)
    assert (row["InvocationStatus"], row["ErrorCode"]) == ("Error", "InstanceReleased")
    assert (await call.happened("command_end"))["exit_code"] is None
    # StopInvocation finds nothing to stop.
    await call("StopInvocation", region_id=REGION, invoke_id=invoke_id, instance_id=[WEB])
    assert await call.row(invoke_id, WEB) == row


async def test_a_release_may_wait_for_the_shutdown(call: Caller, clock: ManualClock) -> None:
    await call("DeleteInstances", region_id=REGION, instance_id=[WEB], force=True, force_stop=False)
    await call.happened("released")
    assert [(event["cause"], event["action"]) for event in call.events("shutdown")] == [("api", "power_off")]
    assert await rows(call, WEB) == []


async def test_a_token_releases_once(call: Caller) -> None:
    asked = {"region_id": REGION, "instance_id": [WEB], "force": True}
    await call("DeleteInstances", client_token="one", **asked)
    await call("DeleteInstances", client_token="one", **asked)
    assert (await refused(call, "DeleteInstances", **asked))[1] == "InvalidInstanceId.NotFound"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"instance_id": []}, "MissingParameter.InstanceId"),
        ({"instance_id": [f"i-{number}" for number in range(101)]}, "InvalidParameter.InstanceId"),
        ({"instance_id": [WEB, "i-nope"]}, "InvalidInstanceId.NotFound"),
        ({"instance_id": [WEB, SAFE]}, "InvalidOperation.DeletionProtection"),
        ({"dry_run": True}, "DRYRUN.SUCCESS"),
        ({"dry_run": True, "force": False}, "IncorrectInstanceStatus"),
    ],
)
async def test_all_are_released_or_none(call: Caller, change: dict[str, Any], code: str) -> None:
    good = {"region_id": REGION, "instance_id": [WEB], "force": True}
    assert (await refused(call, "DeleteInstances", **(good | change)))[1] == code
    assert len(await rows(call, WEB)) == 1


async def test_what_is_being_made_is_not_released(call: Caller) -> None:
    [made] = await run(call)
    code = await refused(call, "DeleteInstance", instance_id=made, force=True)
    assert code == (403, "IncorrectInstanceStatus.Initializing")


@pytest.mark.usefixtures("namespaces")
async def test_a_machine_that_was_made_is_real_and_leaves_no_files(tmp_path: Path) -> None:
    fleet = make_fleet(images=[{"id": "m-quick", "boot_s": 0, "machine": "namespace"}], settings={"stop_grace_s": 0})
    machines = tmp_path / "state/machines"
    async with serving(fleet, tmp_path) as call:
        first, second = await run(call, amount=2, image_id="m-quick", host_name="made-[1,1]")

        async def both_run() -> bool:
            return [row["Status"] for row in await rows(call, first, second)] == ["Running", "Running"]

        await until(both_run)
        assert (await call.result(await call.run("hostname", first), first))["Output"] == "made-1\n"
        assert {path.name for path in machines.iterdir() if path.is_dir()} == {first, second}
        await call("DeleteInstance", instance_id=first, force=True)
        await call.happened("released")
        assert {path.name for path in machines.iterdir() if path.is_dir()} == {second}
    assert list(machines.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "amount", "unique", "names"),
    [
        ("web", 2, False, ["web", "web"]),
        ("web", 1, True, ["web"]),
        ("web", 2, True, ["web001", "web002"]),
        ("web-[8,3]", 3, True, ["web-008", "web-009", "web-010"]),
        ("web[,]-x", 1, False, ["web000000-x"]),
        ("web[x]", 1, False, ["web[x]"]),
    ],
)
def test_names_of_instances_made_together(text: str, amount: int, unique: bool, names: list[str]) -> None:
    assert sequential_names(text, amount, unique_suffix=unique) == names
