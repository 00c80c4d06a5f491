# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are sent to instances, through the real SDK."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from ecs_simulator.clock import ManualClock
from simulator_helpers import REGION, Caller, make_fleet, serving, until

WEB, OTHER, OFF = "i-bp1files0000000001", "i-bp1files0000000002", "i-bp1files0000000003"
INSTANCES = [
    {"name": "web-01", "id": WEB},
    {"name": "web-02", "id": OTHER},
    {"name": "off-01", "id": OFF, "status": "Stopped"},
]


@pytest.fixture
async def call(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Caller]:
    async with serving(make_fleet(*INSTANCES), tmp_path, machine="scripted", clock=clock) as caller:
        yield caller


def request(**more: Any) -> dict[str, Any]:
    good = {"region_id": REGION, "name": "a.txt", "target_dir": "/opt/app", "content": "hello\n", "instance_id": [WEB]}
    return good | more


async def send(call: Caller, **more: Any) -> str:
    invoke_id: str = (await call("SendFile", **request(**more)))["InvokeId"]
    return invoke_id


async def rows(call: Caller, **filters: Any) -> list[dict[str, Any]]:
    answer = await call("DescribeSendFileResults", region_id=REGION, **filters)
    found: list[dict[str, Any]] = answer["Invocations"]["Invocation"]
    return found


async def outcome(call: Caller, invoke_id: str) -> tuple[str, str]:
    """Status and code on the first instance, once there are any."""

    async def look() -> dict[str, Any] | None:
        row: dict[str, Any] = (await rows(call, invoke_id=invoke_id))[0]["InvokeInstances"]["InvokeInstance"][0]
        return row if row["FinishTime"] else None

    row = await until(look)
    return row["InvocationStatus"], row["ErrorCode"]


async def test_a_file_arrives(call: Caller) -> None:
    tag = [models.SendFileRequestTag(key="team", value="ops")]
    options = {"file_mode": "4755", "file_owner": "nobody", "description": "d", "resource_group_id": "rg-1", "tag": tag}
    invoke_id = await send(call, **options, instance_id=[WEB, OTHER])
    assert invoke_id.startswith("f-")
    assert await outcome(call, invoke_id) == ("Success", "")
    (row,) = await rows(call, invoke_id=invoke_id)
    assert (row["InvocationStatus"], row["VmCount"], len(row["InvokeInstances"]["InvokeInstance"])) == ("Success", 2, 2)
    assert (row["Content"], row["ContentType"], row["Overwrite"]) == ("hello\n", "PlainText", "false")
    assert (row["FileMode"], row["FileOwner"], row["FileGroup"]) == ("4755", "nobody", "root")
    file = call.simulator.cloud.hosts[WEB].machine.files["/opt/app/a.txt"]
    # The agent drops the setuid bit.
    assert (file.content, file.mode, file.owner) == (b"hello\n", 0o755, "nobody")
    assert [event["invoke_id"] for event in call.events("file_received")] == [invoke_id] * 2


async def test_a_file_is_not_overwritten_unless_asked(call: Caller) -> None:
    await outcome(call, await send(call))
    assert await outcome(call, await send(call, content="x")) == ("Invalid", "FileAlreadyExists")
    assert await outcome(call, await send(call, content="y", overwrite=True)) == ("Success", "")
    assert call.simulator.cloud.hosts[WEB].machine.files["/opt/app/a.txt"].content == b"y"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"file_owner": "who"}, ("Invalid", "AccountNotExists")),
        ({"file_group": "who"}, ("Invalid", "UserGroupNotExists")),
        ({"name": "sub/a.txt"}, ("Failed", "FileCreateFail")),
        ({"name": "../app"}, ("Failed", "FileCreateFail")),
    ],
)
async def test_what_an_agent_refuses(call: Caller, change: dict[str, Any], expected: tuple[str, str]) -> None:
    assert await outcome(call, await send(call, **change)) == expected


async def test_a_refusal_with_a_space_in_it_is_never_heard_of(call: Caller, clock: ManualClock) -> None:
    invoke_id = await send(call, file_owner="the owner")
    (row,) = await rows(call, invoke_id=invoke_id)
    assert row["InvocationStatus"] == "Running"
    await clock.advance(60)
    assert await outcome(call, invoke_id) == ("Timeout", "DeliveryTimeout")


async def test_the_outcome_is_reported_once(call: Caller, clock: ManualClock) -> None:
    await call.fault("agent_offline", seconds=1, after="file_received")
    invoke_id = await send(call)
    await call.happened("agent_offline")
    await clock.advance(61)
    assert await outcome(call, invoke_id) == ("Timeout", "DeliveryTimeout")


async def test_a_file_waits_a_minute_for_the_agent(call: Caller, clock: ManualClock) -> None:
    await call.fault("agent_offline", seconds=30)
    first = await send(call)
    assert (await rows(call, invocation_status="Pending"))[0]["InvokeId"] == first
    await clock.advance(31)
    assert await outcome(call, first) == ("Success", "")
    await call.fault("agent_offline", seconds=90)
    second = await send(call, instance_id=[WEB, OTHER], name="b.txt")
    await clock.advance(61)
    assert await outcome(call, second) == ("Aborted", "ClientNotRunning")
    assert (await rows(call, invoke_id=second))[0]["InvocationStatus"] == "PartialFailed"


async def test_an_instance_that_is_stopped_or_released_gets_no_file(call: Caller) -> None:
    assert await outcome(call, await send(call, instance_id=[OFF])) == ("Aborted", "InstanceNotRunning")
    await call.fault("agent_offline")
    invoke_id = await send(call)
    call.simulator.cloud.release(call.simulator.cloud.hosts[WEB])
    assert await outcome(call, invoke_id) == ("Failed", "InstanceReleased")
    assert (await rows(call, invoke_id=invoke_id))[0]["InvocationStatus"] == "Failed"


