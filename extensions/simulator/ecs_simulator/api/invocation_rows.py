# SPDX-License-Identifier: GPL-3.0-or-later
"""How invocations and their results look in answers."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from ecs_simulator.agent.task import Command, Task, record_status
from ecs_simulator.clock import iso
from ecs_simulator.cloud.invocation import Invocation


@dataclass(frozen=True)
class Result:
    """A command on one instance, or one of its runs there."""

    invocation: Invocation
    task: Task
    status: str
    repeats: int

    @classmethod
    def last(cls, invocation: Invocation, task: Task) -> "Result":
        """The last run of an instance, with the status that the instance has now."""
        runs = invocation.runs.get(task.instance_id)
        repeats = len(runs) if runs else int(task.started is not None)
        return cls(invocation, task, invocation.status_on(task), repeats)


def invocation_row(invocation: Invocation, instance_id: str, *, plain: bool, with_output: bool) -> dict[str, Any]:
    """A row of DescribeInvocations, with all its instances or only one."""
    command = invocation.command
    results = (Result.last(invocation, task) for task in invocation.tasks.values())
    instances = [
        _instance_row(result, plain=plain, with_output=with_output)
        for result in results
        if instance_id in ("", result.task.instance_id)
    ]
    return {
        "InvokeId": invocation.id,
        "CommandId": command.id,
        "CommandName": command.name,
        "CommandDescription": command.description,
        "CommandType": command.type,
        "CommandContent": encode(command.content, plain=plain),
        "CreationTime": iso(invocation.created),
        "InvocationStatus": invocation.status,
        "InvokeStatus": invocation.record_status,
        "RepeatMode": command.repeat,
        "Timed": invocation.timed,
        "Frequency": command.frequency,
        "Parameters": json.dumps(dict(command.parameters)),
        "Timeout": command.timeout_s,
        "WorkingDir": command.working_dir,
        **_how(command),
        **tag_fields(invocation.tags),
        "InvokeInstances": {"InvokeInstance": instances},
    }


def result_row(result: Result, *, plain: bool) -> dict[str, Any]:
    """A row of DescribeInvocationResults."""
    task = result.task
    return {
        "InvokeId": result.invocation.id,
        "CommandId": result.invocation.command.id,
        "InvokeRecordStatus": record_status(result.status),
        "FinishedTime": _time(task.finished),
        "Output": encode(task.output, plain=plain),
        **_how(result.invocation.command),
        **tag_fields(result.invocation.tags),
        **_outcome(result),
    }


def _instance_row(result: Result, *, plain: bool, with_output: bool) -> dict[str, Any]:
    task = result.task
    return {
        "InstanceInvokeStatus": record_status(result.status),
        "CreationTime": iso(task.created),
        "FinishTime": _time(task.finished),
        "UpdateTime": iso(task.updated),
        "Timed": result.invocation.standing.get(task.instance_id) == "Scheduled",
        "Output": encode(task.output, plain=plain) if with_output else "",
        **_outcome(result),
    }


def _how(command: Command) -> dict[str, Any]:
    return {
        "Username": command.username,
        "TerminationMode": command.termination_mode,
        "Launcher": command.launcher,
        "ContainerId": command.container_id,
        "ContainerName": command.container_name,
    }


def _outcome(result: Result) -> dict[str, Any]:
    task = result.task
    row: dict[str, Any] = {
        "InstanceId": task.instance_id,
        "InvocationStatus": result.status,
        "StartTime": _time(task.started),
        "StopTime": _time(task.stopped),
        "ErrorCode": task.error_code,
        "ErrorInfo": task.error_info,
        "Repeats": result.repeats,
        "Dropped": task.dropped,
    }
    if task.exit_code is not None:
        row["ExitCode"] = task.exit_code
    return row


def encode(content: bytes, *, plain: bool) -> str:
    """A text of an answer, in Base64 unless asked for otherwise."""
    return content.decode("utf-8", "replace") if plain else base64.b64encode(content).decode()


def tag_fields(tags: dict[str, str]) -> dict[str, Any]:
    return {"Tags": {"Tag": [{"TagKey": key, "TagValue": value} for key, value in tags.items()]}}


def _time(timestamp: float | None) -> str:
    return "" if timestamp is None else iso(timestamp)
