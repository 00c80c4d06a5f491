# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What ecs_command and ecs_command_info do: saved commands as they are wished for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from .._instances.ids import check_id
from .._sdk import limits
from .._sdk.command_shapes import CommandRow
from .._sdk.errors import ApiError, BadInput
from .._sdk.shapes import format_time
from .checks import check_content, check_launcher, check_lengths, check_tags
from .command import DEFAULT_TIMEOUT_S

# What ModifyCommand can change; the rest needs a new command.
_CHANGEABLE = ("name", "description", "timeout_s", "working_dir", "launcher")
_COMPARED = (
    "name",
    "description",
    "type",
    "timeout",
    "working_dir",
    "launcher",
    "enable_parameter",
    "resource_group_id",
)


class SavedApi(Protocol):
    """The calls about saved commands; :class:`~.._sdk.ecs.Ecs` has them."""

    region_id: str

    def describe_commands(
        self,
        *,
        command_id: str | None = None,
        name: str | None = None,
        type: str | None = None,  # noqa: A002  the API's name
        tags: Mapping[str, str] | None = None,
    ) -> Iterator[CommandRow]: ...

    def create_command(self, command: CommandRow) -> str: ...

    def modify_command(self, command_id: str, changes: Mapping[str, Any]) -> None: ...

    def delete_command(self, command_id: str) -> None: ...


@dataclass(frozen=True)
class Wish:
    """A saved command as it shall be. What is None may be anything; a new command then gets the usual value."""

    content: str
    name: str | None = None
    type: str = "RunShellScript"
    description: str | None = None
    timeout_s: int | None = None
    working_dir: str | None = None
    launcher: str | None = None
    enable_parameter: bool = False
    tags: Mapping[str, str] | None = None
    resource_group_id: str | None = None

    def check(self) -> None:
        """Raise :class:`BadInput` for what the API would refuse."""
        check_content(self.content, {}, kept=True, enabled=self.enable_parameter)
        check_lengths(
            name=(self.name, limits.NAME_CHARACTERS),
            description=(self.description, limits.DESCRIPTION_CHARACTERS),
            working_dir=(self.working_dir, limits.WORKING_DIR_CHARACTERS),
        )
        check_launcher(self.launcher)
        check_tags(self.tags or {})
        if self.timeout_s is not None and self.timeout_s < limits.TIMEOUT_MINIMUM_S:
            raise BadInput(
                f"timeout is {self.timeout_s} s, and the least that the API takes is {limits.TIMEOUT_MINIMUM_S} s."
            )

    def applied_to(self, row: CommandRow) -> CommandRow:
        """The command that it becomes."""
        wished = {name: value for name, value in asdict(self).items() if value is not None}
        return replace(row, **wished)


_NEW = CommandRow(
    command_id="",
    name="",
    description="",
    type="",
    content="",
    timeout_s=DEFAULT_TIMEOUT_S,
    working_dir="",
    launcher="",
    enable_parameter=False,
    parameter_names=(),
    tags={},
    resource_group_id="",
    created=None,
    invoke_times=0,
)


def save_command(connect: Callable[[], SavedApi], wish: Wish, *, command_id: str | None, dry: bool) -> dict[str, Any]:
    """Make a saved command what it shall be: the one with the id, or the one of the name."""
    wish.check()
    if command_id:
        check_id("command_id", command_id)
    api = connect()
    before = _find(api, command_id, wish.name)
    if before is None and command_id:
        raise BadInput(f"There is no saved command {command_id} in {api.region_id}. Check the id and the region.")
    after = wish.applied_to(before or _NEW)
    replaced = None
    if before is None:
        changed = True
        after = replace(after, command_id="" if dry else api.create_command(after))
    else:
        changes = {name: value for name, value in asdict(after).items() if value != asdict(before)[name]}
        changed = bool(changes)
        if not changes.keys() <= set(_CHANGEABLE):
            # The new one first: at no time is there none.
            replaced = before.command_id
            after = replace(after, command_id="" if dry else api.create_command(after))
            if not dry:
                _delete(api, before.command_id)
        elif changes and not dry:
            api.modify_command(before.command_id, changes)
    return {
        "changed": changed,
        "command_id": after.command_id or None,
        "replaced_id": replaced,
        "diff": _diff(before, after),
    }


def remove_command(
    connect: Callable[[], SavedApi], *, command_id: str | None, name: str | None, dry: bool
) -> dict[str, Any]:
    """See that there is no saved command of this id or name."""
    if command_id:
        check_id("command_id", command_id)
    api = connect()
    before = _find(api, command_id, name)
    if before and not dry:
        _delete(api, before.command_id)
    return {
        "changed": before is not None,
        "command_id": before.command_id if before else None,
        "replaced_id": None,
        "diff": _diff(before, None),
    }


def command_info(
    api: SavedApi,
    *,
    command_ids: Sequence[str] | None,
    name: str | None,
    script_type: str | None,
    tags: Mapping[str, str],
    content: bool,
) -> dict[str, Any]:
    """The saved commands that match, by id."""
    for one in command_ids or []:
        check_id("command_ids", one)
    rows: list[CommandRow] = []
    for command_id in [None] if command_ids is None else list(dict.fromkeys(command_ids)):
        rows += api.describe_commands(command_id=command_id, name=name, type=script_type, tags=tags)
    found = {row.command_id: _shape(row) | ({"content": row.content} if content else {}) for row in rows}
    return {
        "changed": False,
        "commands": found,
        "missing": [command_id for command_id in command_ids or [] if command_id not in found],
    }


def _find(api: SavedApi, command_id: str | None, name: str | None) -> CommandRow | None:
    """The command of an id, or else the only one of a name: the API takes ``*`` in a name for any text."""
    if command_id:
        return next(iter(api.describe_commands(command_id=command_id)), None)
    named = [row for row in api.describe_commands(name=name) if row.name == name]
    if len(named) > 1:
        ids = ", ".join(row.command_id for row in named)
        raise BadInput(
            f"{len(named)} saved commands in {api.region_id} are named {name!r}: say by command_id which of {ids}."
        )
    return named[0] if named else None


def _delete(api: SavedApi, command_id: str) -> None:
    """Delete a command; one that is gone already is what was wanted."""
    try:
        api.delete_command(command_id)
    except ApiError as error:
        if not error.code.endswith(".NotFound"):
            raise


def _shape(row: CommandRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "description": row.description,
        "type": row.type,
        "timeout": row.timeout_s,
        "working_dir": row.working_dir,
        "launcher": row.launcher,
        "enable_parameter": row.enable_parameter,
        "parameter_names": list(row.parameter_names),
        "tags": row.tags,
        "resource_group_id": row.resource_group_id,
        "created_at": format_time(row.created),
        "invoke_times": row.invoke_times,
    }


def _diff(before: CommandRow | None, after: CommandRow | None) -> dict[str, str]:
    return {"before": _text(before), "after": _text(after)}


def _text(row: CommandRow | None) -> str:
    """A command as people compare it: what it is, line by line, and its script."""
    if row is None:
        return ""
    told = (
        "name",
        "description",
        "type",
        "timeout",
        "working_dir",
        "launcher",
        "enable_parameter",
        "resource_group_id",
    )
    shape = _shape(row)
    lines = [f"{name}: {shape[name]}" for name in told]
    lines += [f"tag {key}: {value}" for key, value in sorted(row.tags.items())]
    return "\n".join([*lines, "", row.content.rstrip("\n"), ""])