async def test_files_are_found_by_what_they_are(call: Caller) -> None:
    tag = [models.SendFileRequestTag(key="team", value="ops")]
    first = await send(call, tag=tag, resource_group_id="rg-1")
    second = await send(call, name="b.txt", instance_id=[WEB, OTHER], client_token="token")
    assert await send(call, name="b.txt", instance_id=[WEB, OTHER], client_token="token") == second

    async def found(**filters: Any) -> list[str]:
        return [row["InvokeId"] for row in await rows(call, **filters)]

    assert await found() == [second, first]
    assert await found(name="b.txt") == await found(instance_id=OTHER) == [second]
    assert len((await rows(call, instance_id=OTHER))[0]["InvokeInstances"]["InvokeInstance"]) == 1
    assert await found(resource_group_id="rg-1") == [first]
    assert await found(tag=[models.DescribeSendFileResultsRequestTag(key="team", value="ops")]) == [first]
    page = await call("DescribeSendFileResults", region_id=REGION, max_results=1)
    assert await found(max_results=1, next_token=page["NextToken"]) == [first]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"instance_id": []}, (400, "MissingParam.InstanceId")),
        ({"instance_id": [f"i-{number}" for number in range(51)]}, (403, "InstanceIds.ExceedLimit")),
        ({"instance_id": ["i-nope"]}, (404, "InvalidInstance.NotFound")),
        ({"name": ""}, (400, "MissingParameter.Name")),
        ({"name": "x" * 256}, (403, "FileName.ExceedLimit")),
        ({"target_dir": ""}, (400, "MissingParameter.TargetDir")),
        ({"target_dir": "/" * 256}, (400, "FileTargetDir.Invalid")),
        ({"description": "x" * 513}, (403, "FileDesc.ExceedLimit")),
        ({"file_mode": "99"}, (400, "FileMode.Invalid")),
        ({"file_owner": "x" * 65}, (400, "InvalidParameter.FileOwner")),
        ({"content": ""}, (400, "MissingParameter.Content")),
        ({"content_type": "Text"}, (400, "FileContentType.Invalid")),
        ({"content": "?", "content_type": "Base64"}, (400, "FileContent.DecodeError")),
        ({"content": "x" * 24_577}, (403, "FileSize.ExceedLimit")),
        ({"timeout": 86_401}, (403, "InvalidTimeout.ExceedLimit")),
    ],
)
async def test_what_send_file_refuses(call: Caller, change: dict[str, Any], code: tuple[int, str]) -> None:
    with pytest.raises(AlibabaCloudException) as caught:
        await send(call, **change)
    assert (caught.value.status_code, caught.value.code) == code


@pytest.fixture
async def real(tmp_path: Path, namespaces: None) -> AsyncIterator[Caller]:
    async with serving(make_fleet(INSTANCES[0]), tmp_path) as caller:
        yield caller


async def output(call: Caller, script: str) -> str:
    text: str = (await call.result(await call.run(script, WEB), WEB))["Output"]
    return text


async def test_a_file_arrives_on_a_real_machine(real: Caller) -> None:
    content = bytes(range(256)) * 90
    encoded = base64.b64encode(content).decode()
    invoke_id = await send(real, name="b in", content=encoded, content_type="Base64", file_mode="4750")
    assert await outcome(real, invoke_id) == ("Success", "")
    assert (await rows(real))[0]["Content"] == encoded
    assert await output(real, "stat -c '%a %U %s' '/opt/app/b in'; stat -c %a /opt/app") == "750 root 23040\n755\n"
    # Written in place: the file stays whose it is, and a link leads where it led.
    look = "stat -c '%U %i' '/opt/app/b in'"
    before = await output(real, f"chown nobody '/opt/app/b in' 2>/dev/null; {look}")
    assert await outcome(real, await send(real, name="b in", overwrite=True)) == ("Success", "")
    assert await output(real, look) == before
    await output(real, "ln -s /root/target /opt/app/link; ln -s /nowhere/x /opt/app/broken")
    assert await outcome(real, await send(real, name="link")) == ("Invalid", "FileAlreadyExists")
    assert await outcome(real, await send(real, name="link", content="-n x\n", overwrite=True)) == ("Success", "")
    assert await output(real, "cat /root/target; test -L /opt/app/link && echo link") == "-n x\nlink\n"
    assert await outcome(real, await send(real, name="broken", overwrite=True)) == ("Failed", "FileCreateFail")


async def test_what_a_real_machine_refuses(real: Caller) -> None:
    assert await outcome(real, await send(real, name="../out")) == ("Success", "")
    assert await output(real, "cat /opt/out; stat -c %a /opt/out") == "hello\n644\n"
    assert await outcome(real, await send(real, name="sub/a")) == ("Failed", "FileCreateFail")
    assert await outcome(real, await send(real, target_dir="/etc/passwd/x")) == ("Failed", "FilePathInvalid")
    # What belongs to nobody is there all the same.
    assert await outcome(real, await send(real, name="owned", file_owner="who")) == ("Invalid", "AccountNotExists")
    assert await outcome(real, await send(real, name="group", file_group="who")) == ("Invalid", "UserGroupNotExists")
    assert await output(real, "cat /opt/app/owned /opt/app/group") == "hello\nhello\n"
    # Who names one of the two means root by the other.
    assert await outcome(real, await send(real, name="half", file_group="root")) == ("Success", "")
    assert await output(real, "stat -c %U:%G /opt/app/half") == "root:root\n"
