# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong with requests, as the real SDK sees it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from alibabacloud_ecs20140526 import models
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from darabonba.runtime import RuntimeOptions
from ecs_simulator.errors import FleetError
from simulator_helpers import REGION, Caller, make_fleet, serving

WEB = "i-bp1testweb000000001"
COMMAND = {
    "region_id": REGION,
    "type": "RunShellScript",
    "command_content": "true",
    "instance_id": [WEB],
}


def fleet(*faults: dict[str, Any], **more: Any) -> Any:
    web = {"name": "web-01", "id": WEB, "machine": "scripted"}
    return make_fleet(web, {"name": "more-{n:02d}", "count": 24, "machine": "scripted"}, faults=list(faults), **more)


@pytest.fixture
async def call(tmp_path: Path) -> AsyncIterator[Caller]:
    async with serving(fleet(), tmp_path) as caller:
        yield caller


async def add(call: Caller, action: str, fault: str, **more: Any) -> None:
    assert await call.post_fault({"on": {"action": action}, "fault": fault, **more}) == (200, {})


async def control(call: Caller, method: str, path: str = "") -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{call.url}/_simulator/faults{path}") as answer,
    ):
        return answer.status, await answer.json()


async def refusal(call: Caller, action: str, **parameters: Any) -> AlibabaCloudException:
    with pytest.raises(AlibabaCloudException) as caught:
        await call(action, **parameters)
    return caught.value


async def commands(call: Caller) -> int:
    answer = await call("DescribeInvocations", region_id=REGION)
    total: int = answer["TotalCount"]
    return total


async def names(call: Caller, **more: Any) -> tuple[list[str], str]:
    """The names on a page, and the token of the next one."""
    answer = await call("DescribeInstances", region_id=REGION, max_results=10, **more)
    return [row["InstanceName"] for row in answer["Instances"]["Instance"]], answer["NextToken"]


async def test_a_caller_is_throttled_as_often_as_it_says(tmp_path: Path) -> None:
    fault = {"on": {"action": "RunCommand"}, "fault": "throttle", "times": 2, "seconds": 0.25}
    async with serving(fleet(fault), tmp_path) as call:
        for _time in range(2):
            error = await refusal(call, "RunCommand", **COMMAND)
            assert (error.status_code, error.code) == (400, "Throttling.User")
            # Milliseconds, as the SDK's own retry takes it.
            assert error.retry_after == 250
        assert (await call("RunCommand", **COMMAND))["InvokeId"]
        assert await commands(call) == 1
        assert call.faults() == [("throttle", None)] * 2
        assert [row["code"] for row in call.requests("RunCommand")] == ["Throttling.User", "Throttling.User", "200"]


@pytest.mark.parametrize("took_effect", [False, True])
@pytest.mark.parametrize(("fault", "code"), [("http_500", "InternalError"), ("http_503", "ServiceUnavailable")])
async def test_the_service_fails_before_or_after_it_did_what_was_asked(
    call: Caller, fault: str, code: str, took_effect: bool
) -> None:
    await add(call, "RunCommand", fault, took_effect=took_effect)
    error = await refusal(call, "RunCommand", **COMMAND)
    assert (error.status_code, error.code) == (int(fault[-3:]), code)
    assert len(error.request_id) == 36
    assert await commands(call) == int(took_effect)
    assert ("invoke_id" in call.requests("RunCommand")[0]) is took_effect


@pytest.mark.parametrize("took_effect", [False, True])
async def test_the_connection_is_cut_before_or_after_the_request_took_effect(call: Caller, took_effect: bool) -> None:
    await add(call, "RunCommand", "connection_cut", took_effect=took_effect)
    with pytest.raises(Exception, match=r"(?i)connection|disconnected"):
        await call("RunCommand", **COMMAND)
    assert await commands(call) == int(took_effect)
    assert [row["code"] for row in call.requests("RunCommand")] == [""]


