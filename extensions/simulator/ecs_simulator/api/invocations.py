# SPDX-License-Identifier: GPL-3.0-or-later
"""DescribeInvocations and DescribeInvocationResults."""

import base64
import json
from typing import Any

from ecs_simulator.agent.task import Task
from ecs_simulator.api.paging import read_page
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.clock import iso
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.invocation import Invocation

_MAXIMUM_PAGE = 50


def describe_invocations(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    found = _matching(cloud, parameters)
    page = read_page(parameters, len(found), maximum=_MAXIMUM_PAGE)
    plain = _wants_plain_text(parameters)
    with_output = parameters.flag("IncludeOutput")
    instance_id = parameters.text("InstanceId")
    rows = []
    for invocation in page.cut(found):
        tasks = [task for task in invocation.tasks.values() if instance_id in ("", task.instance_id)]
        row = _describe_invocation(invocation, plain=plain)
        row["InvokeInstances"] = {
            "InvokeInstance": [_describe_task(task, plain=plain, with_output=with_output) for task in tasks]
        }
        rows.append(row)
    return {"Invocations": {"Invocation": rows}, **page.fields()}


def describe_invocation_results(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    plain = _wants_plain_text(parameters)
    instance_id = parameters.text("InstanceId")
    status = parameters.text("InvokeRecordStatus")
    tasks = [
        (invocation, task)
        for invocation in _matching(cloud, parameters)
        for task in invocation.tasks.values()
        if instance_id in ("", task.instance_id) and status in ("", task.record_status)
    ]
    page = read_page(parameters, len(tasks), maximum=_MAXIMUM_PAGE)
    rows = [_describe_result(invocation, task, plain=plain) for invocation, task in page.cut(tasks)]
    return {"Invocation": {"InvocationResults": {"InvocationResult": rows}, **page.fields()}}


def _matching(cloud: Cloud, parameters: Parameters) -> list[Invocation]:
    """The region's invocations that a request asks for, the newest first; none is no error."""
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    tags = parameters.tags()
    instance_id = parameters.text("InstanceId")
    return [
        invocation
        for invocation in reversed(cloud.invocations.values())
        if invocation.region_id == region_id
        and parameters.text("InvokeId") in ("", invocation.id)
        and parameters.text("CommandId") in ("", invocation.command.id)
        and (not instance_id or instance_id in invocation.tasks)
        and tags.items() <= invocation.tags.items()
    ]


def _wants_plain_text(parameters: Parameters) -> bool:
    """The answer's texts are Base64 unless asked for otherwise."""
    return parameters.text("ContentEncoding").lower() == "plaintext"


def _encode(content: bytes, *, plain: bool) -> str:
    return content.decode("utf-8", "replace") if plain else base64.b64encode(content).decode()


def _time(timestamp: float | None) -> str:
    return "" if timestamp is None else iso(timestamp)


def _tags(invocation: Invocation) -> dict[str, Any]:
    return {"Tag": [{"TagKey": key, "TagValue": value} for key, value in invocation.tags.items()]}


def _describe_invocation(invocation: Invocation, *, plain: bool) -> dict[str, Any]:
    command = invocation.command
    return {
        "InvokeId": invocation.id,
        "CommandId": command.id,
        "CommandName": command.name,
        "CommandDescription": command.description,
        "CommandType": command.type,
        "CommandContent": _encode(command.content, plain=plain),
        "CreationTime": iso(invocation.created),
        "InvocationStatus": invocation.status,
        "InvokeStatus": invocation.record_status,
        "RepeatMode": command.repeat,
        "Timed": False,
        "Frequency": command.frequency,
        "Parameters": json.dumps(dict(command.parameters)),
        "Timeout": command.timeout_s,
        "Username": command.username,
        "WorkingDir": command.working_dir,
        "TerminationMode": command.termination_mode,
        "Launcher": command.launcher,
        "ContainerId": command.container_id,
        "ContainerName": command.container_name,
        "Tags": _tags(invocation),
    }


def _describe_task(task: Task, *, plain: bool, with_output: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "InstanceId": task.instance_id,
        "InvocationStatus": task.status,
        "InstanceInvokeStatus": task.record_status,
        "CreationTime": iso(task.created),
        "StartTime": _time(task.started),
        "FinishTime": _time(task.finished),
        "StopTime": _time(task.stopped),
        "UpdateTime": iso(task.updated),
        "ErrorCode": task.error_code,
        "ErrorInfo": task.error_info,
        "Repeats": 1 if task.started else 0,
        "Timed": False,
        "Output": _encode(task.output, plain=plain) if with_output else "",
        "Dropped": task.dropped,
    }
    if task.exit_code is not None:
        row["ExitCode"] = task.exit_code
    return row


def _describe_result(invocation: Invocation, task: Task, *, plain: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "InvokeId": invocation.id,
        "CommandId": invocation.command.id,
        "InstanceId": task.instance_id,
        "InvocationStatus": task.status,
        "InvokeRecordStatus": task.record_status,
        "StartTime": _time(task.started),
        "FinishedTime": _time(task.finished),
        "StopTime": _time(task.stopped),
        "ErrorCode": task.error_code,
        "ErrorInfo": task.error_info,
        "Repeats": 1 if task.started else 0,
        "Output": _encode(task.output, plain=plain),
        "Dropped": task.dropped,
        "Username": invocation.command.username,
        "TerminationMode": invocation.command.termination_mode,
        "Launcher": invocation.command.launcher,
        "ContainerId": invocation.command.container_id,
        "ContainerName": invocation.command.container_name,
        "Tags": _tags(invocation),
    }
    if task.exit_code is not None:
        row["ExitCode"] = task.exit_code
    return row
