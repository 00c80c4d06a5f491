# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that are kept and run again, through the real SDK."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models
from simulator_helpers import REGION, Caller, make_fleet, refused_here, serving

WEB = "i-bp1saved0000000001"


@pytest.fixture
async def call(tmp_path: Path) -> AsyncIterator[Caller]:
    answers = [{"match": "hello Jack", "output": "Jack"}, {"match": "", "output": "nobody"}]
    fleet = make_fleet({"name": "web-01", "id": WEB, "answers": answers}, settings={"command_quota": 3})
    async with serving(fleet, tmp_path, machine="scripted") as caller:
        yield caller


async def create(call: Caller, **more: Any) -> str:
    good = {
        "region_id": REGION,
        "name": "greet",
        "type": "RunShellScript",
        "command_content": base64.b64encode(b"echo hello {{name}}").decode(),
        "enable_parameter": True,
    }
    answer = await call("CreateCommand", **(good | more))
    command_id: str = answer["CommandId"]
    return command_id


async def invoke(call: Caller, command_id: str, **more: Any) -> str:
    good = {"region_id": REGION, "command_id": command_id, "instance_id": [WEB]}
    answer = await call("InvokeCommand", **(good | more))
    invoke_id: str = answer["InvokeId"]
    return invoke_id


async def commands(call: Caller, **filters: Any) -> list[dict[str, Any]]:
    answer = await call("DescribeCommands", region_id=REGION, content_encoding="PlainText", **filters)
    rows: list[dict[str, Any]] = answer["Commands"]["Command"]
    return rows


async def test_a_command_is_created_described_changed_and_deleted(call: Caller) -> None:
    tag = [models.CreateCommandRequestTag(key="team", value="ops")]
    command_id = await create(call, description="says hello", timeout=30, tag=tag, resource_group_id="rg-1")
    (row,) = await commands(call, command_id=command_id)
    assert (row["Name"], row["CommandContent"], row["Timeout"]) == ("greet", "echo hello {{name}}", 30)
    assert row["ParameterNames"] == {"ParameterName": ["name"]}
    assert row["Tags"] == {"Tag": [{"TagKey": "team", "TagValue": "ops"}]}
    await call(
        "ModifyCommand", region_id=REGION, command_id=command_id, name="wave", timeout=40, command_content="eA=="
    )
    (row,) = await commands(call)
    assert (row["Name"], row["Description"], row["Timeout"]) == ("wave", "says hello", 40)
    # The content stays as it is, whatever is sent.
    assert row["CommandContent"] == "echo hello {{name}}"
    await call("DeleteCommand", region_id=REGION, command_id=command_id)
    assert await commands(call) == []
    for action in ("DeleteCommand", "ModifyCommand", "InvokeCommand"):
        parameters = {"instance_id": [WEB]} if action == "InvokeCommand" else {}
        assert await refused_here(call, action, command_id=command_id, **parameters) == (404, "InvalidCmdId.NotFound")


async def test_commands_are_found_by_what_they_are(call: Caller) -> None:
    tag = [models.CreateCommandRequestTag(key="team", value="ops")]
    first = await create(call, name="disk.check", description="how full", resource_group_id="rg-1")
    second = await create(call, name="disk-clean", tag=tag, content_encoding="PlainText", command_content="rm")

    async def found(**filters: Any) -> list[str]:
        return [row["CommandId"] for row in await commands(call, **filters)]

    assert await found() == [second, first]
    assert await found(name="disk*") == [second, first]
    assert await found(name="disk.check") == await found(name="*check") == await found(description="*full*") == [first]
    assert await found(name="disk") == await found(type="RunBatScript") == await found(provider="AlibabaCloud") == []
    assert await found(resource_group_id="rg-1") == [first]
    assert await found(tag=[models.DescribeCommandsRequestTag(key="team", value="ops")]) == [second]
    page = await call("DescribeCommands", region_id=REGION, max_results=1, latest=True)
    following = await call("DescribeCommands", region_id=REGION, max_results=1, next_token=page["NextToken"])
    assert [row["CommandId"] for row in following["Commands"]["Command"]] == [first]


async def test_a_saved_command_runs_again_and_again(call: Caller) -> None:
    command_id = await create(call)
    row = await call.result(await invoke(call, command_id, parameters={"name": "Jack"}), WEB)
    assert (row["Output"], row["CommandId"]) == ("Jack", command_id)
    row = await call.result(await invoke(call, command_id, timeout=45, working_dir="/tmp", launcher="sh"), WEB)
    assert row["Output"] == "nobody"
    answer = await call("DescribeInvocations", region_id=REGION, invoke_id=row["InvokeId"])
    shown = answer["Invocations"]["Invocation"][0]
    assert (shown["Timeout"], shown["WorkingDir"], shown["Launcher"]) == (45, "/tmp", "sh")
    (saved,) = await commands(call)
    assert (saved["InvokeTimes"], saved["Timeout"], saved["WorkingDir"]) == (2, 60, "")
    assert (await refused_here(call, "InvokeCommand", command_id=command_id, instance_id=[WEB], parameters={"x": ""}))[
        1
    ] == "Parameter.NotMatched"


async def test_a_saved_command_is_invoked_once_for_a_token(call: Caller) -> None:
    command_id = await create(call)
    first = await invoke(call, command_id, client_token="token-1")
    assert await invoke(call, command_id, client_token="token-1") == first


async def test_run_command_keeps_the_command_if_asked(call: Caller) -> None:
    await call.result(await call.run("echo", WEB), WEB)
    assert await commands(call) == []
    await call.result(await call.run("echo kept", WEB, keep_command=True, name="kept"), WEB)
    (row,) = await commands(call)
    assert (row["Name"], row["CommandContent"], row["InvokeTimes"]) == ("kept", "echo kept", 1)
    request = {"type": "RunShellScript", "instance_id": [WEB], "keep_command": True}
    code = await refused_here(call, "RunCommand", command_content="x" * 13_825, **request)
    assert code == (403, "CmdContent.ExceedLimit")


async def test_a_region_keeps_so_many_commands(call: Caller) -> None:
    for number in range(3):
        await create(call, name=f"command-{number}")
    request = {"type": "RunShellScript", "command_content": "ZWNobw=="}
    assert await refused_here(call, "CreateCommand", name="x", **request) == (403, "CmdCount.ExceedQuota")
    run = {"instance_id": [WEB], "keep_command": True}
    assert await refused_here(call, "RunCommand", **request, **run) == (403, "CmdCount.ExceedQuota")
    assert call.events("command_start") == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": ""}, (400, "MissingParameter.Name")),
        ({"name": "x" * 129}, (403, "CmdName.ExceedLimit")),
        ({"command_content": "?"}, (400, "CmdContent.DecodeError")),
        ({"command_content": "?", "content_encoding": "nonsense"}, (400, "CmdContent.DecodeError")),
        (
            {"command_content": "x" * 13_825, "content_encoding": "PlainText"},
            (403, "CmdContent.ExceedLimit"),
        ),
        (
            {"command_content": "{{a b}}", "content_encoding": "PlainText", "enable_parameter": True},
            (400, "CmdParam.InvalidParamName"),
        ),
        ({"tag": [models.CreateCommandRequestTag(key=f"k{n}") for n in range(21)]}, (400, "NumberExceed.Tags")),
    ],
)
async def test_what_create_command_refuses(call: Caller, change: dict[str, Any], code: tuple[int, str]) -> None:
    good = {"name": "greet", "type": "RunShellScript", "command_content": "ZWNobw=="}
    assert await refused_here(call, "CreateCommand", **(good | change)) == code