async def test_an_answer_comes_late(call: Caller) -> None:
    await add(call, "RunCommand", "slow", seconds=3600)
    with pytest.raises(Exception, match=r"(?i)time"):
        await asyncio.to_thread(
            call._client.run_command_with_options,
            models.RunCommandRequest(**COMMAND),
            RuntimeOptions(read_timeout=200),
        )
    # It took effect at once, and whoever waits for longer than the simulator lives is answered in the end.
    assert await commands(call) == 1


async def test_a_late_answer_is_an_answer(call: Caller) -> None:
    await add(call, "RunCommand", "slow", seconds=0.2)
    assert (await call("RunCommand", **COMMAND))["InvokeId"]
    assert call.requests("RunCommand")[0]["milliseconds"] >= 200
    await add(call, "RunCommand", "slow", seconds=0.2)
    assert (await refusal(call, "RunCommand", **{**COMMAND, "type": "RunPerl"})).code == "InvalidCmdType.NotFound"


async def test_a_question_gets_the_answer_from_before(call: Caller) -> None:
    async def tell() -> tuple[str, int]:
        answer = await call("DescribeInvocations", region_id=REGION)
        rows = answer["Invocations"]["Invocation"]
        return rows[0]["InvokeId"] if rows else "", answer["TotalCount"]

    first = (await call("RunCommand", **COMMAND))["InvokeId"]
    await add(call, "Describe*", "stale", times=2)
    # Nobody has asked before, when there was nothing yet.
    assert await tell() == ("", 0)
    assert await tell() == ("", 0)
    assert await tell() == (first, 1)
    second = (await call("RunCommand", **COMMAND))["InvokeId"]
    await add(call, "DescribeInvocations", "stale")
    assert await tell() == (first, 1)
    assert await tell() == (second, 2)


async def test_what_was_not_asked_before_is_not_there_yet(call: Caller) -> None:
    await add(call, "DescribeInstances", "stale")
    assert await names(call) == ([], "")
    assert len((await names(call))[0]) == 10


@pytest.mark.parametrize("by_number", [False, True])
async def test_a_row_comes_twice_on_the_page_that_follows(call: Caller, by_number: bool) -> None:
    await add(call, "DescribeInstances", "duplicate_row")
    if by_number:
        pages = [
            [row["InstanceName"] for row in answer["Instances"]["Instance"]]
            for answer in [
                await call("DescribeInstances", region_id=REGION, page_size=10, page_number=number)
                for number in (1, 2, 3)
            ]
        ]
    else:
        first, token = await names(call)
        second, token = await names(call, next_token=token)
        third, token = await names(call, next_token=token)
        assert token == ""
        pages = [first, second, third]
    assert [len(page) for page in pages] == [10, 11, 5]
    assert pages[1][0] == pages[0][-1]
    assert len({name for page in pages for name in page}) == 25
    assert call.faults() == [("duplicate_row", None)]


async def test_only_requests_that_are_let_in_use_a_fault_up(call: Caller) -> None:
    await add(call, "RunCommand", "http_503")
    wrong = Caller(call.simulator, call.url, Path("/dev/null"), secret="wrong")
    assert (await refusal(wrong, "RunCommand", **COMMAND)).code == "SignatureDoesNotMatch"
    assert (await refusal(call, "RunCommand", **COMMAND)).code == "ServiceUnavailable"


