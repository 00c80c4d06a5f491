# SPDX-License-Identifier: GPL-3.0-or-later
"""DescribeInvocations and DescribeInvocationResults: which invocations and results a request asks for."""

from collections.abc import Callable, Iterable
from typing import Any

from ecs_simulator.agent.task import REPEATING, record_status
from ecs_simulator.api.invocation_rows import Result, invocation_row, result_row
from ecs_simulator.api.paging import read_page
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import invalid, missing
from ecs_simulator.cloud.invocation import Invocation

_MAXIMUM_PAGE = 50


def describe_invocations(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    instance_id = parameters.text("InstanceId")
    with_output = parameters.flag("IncludeOutput")
    if with_output and not instance_id and not parameters.text("InvokeId"):
        raise missing("InvokeId")
    wanted = _wanted_of_the_whole(parameters)
    found = [invocation for invocation in _matching(cloud, parameters) if wanted(invocation)]
    page = read_page(parameters, len(found), maximum=_MAXIMUM_PAGE)
    plain = wants_plain_text(parameters)
    rows = [
        invocation_row(invocation, instance_id, plain=plain, with_output=with_output) for invocation in page.cut(found)
    ]
    return {"Invocations": {"Invocation": rows}, **page.uncounted_fields()}


def describe_invocation_results(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    plain = wants_plain_text(parameters)
    instance_id = parameters.text("InstanceId")
    status = parameters.text("InvokeRecordStatus")
    with_history = parameters.flag("IncludeHistory")
    if with_history:
        _require_repeating(cloud, parameters)
    results = [
        result
        for invocation in _matching(cloud, parameters)
        for result in _results(invocation, with_history=with_history)
        if instance_id in ("", result.task.instance_id) and status in ("", result.status, record_status(result.status))
    ]
    page = read_page(parameters, len(results), maximum=_MAXIMUM_PAGE)
    rows = [result_row(result, plain=plain) for result in page.cut(results)]
    return {"Invocation": {"InvocationResults": {"InvocationResult": rows}, **page.uncounted_fields()}}


def wants_plain_text(parameters: Parameters) -> bool:
    """The answer's texts are Base64 unless asked for otherwise."""
    return parameters.text("ContentEncoding").lower() == "plaintext"


def _matching(cloud: Cloud, parameters: Parameters) -> list[Invocation]:
    """The region's invocations that a request asks for, the newest first; none is no error."""
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    tags = parameters.tags()
    instance_id = parameters.text("InstanceId")
    invoke_id, command_id = parameters.text("InvokeId"), parameters.text("CommandId")
    group_id = parameters.text("ResourceGroupId")
    return [
        invocation
        for invocation in _candidates(cloud, invoke_id, instance_id)
        if invocation.region_id == region_id
        and command_id in ("", invocation.command.id)
        and (not instance_id or instance_id in invocation.tasks)
        and group_id in ("", invocation.resource_group_id)
        and tags.items() <= invocation.tags.items()
    ]


def _candidates(cloud: Cloud, invoke_id: str, instance_id: str) -> Iterable[Invocation]:
    if invoke_id:
        invocation = cloud.invocations.get(invoke_id)
        return [invocation] if invocation else []
    host = cloud.hosts.get(instance_id)
    # Commands are there for longer than an instance that was released.
    return reversed(host.instance.invocations if host else cloud.invocations.values())


def _wanted_of_the_whole(parameters: Parameters) -> Callable[[Invocation], bool]:
    """The filters that only DescribeInvocations has; some count only without an InstanceId (SDK docstring).

    Without Timed there are commands of both kinds, although the docstring calls false the default: it could then not
    show a scheduled command by its id.
    """
    by_instance = bool(parameters.text("InstanceId"))
    name = "" if by_instance else parameters.text("CommandName")
    repeat = "" if by_instance else parameters.text("RepeatMode")
    status = parameters.text("InvokeStatus")
    if by_instance and status == "PartialFailed":
        status = ""
    command_type = parameters.text("CommandType")
    timed = parameters.flag("Timed") if parameters.text("Timed") else None
    return lambda invocation: (
        name in ("", invocation.command.name)
        and repeat in ("", invocation.command.repeat)
        and command_type in ("", invocation.command.type)
        and status in ("", invocation.status, invocation.record_status)
        and timed in (None, invocation.timed)
    )


def _require_repeating(cloud: Cloud, parameters: Parameters) -> None:
    invocation = cloud.invocations.get(parameters.required("InvokeId"))
    if invocation and invocation.command.repeat not in REPEATING:
        raise invalid("IncludeHistory", "needs the InvokeId of a command with RepeatMode Period or EveryReboot")


def _results(invocation: Invocation, *, with_history: bool) -> list[Result]:
    if with_history:
        return [
            Result(invocation, run, run.status, number)
            for runs in invocation.runs.values()
            for number, run in reversed(list(enumerate(runs, 1)))
        ]
    return [Result.last(invocation, task) for task in invocation.tasks.values()]
