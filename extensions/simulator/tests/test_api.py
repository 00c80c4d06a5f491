# SPDX-License-Identifier: GPL-3.0-or-later
"""The API through the real SDK, on scripted machines."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from simulator_helpers import REGION, Caller, make_fleet, refused, serving, until

ANSWERS = [
    {"match": "long", "seconds": 3600},
    {"match": "restart", "exit_code": 194},
    {"match": "fail", "exit_code": 7, "output": "no\n"},
    {"match": "", "output": "hello\n"},
]


@pytest.fixture
async def call(tmp_path: Path) -> AsyncIterator[Caller]:
    fleet = make_fleet(
        {"name": "web-{n:02d}", "count": 12, "tags": {"app": "web"}, "boot_s": 0.1, "answers": ANSWERS},
        {"name": "db-01", "id": "i-bp1testdb000000001", "zone": "cn-hangzhou-i", "agent": {"state": "stopped"}},
        {"name": "off-01", "id": "i-bp1testoff00000001", "status": "Stopped"},
        {"name": "win-01", "id": "i-bp1testwin00000001", "os": "windows"},
        settings={"delivery_timeout_s": 0.2},
    )
    async with serving(fleet, tmp_path, machine="scripted") as caller:
        yield caller


async def ids(call: Caller, **more: Any) -> list[str]:
    answer = await call("DescribeInstances", region_id=REGION, max_results=100, **more)
    return [row["InstanceId"] for row in answer["Instances"]["Instance"]]


async def test_only_known_keys_with_the_right_secret_get_in(call: Caller) -> None:
    wrong = Caller(call.simulator, call.url, Path("/dev/null"), secret="wrong")
    assert await refused(wrong, "DescribeRegions") == (400, "SignatureDoesNotMatch")
    wrong._client._credential.cloud_credential.provider.access_key_id = "nobody"
    assert await refused(wrong, "DescribeRegions") == (404, "InvalidAccessKeyId.NotFound")


async def test_regions(call: Caller) -> None:
    answer = await call("DescribeRegions")
    assert [row["RegionId"] for row in answer["Regions"]["Region"]] == [REGION]
    assert await refused(call, "DescribeInstances", region_id="mars-1") == (404, "InvalidRegionId.NotFound")
    assert await refused(call, "DescribeInstances") == (400, "MissingParameter.RegionId")


async def test_an_unknown_action_is_named_and_counted(call: Caller) -> None:
    assert await refused(call, "DescribeDisks", region_id=REGION) == (404, "InvalidAction.NotFound")
    assert call.requests("DescribeDisks")[0]["code"] == "InvalidAction.NotFound"


async def test_pages_have_ten_rows_unless_asked_otherwise(call: Caller) -> None:
    answer = await call("DescribeInstances", region_id=REGION)
    assert len(answer["Instances"]["Instance"]) == 10
    assert (answer["TotalCount"], answer["PageSize"]) == (15, 10)
    second = await call("DescribeInstances", region_id=REGION, page_number=2)
    assert len(second["Instances"]["Instance"]) == 5
    by_token = await call("DescribeInstances", region_id=REGION, next_token=answer["NextToken"], max_results=10)
    assert by_token["Instances"] == second["Instances"]
    assert by_token["NextToken"] == ""
    statuses = await call("DescribeInstanceStatus", region_id=REGION)
    assert len(statuses["InstanceStatuses"]["InstanceStatus"]) == 10
    assert await refused(call, "DescribeInstances", region_id=REGION, next_token="x") == (400, "InvalidNextToken")


async def test_instances_are_found_by_what_they_are(call: Caller) -> None:
    web = [models.DescribeInstancesRequestTag(key="app", value="web")]
    assert len(await ids(call, tag=web)) == 12
    everything = await ids(call)
    assert await ids(call, zone_id="cn-hangzhou-i") == ["i-bp1testdb000000001"]
    assert await ids(call, status="Stopped") == ["i-bp1testoff00000001"]
    assert await ids(call, instance_name="win-*") == ["i-bp1testwin00000001"]
    # The real API takes a Python list too, as Alibaba's own sample sends it.
    assert await ids(call, instance_ids=str(everything[:2])) == everything[:2]
    assert await ids(call, instance_ids='["i-nope"]') == []
    code = await refused(call, "DescribeInstances", region_id=REGION, instance_ids="i-1,i-2")
    assert code == (400, "InvalidInstanceIds.Malformed")


async def test_a_command_runs_on_many(call: Caller) -> None:
    web = (await ids(call, instance_name="web-*"))[:12]
    invoke_id = await call.run("echo hello", *web)
    rows = [await call.result(invoke_id, instance_id) for instance_id in web]
    assert {row["InvocationStatus"] for row in rows} == {"Success"}
    assert {row["Output"] for row in rows} == {"hello\n"}
    answer = await call("DescribeInvocations", region_id=REGION, invoke_id=invoke_id)
    invocation = answer["Invocations"]["Invocation"][0]
    assert (invocation["InvocationStatus"], invocation["InvokeStatus"]) == ("Success", "Finished")
    assert len(invocation["InvokeInstances"]["InvokeInstance"]) == 12
    results = await call("DescribeInvocationResults", region_id=REGION, invoke_id=invoke_id)
    assert len(results["Invocation"]["InvocationResults"]["InvocationResult"]) == 10


async def test_an_exit_code_other_than_zero_is_a_failure_and_part_of_one_a_partial_failure(call: Caller) -> None:
    web = await ids(call, instance_name="web-*")
    invoke_id = await call.run("fail", web[0])
    row = await call.result(invoke_id, web[0])
    assert (row["InvocationStatus"], row["ExitCode"], row["ErrorCode"]) == ("Failed", 7, "ExitCodeNonzero")


async def test_a_client_token_makes_one_run_of_two_requests(call: Caller) -> None:
    web = await ids(call, instance_name="web-*")
    first = await call.run("echo", web[0], client_token="token-1")
    assert await call.run("echo", web[0], client_token="token-1") == first
    assert await call.run("echo", web[0], client_token="token-2") != first
    code = await refused(
        call,
        "RunCommand",
        region_id=REGION,
        type="RunShellScript",
        command_content="something else",
        instance_id=[web[0]],
        timeout=60,
        client_token="token-1",
    )
    assert code == (403, "IdempotentParameterMismatch")
    await call.result(first, web[0])
    starts = [event for event in call.events("command_start") if event["invoke_id"] == first]
    assert len(starts) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"instance_id": ["i-nope"]}, "InvalidInstance.NotFound"),
        ({"instance_id": ["i-bp1testoff00000001"]}, "InvalidInstance.NotMatch"),
        ({"instance_id": ["i-bp1testwin00000001"]}, "InvalidInstance.NotMatch"),
        ({"instance_id": []}, "MissingParam.InstanceId"),
        ({"instance_id": [f"i-{number}" for number in range(101)]}, "InstanceIds.ExceedLimit"),
        ({"type": "RunPerlScript"}, "InvalidCmdType.NotFound"),
        ({"command_content": ""}, "MissingParameter.CommandContent"),
        ({"command_content": "x" * 18_433}, "CmdContent.ExceedLimit"),
        ({"command_content": "???", "content_encoding": "Base64"}, "InvalidParameter.CommandContent"),
        ({"timeout": 9}, "InvalidParameter.Timeout"),
        ({"name": "x" * 129}, "CmdName.ExceedLimit"),
        ({"client_token": "x" * 65}, "InvalidClientToken.Malformed"),
        ({"repeat_mode": "Period"}, "MissingParam.Frequency"),
    ],
)
async def test_what_run_command_refuses(call: Caller, change: dict[str, Any], code: str) -> None:
    good = {
        "region_id": REGION,
        "type": "RunShellScript",
        "command_content": "echo",
        "instance_id": (await ids(call, instance_name="web-01")),
        "timeout": 60,
    }
    assert (await refused(call, "RunCommand", **(good | change)))[1] == code


async def test_the_longest_script_is_taken(call: Caller) -> None:
    web = await ids(call, instance_name="web-01")
    await call.result(await call.run("#" * 18_432, *web), web[0])


async def test_one_unfit_instance_rejects_the_whole_call(call: Caller) -> None:
    web = await ids(call, instance_name="web-*")
    with pytest.raises(AlibabaCloudException):
        await call.run("echo", *web, "i-bp1testoff00000001")
    assert call.events("command_start") == []


async def test_a_command_for_an_agent_that_is_offline_is_aborted(call: Caller) -> None:
    invoke_id = await call.run("echo", "i-bp1testdb000000001")
    row = await call.result(invoke_id, "i-bp1testdb000000001")
    assert (row["InvocationStatus"], row["ErrorCode"]) == ("Aborted", "ClientNotRunning")
    assert "ExitCode" not in row


async def test_a_stopped_command_has_no_exit_code(call: Caller) -> None:
    web = await ids(call, instance_name="web-01")
    invoke_id = await call.run("long", *web)

    async def started() -> bool:
        return bool(call.events("command_start"))

    await until(started)
    await call("StopInvocation", region_id=REGION, invoke_id=invoke_id, instance_id=web)
    row = await call.result(invoke_id, web[0])
    assert (row["InvocationStatus"], row["InvokeRecordStatus"]) == ("Terminated", "Stopped")
    assert "ExitCode" not in row
    answer = await call("DescribeInvocations", region_id=REGION, invoke_id=invoke_id)
    assert answer["Invocations"]["Invocation"][0]["InvocationStatus"] == "Stopped"
    code = await refused(call, "StopInvocation", region_id=REGION, invoke_id="t-nope")
    assert code == (404, "InvalidInvokeId.NotFound")


async def test_assistant_status(call: Caller) -> None:
    wanted = [*(await ids(call, instance_name="web-*")), "i-bp1testdb000000001", "i-nope"]
    answer = await call("DescribeCloudAssistantStatus", region_id=REGION, instance_id=wanted)
    rows = answer["InstanceCloudAssistantStatusSet"]["InstanceCloudAssistantStatus"]
    # With ids all of them are on one page.
    assert len(rows) == 13
    by_id = {row["InstanceId"]: row for row in rows}
    assert by_id[wanted[0]]["CloudAssistantStatus"] == "true"
    assert by_id[wanted[0]]["LastHeartbeatTime"]
    assert by_id["i-bp1testdb000000001"]["CloudAssistantStatus"] == "false"


async def test_reboot_instances_all_together_or_each_for_itself(call: Caller) -> None:
    web = (await ids(call, instance_name="web-*"))[:2]
    code = await refused(call, "RebootInstances", region_id=REGION, instance_id=[*web, "i-bp1testoff00000001"])
    assert code == (403, "IncorrectInstanceStatus")
    assert call.events("shutdown") == []
    answer = await call(
        "RebootInstances",
        region_id=REGION,
        instance_id=[*web, "i-bp1testoff00000001", "i-nope"],
        batch_optimization="SuccessFirst",
    )
    codes = [row["Code"] for row in answer["InstanceResponses"]["InstanceResponse"]]
    assert codes == ["200", "200", "IncorrectInstanceStatus", "InvalidInstanceId.NotFound"]

    async def back() -> bool:
        return len(call.events("boot")) == 14 + 2

    await until(back)
    downs = call.events("shutdown")
    assert {event["instance_id"] for event in downs} == set(web)
    assert {event["cause"] for event in downs} == {"api"}


async def test_a_dry_run_does_nothing(call: Caller) -> None:
    web = await ids(call, instance_name="web-01")
    code = await refused(call, "RebootInstances", region_id=REGION, instance_id=web, dry_run=True)
    assert code == (400, "DRYRUN.SUCCESS")
    assert call.events("shutdown") == []


async def test_stop_and_start(call: Caller) -> None:
    web = await ids(call, instance_name="web-01")

    async def status() -> str:
        answer = await call("DescribeInstanceStatus", region_id=REGION, instance_id=web)
        value: str = answer["InstanceStatuses"]["InstanceStatus"][0]["Status"]
        return value

    async def is_stopped() -> bool:
        return await status() == "Stopped"

    async def is_running() -> bool:
        return await status() == "Running"

    await call("StopInstances", region_id=REGION, instance_id=web)
    await until(is_stopped)
    assert await refused(call, "RebootInstance", instance_id=web[0]) == (403, "IncorrectInstanceStatus")
    await call("StartInstances", region_id=REGION, instance_id=web)
    await until(is_running)


async def test_a_restart_by_exit_code_does_not_show_in_the_status(call: Caller) -> None:
    web = await ids(call, instance_name="web-01")
    before = (await call("DescribeInstances", region_id=REGION, instance_ids=str(web)))["Instances"]["Instance"][0]
    invoke_id = await call.run("restart", *web)
    row = await call.result(invoke_id, web[0])
    assert (row["InvocationStatus"], row["ExitCode"]) == ("Failed", 194)

    async def back() -> bool:
        return len([event for event in call.events("boot") if event["instance_id"] == web[0]]) == 2

    await until(back)
    after = (await call("DescribeInstances", region_id=REGION, instance_ids=str(web)))["Instances"]["Instance"][0]
    assert (after["Status"], after["StartTime"]) == ("Running", before["StartTime"])
    shutdown = call.events("shutdown")[0]
    assert (shutdown["cause"], shutdown["action"]) == ("guest", "restart")


async def test_what_ran_at_a_restart_was_interrupted(call: Caller) -> None:
    web = await ids(call, instance_name="web-01")
    invoke_id = await call.run("long", *web)

    async def started() -> bool:
        return bool(call.events("command_start"))

    await until(started)
    await call("RebootInstance", instance_id=web[0], force_stop=True)
    row = await call.result(invoke_id, web[0])
    assert (row["InvocationStatus"], row["ErrorCode"]) == ("Error", "InstanceRestarted")
    assert call.events("shutdown")[0]["cause"] == "api_forced"


async def test_a_second_restart_during_a_boot_is_a_second_restart(call: Caller) -> None:
    web = await ids(call, instance_name="web-01")
    host = call.simulator.cloud.hosts[web[0]]
    await host.machine.run("shutdown -r now")
    host.restart(force=False)

    async def back() -> bool:
        return host.instance.status == "Running" and host.agent is not None

    await until(back)
    assert [event["cause"] for event in call.events("shutdown")] == ["guest", "api"]
    assert len([event for event in call.events("boot") if event["instance_id"] == web[0]]) == 2
