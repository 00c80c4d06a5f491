# SPDX-License-Identifier: GPL-3.0-or-later
"""Saved commands become what they shall be, with as little as that needs."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._cloud_assistant.saved import (
    Wish,
    command_info,
    remove_command,
    save_command,
)
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import ApiError, BadInput
from ansible_collections.cloudops.alibaba.tests.unit.fakes import FakeApi, FakeClock, api_error, saved


def cloud(*ids: str) -> FakeApi:
    api = FakeApi.of(FakeClock())
    api.commands = {id_: saved(id_, name=id_) for id_ in ids}
    return api


def save(api: FakeApi, content: str = "echo", *, command_id: str | None = None, dry: bool = False, **more: Any) -> Any:
    return save_command(lambda: api, Wish(content, **more), command_id=command_id, dry=dry)


def changes(api: FakeApi) -> list[str]:
    return [name for name, _what in api.calls if name != "describe_commands"]


def test_a_new_command_has_our_timeout() -> None:
    api = cloud()
    result = save(api, name="new")
    assert result["changed"]
    assert result["diff"]["before"] == ""
    assert api.commands[result["command_id"]].timeout_s == 3600
    assert save(api, name="new")["changed"] is False
    assert changes(api) == ["create_command"]


def test_what_is_not_wished_for_stays() -> None:
    api = cloud("c-1")
    api.commands["c-1"] = saved("c-1", name="c-1", description="mine", timeout_s=77, tags={"a": "b"}, launcher="nice")
    assert save(api, name="c-1")["changed"] is False
    assert changes(api) == []


@pytest.mark.parametrize(
    "more", [{"description": "new"}, {"timeout_s": 120}, {"working_dir": "/tmp"}, {"launcher": "nice"}]
)
@pytest.mark.parametrize("dry", [True, False])
def test_what_the_api_can_change_is_changed_in_place(more: dict[str, Any], dry: bool) -> None:
    api = cloud("c-1")
    result = save(api, name="c-1", dry=dry, **more)
    assert (result["changed"], result["command_id"], result["replaced_id"]) == (True, "c-1", None)
    assert api.called("modify_command") == ([] if dry else [more])
    assert result["diff"]["before"] != result["diff"]["after"]


@pytest.mark.parametrize(
    "more",
    [
        {"content": "other"},
        {"type": "RunBatScript"},
        {"enable_parameter": True},
        {"tags": {"a": "b"}},
        {"resource_group_id": "rg-1"},
        {"content": "other", "description": "new"},
    ],
)
def test_what_it_cannot_change_needs_a_new_command(more: dict[str, Any]) -> None:
    api = cloud("c-1")
    rehearsed = save(api, name="c-1", dry=True, **more)
    assert (rehearsed["changed"], rehearsed["replaced_id"], changes(api)) == (True, "c-1", [])
    result = save(api, name="c-1", **more)
    assert changes(api) == ["create_command", "delete_command"]
    assert list(api.commands) == [result["command_id"]]
    assert save(api, name="c-1", **more)["changed"] is False


def test_a_name_can_be_changed_by_id() -> None:
    api = cloud("c-1")
    assert save(api, command_id="c-1", name="other")["changed"]
    assert api.commands["c-1"].name == "other"
    with pytest.raises(BadInput, match="There is no saved command c-2"):
        save(api, command_id="c-2")


def test_what_is_not_an_id_is_neither_saved_nor_deleted_nor_looked_for() -> None:
    api = cloud("c-1")
    several = "['c-1']"
    with pytest.raises(BadInput, match=r"command_id is .* which is not an id"):
        save(api, command_id=several)
    with pytest.raises(BadInput, match=r"command_id is .* which is not an id"):
        remove_command(lambda: api, command_id=several, name=None, dry=False)
    with pytest.raises(BadInput, match=r"command_ids is .* which is not an id"):
        command_info(api, command_ids=[several], name=None, script_type=None, tags={}, content=False)
    assert api.calls == []


def test_a_name_is_a_name_and_not_a_pattern() -> None:
    api = cloud("c-1", "c-2")
    assert remove_command(lambda: api, command_id=None, name="c-*", dry=False)["changed"] is False
    api.commands["c-3"] = saved("c-3", name="c-1")
    with pytest.raises(
        BadInput, match="2 saved commands in cn-test are named 'c-1': say by command_id which of c-1, c-3"
    ):
        save(api, name="c-1")


def test_a_command_is_removed_once() -> None:
    api = cloud("c-1")
    for dry, changed in ((True, True), (False, True), (False, False)):
        result = remove_command(lambda: api, command_id=None, name="c-1", dry=dry)
        assert (result["changed"], bool(result["diff"]["before"]), result["diff"]["after"]) == (changed, changed, "")


def test_one_that_somebody_else_deleted_is_deleted() -> None:
    api = cloud("c-1")
    look = api.describe_commands
    errors: list[ApiError] = []

    def describe(**which: Any) -> Any:
        rows = list(look(**which))
        api.commands.clear()
        return iter(rows)

    api.describe_commands = describe  # type: ignore[method-assign]
    assert remove_command(lambda: api, command_id="c-1", name=None, dry=False)["changed"]

    def refuse(command_id: str) -> None:
        errors.append(api_error("Forbidden.RAM"))
        raise errors[0]

    api.commands = {"c-1": saved("c-1")}
    api.delete_command = refuse  # type: ignore[method-assign]
    with pytest.raises(ApiError):
        remove_command(lambda: api, command_id="c-1", name=None, dry=False)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"content": ""}, "The script is empty"),
        ({"content": "x" * 14_000}, "at most 18432 of a command that is kept"),
        ({"name": "n" * 129}, "name has 129 characters"),
        ({"timeout_s": 5}, "timeout is 5 s"),
        ({"tags": {"": "x"}}, "too long"),
        ({"launcher": "x" * 1025}, "launcher has 1025 bytes"),
    ],
)
def test_what_the_api_would_refuse_is_refused(more: dict[str, Any], words: str) -> None:
    api = cloud()
    with pytest.raises(BadInput, match=words):
        save(api, **{"name": "c", **more})
    assert api.calls == []


def test_info_returns_scripts_only_when_asked() -> None:
    api = cloud("c-1", "c-2")
    nothing: dict[str, Any] = {"name": None, "script_type": None, "tags": {}}
    found = command_info(api, command_ids=["c-1", "c-9", "c-1"], content=False, **nothing)
    assert (list(found["commands"]), found["missing"]) == (["c-1"], ["c-9"])
    assert "content" not in found["commands"]["c-1"]
    found = command_info(api, command_ids=None, content=True, **nothing)
    assert [row["content"] for row in found["commands"].values()] == ["echo", "echo"]