async def test_faults_can_be_looked_at_and_taken_back(call: Caller) -> None:
    await add(call, "RunCommand", "throttle", times=3)
    await call.fault("power_loss", after="command_start")
    await refusal(call, "RunCommand", **COMMAND)
    status, answer = await control(call, "GET")
    assert status == 200
    assert answer["faults"] == [
        {
            "id": 1,
            "fault": "throttle",
            "action": "RunCommand",
            "times": 3,
            "seconds": 1.0,
            "took_effect": False,
            "left": 2,
        },
        {
            "id": 2,
            "fault": "power_loss",
            "instance_id": WEB,
            "after": {"event": "command_start", "text": ""},
            "times": 1,
            "seconds": None,
            "left": 1,
        },
    ]
    assert await control(call, "DELETE", "/1") == (200, {})
    assert (await call("RunCommand", **COMMAND))["InvokeId"]
    status, answer = await control(call, "DELETE", "/1")
    assert (status, answer["error"]) == (404, "no fault 1 waits; it may have come as often as it was to come")
    assert await control(call, "DELETE") == (200, {})
    assert await control(call, "GET") == (200, {"faults": []})


async def test_a_fault_that_waits_has_a_location(call: Caller) -> None:
    body = json.dumps({"on": {"action": "RunCommand"}, "fault": "http_500"})
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{call.url}/_simulator/faults", data=body) as answer:
            location = answer.headers["Location"]
        async with session.delete(f"{call.url}{location}") as answer:
            assert answer.status == 200
    assert (await call("RunCommand", **COMMAND))["InvokeId"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            {"on": {"action": "RunComand"}, "fault": "throttle"},
            "a fault's action is 'RunComand', and the simulator knows no such action; did you mean 'RunCommand'?",
        ),
        (
            {"on": {"action": "*Command"}, "fault": "throttle"},
            "on must name an action, such as RunCommand or Describe*, not '*Command'",
        ),
        (
            {"on": {"action": "RunCommand"}, "fault": "trottle"},
            "fault must be one of connection_cut, http_500, http_503, duplicate_row, stale, slow, throttle, not "
            "'trottle'; did you mean 'throttle'?",
        ),
        (
            {"on": {"action": "RunCommand"}, "fault": "stale"},
            "fault can be stale only on an action that reads, such as Describe*",
        ),
        ({"on": {"action": "RunCommand"}, "fault": "slow", "times": 0}, "times must be at least 1"),
        ({"on": {"action": "RunCommand"}, "fault": "slow", "seconds": 0}, "seconds must be above 0"),
        (
            {"on": {"action": "RunCommand"}, "fault": "http_500", "seconds": 1},
            "seconds goes with slow and throttle, not with http_500",
        ),
        (
            {"on": {"action": "RunCommand"}, "fault": "slow", "took_effect": True},
            "took_effect goes with connection_cut, http_500, http_503, not with slow",
        ),
        ({"on": {"action": "RunCommand", "instance": "web-01"}, "fault": "slow"}, "on.instance is not a known key"),
    ],
)
async def test_what_is_wrong_with_a_fault_is_said(call: Caller, body: Any, sentence: str) -> None:
    status, answer = await call.post_fault(body)
    assert status == 400
    assert answer["error"].startswith(sentence)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            {"throttling": {"RunComand": {"per_second": 1}}},
            "throttling.RunComand is 'RunComand', and the simulator knows no such action; did you mean 'RunCommand'?",
        ),
        (
            {"faults": [{"on": {"action": "RunComands"}, "fault": "slow"}]},
            "a fault's action is 'RunComands', and the simulator knows no such action; did you mean",
        ),
        (
            {"access_keys": [{"id": "demo", "secret": "x", "allow": ["ecs:RunComand"]}]},
            "what the access key demo is allowed is 'ecs:RunComand', and the simulator knows no such action; did you "
            "mean 'ecs:RunCommand'?",
        ),
        (
            {"roles": [{"name": "patcher", "allow": ["ecs:Describe*", "sts:Descibe*"]}]},
            "what the role patcher is allowed is 'sts:Descibe*', and the simulator knows no such action",
        ),
    ],
)
async def test_a_fleet_names_only_actions_that_there_are(tmp_path: Path, more: Any, sentence: str) -> None:
    with pytest.raises(FleetError) as caught:
        async with serving(make_fleet(**more), tmp_path):
            raise AssertionError("it serves")
    assert str(caught.value).startswith(sentence)
