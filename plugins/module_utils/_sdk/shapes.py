# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What the API answers, as typed rows. Times are seconds since the epoch, None where the API left them empty."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any


def parse_time(text: str | None) -> float | None:
    """An API time such as ``2026-11-22T01:02:03Z`` or ``2026-11-22T01:02Z``."""
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ"):
        try:
            return datetime.strptime(text or "", form).replace(tzinfo=timezone.utc).timestamp()
        except ValueError:
            continue
    return None


def format_time(seconds: float | None) -> str | None:
    """A time as results show it: ISO 8601 in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class InstanceRow:
    """One instance of DescribeInstances."""

    instance_id: str
    name: str
    region_id: str
    zone_id: str
    status: str
    os_type: str
    os_name: str
    private_ip: str
    public_ip: str
    tags: dict[str, str]
    started: float | None
    stopped_mode: str = ""
    """How it was stopped: StopCharging, KeepCharging, or Not-applicable."""

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> InstanceRow:
        return cls(
            instance_id=row["InstanceId"],
            name=row.get("InstanceName") or "",
            region_id=row.get("RegionId") or "",
            zone_id=row.get("ZoneId") or "",
            status=row.get("Status") or "",
            os_type=(row.get("OSType") or "").lower(),
            os_name=row.get("OSNameEn") or row.get("OSName") or "",
            private_ip=_first(row, "VpcAttributes", "PrivateIpAddress") or _first(row, "InnerIpAddress"),
            public_ip=_first(row, "PublicIpAddress") or (row.get("EipAddress") or {}).get("IpAddress") or "",
            tags={tag["TagKey"]: tag.get("TagValue") or "" for tag in (row.get("Tags") or {}).get("Tag") or []},
            started=parse_time(row.get("StartTime")),
            stopped_mode=row.get("StoppedMode") or "",
        )


def _first(row: Mapping[str, Any], *path: str) -> str:
    """The first address of a nested ``IpAddress`` list, or an empty text."""
    value: Any = row
    for name in path:
        value = value.get(name) or {}
    addresses = value.get("IpAddress") or []
    return str(addresses[0]) if addresses else ""


@dataclass(frozen=True)
class AgentRow:
    """One instance of DescribeCloudAssistantStatus."""

    instance_id: str
    online: bool
    version: str
    os_type: str
    last_heartbeat: float | None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> AgentRow:
        return cls(
            instance_id=row["InstanceId"],
            online=str(row.get("CloudAssistantStatus")).lower() == "true",
            version=row.get("CloudAssistantVersion") or "",
            os_type=(row.get("OSType") or "").lower(),
            last_heartbeat=parse_time(row.get("LastHeartbeatTime")),
        )


@dataclass(frozen=True)
class ManagedRow:
    """One managed instance of DescribeManagedInstances. It has no status: it is connected or not."""

    instance_id: str
    os_type: str
    connected: bool
    agent_version: str

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> ManagedRow:
        return cls(
            instance_id=row["InstanceId"],
            os_type=(row.get("OsType") or "").lower(),
            connected=str(row.get("Connected")).lower() == "true",
            agent_version=row.get("AgentVersion") or "",
        )


@dataclass(frozen=True)
class TaskRow:
    """A command on one instance, as DescribeInvocations and DescribeInvocationResults show it."""

    invoke_id: str
    instance_id: str
    status: str
    exit_code: int | None
    error_code: str
    error_info: str
    output: bytes
    dropped: int
    started: float | None
    finished: float | None

    @classmethod
    def read(cls, invoke_id: str, row: Mapping[str, Any]) -> TaskRow:
        return cls(
            invoke_id=invoke_id,
            instance_id=row["InstanceId"],
            status=row.get("InvocationStatus") or "",
            exit_code=row.get("ExitCode"),
            error_code=row.get("ErrorCode") or "",
            error_info=row.get("ErrorInfo") or "",
            output=_decode(row.get("Output")),
            dropped=row.get("Dropped") or 0,
            started=parse_time(row.get("StartTime")),
            # The two calls spell it differently.
            finished=parse_time(row.get("FinishedTime") or row.get("FinishTime")),
        )


def _decode(output: str | None) -> bytes:
    try:
        return base64.b64decode(output or "")
    except binascii.Error:
        return (output or "").encode()


@dataclass(frozen=True)
class InvocationRow:
    """One invocation of DescribeInvocations."""

    invoke_id: str
    command_id: str
    command_type: str
    tasks: dict[str, TaskRow]
    created_at: float | None = None
    name: str = ""
    description: str = ""
    status: str = ""
    repeat_mode: str = ""
    frequency: str = ""
    timeout_s: int = 0
    working_dir: str = ""
    username: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> InvocationRow:
        instances = (row.get("InvokeInstances") or {}).get("InvokeInstance") or []
        tasks = [TaskRow.read(row["InvokeId"], instance) for instance in instances]
        return cls(
            invoke_id=row["InvokeId"],
            command_id=row.get("CommandId") or "",
            command_type=row.get("CommandType") or "",
            tasks={task.instance_id: task for task in tasks},
            created_at=parse_time(row.get("CreationTime")),
            name=row.get("CommandName") or "",
            description=row.get("CommandDescription") or "",
            status=row.get("InvocationStatus") or "",
            repeat_mode=row.get("RepeatMode") or "",
            frequency=row.get("Frequency") or "",
            timeout_s=int(row.get("Timeout") or 0),
            working_dir=row.get("WorkingDir") or "",
            username=row.get("Username") or "",
            tags={tag["TagKey"]: tag.get("TagValue") or "" for tag in (row.get("Tags") or {}).get("Tag") or []},
        )


@dataclass(frozen=True)
class PowerRow:
    """One instance's answer to RebootInstances, StopInstances or StartInstances."""

    instance_id: str
    code: str
    message: str

    @property
    def accepted(self) -> bool:
        return self.code == "200"

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> PowerRow:
        return cls(row["InstanceId"], str(row.get("Code") or ""), row.get("Message") or "")


@dataclass(frozen=True)
class EventRow:
    """One system event of DescribeInstanceHistoryEvents."""

    event_id: str
    instance_id: str
    type: str
    status: str
    reason: str
    not_before: float | None
    published: float | None
    finished: float | None = None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> EventRow:
        return cls(
            event_id=row["EventId"],
            instance_id=row.get("InstanceId") or "",
            type=(row.get("EventType") or {}).get("Name") or "",
            status=(row.get("EventCycleStatus") or {}).get("Name") or "",
            reason=row.get("Reason") or "",
            not_before=parse_time(row.get("NotBefore")),
            published=parse_time(row.get("EventPublishTime")),
            finished=parse_time(row.get("EventFinishTime")),
        )
