# SPDX-License-Identifier: GPL-3.0-or-later
"""What RunCommand can be told besides a script, through the real SDK."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from simulator_helpers import REGION, Caller, make_fleet, serving

LINUX, WINDOWS = "i-bp1options000000001", "i-bp1options000000002"
TAGGED = "i-bp1options000000003"
CONTAINER = "0123456789abcdef" * 4


@pytest.fixture
async def call(tmp_path: Path) -> AsyncIterator[Caller]:
    # The answers of an instance: what it says when a text was in the command that reached it.
    seen = [
        {"match": "hello Jack and ", "output": "Jack and nobody"},
        {"match": f"on {LINUX}/web-01/cn-hangzhou/1000000000000001", "output": "built in"},
        {"match": "literally {{name}}", "output": "as it is"},
    ]
    fleet = make_fleet(
        {"name": "web-01", "id": LINUX, "tags": {"app": "web"}, "answers": seen},
        {"name": "web-02", "id": TAGGED, "tags": {"app": "web", "batch": "b1"}},
        {"name": "win-01", "id": WINDOWS, "os": "windows"},
    )
    async with serving(fleet, tmp_path, machine="scripted") as caller:
        yield caller


def request(**more: Any) -> dict[str, Any]:
    good = {
        "region_id": REGION,
        "type": "RunShellScript",
        "command_content": "echo",
        "instance_id": [LINUX],
        "timeout": 60,
    }
    return good | more


async def run(call: Caller, instance_id: str = LINUX, **more: Any) -> dict[str, Any]:
    """The result of a command on one instance."""
    answer = await call("RunCommand", **request(instance_id=[instance_id], **more))
    return await call.result(answer["InvokeId"], instance_id)


async def refused(call: Caller, **more: Any) -> tuple[int, str]:
    with pytest.raises(AlibabaCloudException) as caught:
        await call("RunCommand", **request(**more))
    return caught.value.status_code, caught.value.code


async def test_custom_parameters_are_filled_in_and_what_is_not_passed_is_empty(call: Caller) -> None:
    script = "echo hello {{ Name }} and {{\n other-name }}."
    row = await run(call, command_content=script, enable_parameter=True, parameters={"name": "Jack"})
    assert row["Output"] == "Jack and nobody"


async def test_a_parameters_value_may_name_what_is_built_in(call: Caller) -> None:
    script = "on {{ACS::InstanceId}}/{{where}}/{{ ACS::AccountId }}"
    values = {"where": "{{ACS::InstanceName}}/{{ACS::RegionId}}"}
    row = await run(call, command_content=script, enable_parameter=True, parameters=values)
    assert row["Output"] == "built in"


async def test_nothing_is_replaced_unless_parameters_are_enabled(call: Caller) -> None:
    assert (await run(call, command_content="literally {{name}}"))["Output"] == "as it is"


async def test_an_invocation_shows_the_command_as_it_was_sent(call: Caller) -> None:
    options = {"username": "root", "launcher": "bash -x", "termination_mode": "ProcessTree", "working_dir": "/tmp"}
    row = await run(call, command_content="{{a}}", enable_parameter=True, parameters={"a": "b"}, **options)
    answer = await call(
        "DescribeInvocations", region_id=REGION, invoke_id=row["InvokeId"], content_encoding="PlainText"
    )
    shown = answer["Invocations"]["Invocation"][0]
    assert (shown["CommandContent"], shown["Parameters"]) == ("{{a}}", '{"a": "b"}')
    assert (shown["Username"], shown["WorkingDir"]) == ("root", "/tmp")
    assert (row["Launcher"], row["TerminationMode"]) == (shown["Launcher"], shown["TerminationMode"])
    assert (shown["Launcher"], shown["TerminationMode"]) == ("bash -x", "ProcessTree")


@pytest.mark.parametrize(
    ("script", "code"),
    [("{{ACS::Nonsense}}", "InvalidSystemBuiltInParameter"), ("{{oos-secret:password}}", "InstanceRoleInvalid")],
)
async def test_what_an_instance_cannot_fill_in_is_invalid_there(call: Caller, script: str, code: str) -> None:
    row = await run(call, command_content=script, enable_parameter=True)
    assert (row["InvocationStatus"], row["InvokeRecordStatus"], row["ErrorCode"]) == ("Invalid", "Failed", code)
    assert call.events("command_start") == []


async def test_there_are_no_containers(call: Caller) -> None:
    row = await run(call, container_name="nginx", container_id=f"docker://{CONTAINER}")
    assert (row["InvocationStatus"], row["ErrorCode"]) == ("Invalid", "ContainerConnectFailed")
    assert row["ContainerName"] == "nginx"


async def test_instances_are_found_by_their_tags(call: Caller) -> None:
    tag = models.RunCommandRequestResourceTag
    answer = await call("RunCommand", **request(instance_id=None, resource_tag=[tag(key="app", value="web")]))
    rows = {instance_id: await call.result(answer["InvokeId"], instance_id) for instance_id in (LINUX, TAGGED)}
    assert {row["InvocationStatus"] for row in rows.values()} == {"Success"}
    nobody = [tag(key="app", value="web"), tag(key="batch", value="b2")]
    assert await refused(call, instance_id=None, resource_tag=nobody) == (400, "InvalidResourceTag.InstanceNotFound")
    many = [tag(key=f"key-{number}", value="") for number in range(21)]
    assert await refused(call, instance_id=None, resource_tag=many) == (400, "NumberExceed.ResourceTags")
    both = await refused(call, resource_tag=[tag(key="app", value="web")])
    assert both == (400, "InvalidResourceTag.ConflictWithInstanceIds")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"parameters": {"a": "b"}}, (400, "Parameter.Disabled")),
        ({"enable_parameter": True, "parameters": {"a": "b"}}, (403, "Parameter.NotMatched")),
        ({"parameters": {"a": 1}}, (403, "ParameterType.NotSupported")),
        ({"parameters": ["a"]}, (400, "InvalidParameter.Parameters")),
        ({"enable_parameter": True, "command_content": "{{}}"}, (400, "CmdParam.EmptyKey")),
        ({"enable_parameter": True, "command_content": "{{a b}}"}, (400, "CmdParam.InvalidParamName")),
        ({"enable_parameter": True, "command_content": f"{{{{{'n' * 65}}}}}"}, (403, "CmdParamName.ExceedLimit")),
        (
            {"enable_parameter": True, "command_content": "".join(f"{{{{n{number}}}}}" for number in range(21))},
            (403, "CmdParamCount.ExceedLimit"),
        ),
        (
            {"enable_parameter": True, "parameters": {f"n{number}": "" for number in range(11)}},
            (403, "ParameterCount.ExceedLimit"),
        ),
        ({"enable_parameter": True, "parameters": {"": "x"}}, (400, "CmdParam.EmptyKey")),
        ({"enable_parameter": True, "parameters": {"n" * 65: "x"}}, (403, "ParameterKey.ExceedLimit")),
        (
            {"enable_parameter": True, "command_content": "{{a}}", "parameters": {"a": "x", "A": "y"}},
            (403, "ParameterKey.Duplicate"),
        ),
        (
            {"enable_parameter": True, "command_content": "{{a}}" + "x" * 10_000, "parameters": {"a": "x" * 9_000}},
            (403, "CmdContent.ExceedLimit"),
        ),
        ({"username": "u" * 256}, (403, "Username.ExceedLimit")),
        ({"windows_password_name": "p" * 256}, (403, "WindowsPasswordName.ExceedLimit")),
        (
            {"type": "RunPowerShellScript", "instance_id": [WINDOWS], "username": "admin"},
            (403, "WindowsPasswordName.Missed"),
        ),
        ({"working_dir": "/" * 201}, (400, "InvalidParameter.WorkingDir")),
        ({"launcher": "x" * 1025}, (403, "InvalidLauncher.LengthLimitExceeded")),
        ({"termination_mode": "Everything"}, (404, "InvalidTerminationMode.NotFound")),
        ({"container_id": "abc"}, (400, "InvalidContainerId.Malformed")),
        ({"container_name": "-x"}, (400, "InvalidContainerName.Malformed")),
        ({"repeat_mode": "Sometimes"}, (404, "InvalidRepeatMode.NotFound")),
        ({"repeat_mode": "Period"}, (400, "MissingParam.Frequency")),
        ({"timed": True}, (400, "MissingParam.Frequency")),
        ({"timeout": 86_401}, (403, "InvalidTimeout.ExceedLimit")),
        ({"description": "x" * 513}, (403, "CmdDesc.ExceedLimit")),
        ({"oss_output_delivery": "oss://bucket/prefix"}, (403, "Operation.Forbidden")),
    ],
)
async def test_what_run_command_refuses(call: Caller, change: dict[str, Any], code: tuple[int, str]) -> None:
    assert await refused(call, **change) == code
