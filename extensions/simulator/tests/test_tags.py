# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags of instances, invocations and saved commands."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models
from ecs_simulator.clock import ManualClock
from simulator_helpers import REGION, Caller, make_fleet, refused, serving

WEB, DB = "i-bp1testweb000000001", "i-bp1testdb0000000001"


@pytest.fixture
async def call(tmp_path: Path) -> AsyncIterator[Caller]:
    fleet = make_fleet({"name": "web-01", "id": WEB, "tags": {"app": "web"}}, {"name": "db-01", "id": DB})
    async with serving(fleet, tmp_path, machine="scripted") as caller:
        yield caller


async def tag(call: Caller, tags: dict[str, str], *ids: str, **more: Any) -> None:
    rows = [models.TagResourcesRequestTag(key=key, value=value) for key, value in tags.items()]
    asked = {"region_id": REGION, "resource_type": "instance", "resource_id": list(ids), "tag": rows, **more}
    await call("TagResources", **asked)


async def tags(call: Caller, *ids: str, **more: Any) -> list[tuple[str, str, str]]:
    asked = {"region_id": REGION, "resource_type": "instance", "resource_id": list(ids), **more}
    answer = await call("ListTagResources", **asked)
    return [(row["ResourceId"], row["TagKey"], row["TagValue"]) for row in answer["TagResources"]["TagResource"]]


async def test_instances_are_tagged_found_by_it_and_untagged(call: Caller) -> None:
    await tag(call, {"stage": "prod", "app": "shop"}, WEB, DB)
    assert await tags(call, WEB) == [(WEB, "app", "shop"), (WEB, "stage", "prod")]
    wanted = [models.DescribeInstancesRequestTag(key="stage", value="prod")]
    answer = await call("DescribeInstances", region_id=REGION, tag=wanted)
    assert answer["TotalCount"] == 2
    asked = {"region_id": REGION, "resource_type": "instance"}
    await call("UntagResources", resource_id=[WEB], tag_key=["stage", "not there"], **asked)
    assert await tags(call, WEB, DB) == [(WEB, "app", "shop"), (DB, "stage", "prod"), (DB, "app", "shop")]
    await call("UntagResources", resource_id=[WEB, DB], all=True, **asked)
    assert await tags(call, WEB, DB) == []


async def test_tags_may_be_read_later_than_they_are_written(tmp_path: Path, clock: ManualClock) -> None:
    fleet = make_fleet({"name": "web-01", "id": WEB}, settings={"tags_read_after_s": 3})
    async with serving(fleet, tmp_path, machine="scripted", clock=clock) as call:
        await tag(call, {"app": "web"}, WEB)
        assert await tags(call, WEB) == []
        await clock.advance(2)
        await call("UntagResources", region_id=REGION, resource_type="instance", resource_id=[WEB], tag_key=["app"])
        await clock.advance(1)
        assert await tags(call, WEB) == [(WEB, "app", "web")]
        await clock.advance(2)
        assert await tags(call, WEB) == []


async def test_a_tag_without_a_value_means_any(call: Caller) -> None:
    await tag(call, {"app": "db"}, DB)
    any_app = [models.ListTagResourcesRequestTag(key="app")]
    assert await tags(call, tag=any_app) == [(WEB, "app", "web"), (DB, "app", "db")]
    assert await tags(call, tag=[models.ListTagResourcesRequestTag(key="app", value="db")]) == [(DB, "app", "db")]


async def test_invocations_are_tagged_too(call: Caller) -> None:
    invoke_id = await call.run("echo", WEB, tag=[models.RunCommandRequestTag(key="run", value="7")])
    await tag(call, {"seen": "yes"}, invoke_id, resource_type="invocation")
    wanted = [models.DescribeInvocationsRequestTag(key="seen", value="yes")]
    answer = await call("DescribeInvocations", region_id=REGION, tag=wanted)
    assert [row["InvokeId"] for row in answer["Invocations"]["Invocation"]] == [invoke_id]
    assert await tags(call, invoke_id, resource_type="invocation") == [
        (invoke_id, "run", "7"),
        (invoke_id, "seen", "yes"),
    ]


async def test_saved_commands_are_tagged_too(call: Caller) -> None:
    command = {"region_id": REGION, "name": "greet", "type": "RunShellScript", "command_content": "ZWNobw=="}
    answer = await call("CreateCommand", tag=[models.CreateCommandRequestTag(key="team", value="web")], **command)
    command_id = answer["CommandId"]
    await tag(call, {"stage": "prod"}, command_id, resource_type="command")
    wanted = [models.DescribeCommandsRequestTag(key="stage", value="prod")]
    found = await call("DescribeCommands", region_id=REGION, tag=wanted)
    assert [row["CommandId"] for row in found["Commands"]["Command"]] == [command_id]
    await call("UntagResources", region_id=REGION, resource_type="command", resource_id=[command_id], tag_key=["team"])
    assert await tags(call, command_id, resource_type="command") == [(command_id, "stage", "prod")]


async def test_a_page_has_fifty_tags_at_most(call: Caller) -> None:
    invoke_ids = [await call.run("echo", WEB) for _number in range(3)]
    await tag(call, {f"key-{number}": "" for number in range(20)}, *invoke_ids, resource_type="invocation")
    asked = {"region_id": REGION, "resource_type": "invocation", "resource_id": invoke_ids}
    first = await call("ListTagResources", **asked)
    second = await call("ListTagResources", next_token=first["NextToken"], **asked)
    assert [len(page["TagResources"]["TagResource"]) for page in (first, second)] == [50, 10]
    assert second["NextToken"] == ""


@pytest.mark.parametrize(
    ("action", "change", "code"),
    [
        ("TagResources", {"resource_id": ["i-nope"]}, "InvalidResourceId.NotFound"),
        ("TagResources", {"resource_id": []}, "MissingParameter.ResourceId"),
        ("TagResources", {"resource_id": [f"i-{number}" for number in range(51)]}, "NumberExceed.ResourceIds"),
        ("TagResources", {"resource_type": "teapot"}, "InvalidResourceType.NotFound"),
        ("TagResources", {"tag": []}, "MissingParameter.Tag"),
        ("TagResources", {"tag": {f"k{number}": "" for number in range(21)}}, "NumberExceed.Tags"),
        ("TagResources", {"tag": {f"k{number}": "" for number in range(20)}}, "NumberExceed.Tags"),
        ("TagResources", {"tag": {"acs:x": "1"}}, "InvalidTagKey.Malformed"),
        ("TagResources", {"tag": {"see http://x": "1"}}, "InvalidTagKey.Malformed"),
        ("TagResources", {"tag": {"": "1"}}, "InvalidTagKey.Malformed"),
        ("TagResources", {"tag": {"k": "x" * 129}}, "InvalidTagValue.Malformed"),
        ("UntagResources", {}, "MissingParameter.TagKey"),
        ("UntagResources", {"tag_key": [f"k{number}" for number in range(21)]}, "NumberExceed.Tags"),
        ("ListTagResources", {"resource_id": []}, "MissingParameter.ResourceId"),
    ],
)
async def test_what_is_refused(call: Caller, action: str, change: dict[str, Any], code: str) -> None:
    good: dict[str, Any] = {"region_id": REGION, "resource_type": "instance", "resource_id": [WEB], **change}
    if action == "TagResources":
        rows = change.get("tag", {"k": "v"})
        good["tag"] = [models.TagResourcesRequestTag(key=key, value=value) for key, value in dict(rows).items()]
    assert (await refused(call, action, **good))[1] == code
    assert await tags(call, WEB) == [(WEB, "app", "web")]
