# SPDX-License-Identifier: GPL-3.0-or-later
"""Computers outside ECS: activation codes, registration, and what may be done with them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from alibabacloud_ecs20140526 import models
from ecs_simulator.clock import ManualClock
from simulator_helpers import REGION, Caller, make_fleet, refused, serving

HERE, WEB = "mi-hz0testhere00000001", "i-bp1testweb000000001"


@pytest.fixture
async def call(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Caller]:
    fleet = make_fleet(
        {"name": "cellar-01", "id": HERE, "managed": True, "tags": {"place": "cellar"}, "answers": [{"output": "hi"}]},
        {"name": "cellar-02", "managed": True, "agent": {"state": "stopped"}, "os": "windows"},
        {"name": "web-01", "id": WEB},
    )
    async with serving(fleet, tmp_path, machine="scripted", clock=clock) as caller:
        yield caller


async def managed(call: Caller, **asked: Any) -> list[dict[str, Any]]:
    answer = await call("DescribeManagedInstances", region_id=REGION, **asked)
    rows: list[dict[str, Any]] = answer["Instances"]
    return rows


async def names(call: Caller, **asked: Any) -> list[str]:
    return [row["InstanceName"] for row in await managed(call, **asked)]


async def activation(call: Caller, **asked: Any) -> dict[str, str]:
    """What a computer needs to register, as the agent sends it."""
    answer = await call("CreateActivation", region_id=REGION, **asked)
    return {
        "regionId": REGION,
        "activationId": answer["ActivationId"],
        "activationCode": answer["ActivationCode"],
    }


async def register(call: Caller, body: Any) -> tuple[int, dict[str, Any]]:
    url = f"{call.url}/luban/api/instance/register"
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        return answer.status, await answer.json()


async def described(call: Caller, activation_id: str) -> dict[str, Any]:
    answer = await call("DescribeActivations", region_id=REGION, activation_id=activation_id)
    [row] = answer["ActivationList"]
    found: dict[str, Any] = row
    return found


async def test_commands_reach_a_managed_instance_and_power_calls_do_not(call: Caller, clock: ManualClock) -> None:
    invoke_id = await call.run("hello", HERE)
    await clock.advance(2)
    assert (await call.row(invoke_id, HERE))["Output"] == "hi"
    assert (await call("DescribeInstances", region_id=REGION))["TotalCount"] == 1
    for action in ("RebootInstance", "StopInstance", "DeleteInstance"):
        assert await refused(call, action, instance_id=HERE) == (404, "InvalidInstanceId.NotFound")
    code = await refused(call, "RebootInstances", region_id=REGION, instance_id=[HERE])
    assert code == (404, "InvalidInstanceId.NotFound")
    row = (await managed(call, instance_id=[HERE]))[0]
    assert (row["InvocationCount"], row["Connected"], row["OsType"]) == (1, True, "linux")


async def test_managed_instances_are_found_by_what_they_are(call: Caller) -> None:
    assert await names(call) == ["cellar-01", "cellar-02"]
    assert await names(call, connected="false") == ["cellar-02"]
    assert await names(call, connected="true") == ["cellar-01"]
    assert await names(call, os_type="windows") == ["cellar-02"]
    assert await names(call, instance_name="*-02") == ["cellar-02"]
    assert await names(call, instance_ip="10.0.0.2") == ["cellar-01"]
    place = models.DescribeManagedInstancesRequestTag(key="place", value="cellar")
    assert await names(call, tag=[place]) == ["cellar-01"]
    code = await refused(call, "DescribeManagedInstances", region_id=REGION, instance_id=["mi-x"] * 51)
    assert code == (403, "InstanceIds.ExceedLimit")


async def test_a_managed_instance_gets_another_name(call: Caller) -> None:
    answer = await call("ModifyManagedInstance", region_id=REGION, instance_id=HERE, instance_name="attic-01")
    assert answer["Instance"] == {"InstanceId": HERE, "InstanceName": "attic-01"}
    assert await names(call, instance_id=[HERE]) == ["attic-01"]
    for name in ("1", "http://x"):
        code = await refused(call, "ModifyManagedInstance", region_id=REGION, instance_id=HERE, instance_name=name)
        assert code == (400, "InvalidParameter.InstanceName")
    code = await refused(call, "ModifyManagedInstance", region_id=REGION, instance_id=WEB, instance_name="attic-01")
    assert code == (404, "InvalidInstance.NotFound")


async def test_a_computer_registers_runs_commands_and_leaves(call: Caller, clock: ManualClock) -> None:
    code = await activation(call, instance_name="branch", instance_count=10, description="shops")
    status, answer = await register(call, {**code, "hostname": "till", "machineId": "m-7", "osType": "linux"})
    assert status == 200
    instance_id = answer["instanceId"]
    await clock.advance(5)
    row = (await managed(call, activation_id=code["activationId"]))[0]
    assert (row["InstanceId"], row["InstanceName"], row["Hostname"]) == (instance_id, "branch-001", "till")
    assert [row["MachineId"] for row in await managed(call, machine_id="m-7")] == ["m-7"]
    invoke_id = await call.run("hello", instance_id)
    await clock.advance(2)
    assert (await call.row(invoke_id, instance_id))["InvocationStatus"] == "Success"
    assert await refused(call, "DeleteActivation", region_id=REGION, activation_id=code["activationId"]) == (
        403,
        "ActivationId.InUse",
    )
    gone = await call("DeregisterManagedInstance", region_id=REGION, instance_id=instance_id, client_token="bye")
    assert gone["Instance"]["InvocationCount"] == 1
    again = await call("DeregisterManagedInstance", region_id=REGION, instance_id=instance_id, client_token="bye")
    assert again["Instance"] == gone["Instance"]
    assert await managed(call, activation_id=code["activationId"]) == []
    usage = await described(call, code["activationId"])
    assert (usage["RegisteredCount"], usage["DeregisteredCount"], usage["Disabled"]) == (1, 1, False)
    await call("DeleteActivation", region_id=REGION, activation_id=code["activationId"])
    answer = await call("DescribeActivations", region_id=REGION)
    assert answer["ActivationList"] == []


async def test_what_runs_on_a_deregistered_instance_is_an_error(call: Caller, clock: ManualClock) -> None:
    invoke_id = await call.run("hello", HERE)
    await call("DeregisterManagedInstance", region_id=REGION, instance_id=HERE)
    assert (await call.row(invoke_id, HERE))["ErrorCode"] == "InstanceDeregistered"


async def test_a_code_is_told_once_and_found_by_what_it_is(call: Caller) -> None:
    tags = [models.CreateActivationRequestTag(key="place", value="shop")]
    code = await activation(call, instance_name="branch", resource_group_id="rg-1", tag=tags)
    await activation(call)
    assert code["activationCode"] not in str(await described(call, code["activationId"]))
    for asked in (
        {"instance_name": "branch"},
        {"resource_group_id": "rg-1"},
        {"tag": [models.DescribeActivationsRequestTag(key="place", value="shop")]},
    ):
        answer = await call("DescribeActivations", region_id=REGION, **asked)
        assert [row["ActivationId"] for row in answer["ActivationList"]] == [code["activationId"]]


async def test_what_a_code_does_not_let_in(call: Caller, clock: ManualClock) -> None:
    code = await activation(call, instance_count=1, time_to_live_in_hours=1)
    refusals = [
        ({**code, "activationCode": "wrong"}, "the activation code is not right"),
        ({**code, "activationId": "wrong"}, "there is no such activation code in the region"),
        ({**code, "regionId": "cn-beijing"}, "there is no such activation code in the region"),
        ({**code, "hostname": "a\nb"}, "the hostname may only hold letters, digits, dots, underscores and hyphens, 64"),
        ({**code, "hostname": 7}, "the body must be a JSON object of texts"),
        ([], "the body must be a JSON object of texts"),
    ]
    for body, sentence in refusals:
        status, answer = await register(call, body)
        assert (status, answer["message"][: len(sentence)]) == (400, sentence)
    assert (await register(call, {**code, "instanceName": "mine", "osType": "windows"}))[0] == 200
    assert (await register(call, code))[1]["message"] == "the activation code has been used as often as it may be"
    await clock.advance(3601)
    assert (await register(call, code))[1]["message"] == "the activation code has expired"
    assert await names(call, activation_id=code["activationId"]) == ["mine"]
    elsewhere = await activation(call, ip_address_range="192.0.2.0/24")
    assert (await register(call, elsewhere))[1]["message"] == "the activation code is for other addresses"
    disabled = await activation(call)
    answer = await call("DisableActivation", region_id=REGION, activation_id=disabled["activationId"])
    assert answer["Activation"]["Disabled"] is True
    assert (await register(call, disabled))[1]["message"] == "the activation code is disabled"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"instance_count": 0}, "InvalidParameter.InstanceCount"),
        ({"instance_count": 1001}, "InvalidParameter.InstanceCount"),
        ({"time_to_live_in_hours": 5}, "InvalidParameter.TimeToLiveInHours"),
        ({"description": "x" * 101}, "InvalidParameter.Description"),
        ({"instance_name": "1st"}, "InvalidParameter.InstanceName"),
        ({"ip_address_range": "everywhere"}, "InvalidParameter.IpAddressRange"),
        ({"tag": [models.CreateActivationRequestTag(key=f"k{n}") for n in range(21)]}, "NumberExceed.Tags"),
    ],
)
async def test_what_a_code_may_not_be(call: Caller, asked: dict[str, Any], code: str) -> None:
    assert (await refused(call, "CreateActivation", region_id=REGION, **asked))[1] == code


async def test_there_is_no_such_code(call: Caller) -> None:
    for action in ("DisableActivation", "DeleteActivation"):
        code = await refused(call, action, region_id=REGION, activation_id="nope")
        assert code == (404, "InvalidActivationId.NotFound")
