# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What the calls about commands take and answer, beside invocations and their tasks."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .shapes import parse_time


@dataclass(frozen=True, kw_only=True)
class Running:
    """How a command runs: what RunCommand and InvokeCommand both take. What is None is left to the API."""

    timeout_s: int | None = None
    working_dir: str | None = None
    username: str | None = None
    windows_password_name: str | None = None
    container_id: str | None = None
    container_name: str | None = None
    launcher: str | None = None
    termination_mode: str | None = None
    repeat_mode: str | None = None
    frequency: str | None = None
    oss_output_delivery: str | None = None
    resource_group_id: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    def as_request(self) -> dict[str, Any]:
        """The attributes of an SDK request, without tags: each request has a class of its own for those."""
        given = {
            "timeout": self.timeout_s,
            "working_dir": self.working_dir,
            "username": self.username,
            "windows_password_name": self.windows_password_name,
            "container_id": self.container_id,
            "container_name": self.container_name,
            "launcher": self.launcher,
            "termination_mode": self.termination_mode,
            "repeat_mode": self.repeat_mode,
            "frequency": self.frequency,
            "oss_output_delivery": self.oss_output_delivery,
            "resource_group_id": self.resource_group_id,
            "parameters": dict(self.parameters) or None,
        }
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class CommandRow:
    """One command of DescribeCommands."""

    command_id: str
    name: str
    description: str
    type: str
    content: str
    timeout_s: int
    working_dir: str
    launcher: str
    enable_parameter: bool
    parameter_names: tuple[str, ...]
    tags: dict[str, str]
    resource_group_id: str
    created: float | None
    invoke_times: int
    optional_parameters: tuple[str, ...] = ()
    """Those that have a value when none is passed, or need none."""

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> CommandRow:
        return cls(
            command_id=row["CommandId"],
            name=row.get("Name") or "",
            description=row.get("Description") or "",
            type=row.get("Type") or "",
            content=_text(row.get("CommandContent") or ""),
            timeout_s=int(row.get("Timeout") or 0),
            working_dir=row.get("WorkingDir") or "",
            launcher=row.get("Launcher") or "",
            enable_parameter=bool(row.get("EnableParameter")),
            parameter_names=tuple((row.get("ParameterNames") or {}).get("ParameterName") or ()),
            tags={tag["TagKey"]: tag.get("TagValue") or "" for tag in (row.get("Tags") or {}).get("Tag") or []},
            resource_group_id=row.get("ResourceGroupId") or "",
            created=parse_time(row.get("CreationTime")),
            invoke_times=int(row.get("InvokeTimes") or 0),
            optional_parameters=tuple(
                definition["ParameterName"]
                for definition in (row.get("ParameterDefinitions") or {}).get("ParameterDefinition") or ()
                if definition.get("DefaultValue") is not None or definition.get("Required") is False
            ),
        )


def _text(content: str) -> str:
    """A script, which comes in Base64."""
    try:
        return base64.b64decode(content, validate=True).decode("utf-8", "replace")
    except binascii.Error:
        return content
