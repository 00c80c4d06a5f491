# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at invocations, and stopping them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._cloud_assistant.look import (
    invocation_info,
    stop_invocation,
)
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import BadInput
from ansible_collections.cloudops.alibaba.tests.unit.fakes import FakeApi, FakeClock, Lines, api_error, task


def stop(api: FakeApi, invoke_id: str, *instance_ids: str, dry: bool = False) -> dict[str, Any]:
    return stop_invocation(
        api,
        invoke_id,
        instance_ids or None,
        timeout_s=60,
        dry=dry,
        clock=api.clock,
        progress=Lines(api.clock),
    )


def started(count: int) -> tuple[FakeApi, str, list[str]]:
    """A command that runs for long on all instances but the first."""
    ids = [f"i-{number:03d}" for number in range(count)]
    api = FakeApi.of(FakeClock(), *ids, seconds=lambda id_: 0 if id_ == ids[0] else 1e9)
    return api, api.run_command(ids, content="sleep")[0], ids


def test_it_is_stopped_where_it_runs_fifty_a_call() -> None:
    api, invoke_id, ids = started(100)
    result = stop(api, invoke_id)
    assert [len(call) for call in api.called("stop_invocation")] == [50, 49]
    assert (result["changed"], result["stopped_ids"], result["running_ids"]) == (True, ids[1:], [])
    assert result["instances"][ids[0]]["ok"]
    again = stop(api, invoke_id)
    assert (again["changed"], again["stopped_ids"]) == (False, [])
    assert len(api.called("stop_invocation")) == 2


def test_only_the_chosen_instances_are_stopped() -> None:
    api, invoke_id, ids = started(4)
    result = stop(api, invoke_id, ids[2])
    assert (list(result["instances"]), result["stopped_ids"]) == ([ids[2]], [ids[2]])
    assert len(api.unfinished) == 2


def test_check_mode_stops_nothing() -> None:
    api, invoke_id, ids = started(3)
    result = stop(api, invoke_id, dry=True)
    assert (result["changed"], result["stopped_ids"], result["running_ids"]) == (True, [], ids[1:])
    assert api.called("stop_invocation") == []
    assert "failed" not in result


def test_what_does_not_end_fails() -> None:
    api, invoke_id, ids = started(2)
    api.unfinished.clear()  # the stop finds nothing, and the agent says nothing
    result = stop(api, invoke_id)
    assert result["failed"]
    assert result["running_ids"] == ids[1:]
    assert "still runs on 1 instance, i-001 among them. The agent has not said" in result["msg"]


def test_what_may_not_be_stopped_fails_with_the_reason() -> None:
    api, invoke_id, _ids = started(2)
    api.refuse_stop = lambda: api_error("Forbidden.RAM")
    result = stop(api, invoke_id)
    assert (result["changed"], result["failed"]) == (False, True)
    assert "Forbidden.RAM" in result["msg"]


def test_strangers_are_refused() -> None:
    api, invoke_id, _ids = started(2)
    with pytest.raises(BadInput, match="There is no invocation t-nope"):
        stop(api, "t-nope")
    with pytest.raises(BadInput, match=f"i-x has no part in {invoke_id}"):
        stop(api, invoke_id, "i-x")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"invoke_id": "['t-1']"},
            "invoke_id is \"['t-1']\", which is not an id. Where there are several, give one at",
        ),
        ({"instance_ids": []}, "instance_ids is empty: nothing to do."),
        ({"instance_ids": ["i-1", "i-1"]}, "i-1 is in instance_ids more than once."),
        ({"timeout_s": -1}, "timeout is -1, and no wait takes less than 0 seconds."),
    ],
)
def test_bad_input_is_refused_before_anything_is_asked(more: dict[str, Any], words: str) -> None:
    api = FakeApi.of(FakeClock(), "i-1")
    options: dict[str, Any] = {"invoke_id": "t-1", "instance_ids": None, "timeout_s": 60, "dry": False} | more
    with pytest.raises(BadInput) as caught:
        stop_invocation(api, **options, clock=api.clock, progress=Lines(api.clock))
    assert str(caught.value).startswith(words)
    assert api.calls == []


@pytest.mark.parametrize("option", ["invoke_ids", "instance_id", "command_id"])
def test_what_is_not_an_id_is_not_looked_for(option: str) -> None:
    api = FakeApi.of(FakeClock(), "i-1")
    value: Any = ["['t-1']"] if option == "invoke_ids" else "['t-1']"
    with pytest.raises(BadInput, match=f"{option} is .* which is not an id"):
        invocation_info(api, **{option: value})
    assert api.calls == []


def test_info_shows_outputs_only_when_asked() -> None:
    api = FakeApi.of(FakeClock(), "i-1", run=lambda t, i, c: task(t, i, output=b"hello"))
    invoke_id = api.run_command(["i-1"], content="echo")[0]
    api.run_command(["i-1"], content="other")
    for output in (False, True):
        found = invocation_info(api, invoke_ids=[invoke_id, "t-nope", invoke_id], output=output)
        assert list(found["invocations"]) == [invoke_id]
        assert found["missing"] == ["t-nope"]
        assert len(api.called("describe_invocation_results")) == output
    assert found["invocations"][invoke_id]["instances"]["i-1"]["output"] == "hello"
    assert len(invocation_info(api)["invocations"]) == 2
