# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What ecs_invocation_info and ecs_stop_invocation do: look at invocations, and stop them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._instances.ids import check_id, check_instance_ids
from .._instances.outcome import summarize
from .._progress import Progress, count
from .._sdk.errors import BadInput
from .._sdk.shapes import InvocationRow, format_time
from .._waiting import Clock, Deadline, wait_until
from .checks import check_wait
from .results import result_of_task
from .stop import stop_tasks
from .submit import CommandApi, Invocation
from .wait import find_invocation, invocation_of, is_final, look_at, poll_pauses, read_results


def invocation_info(
    api: CommandApi,
    *,
    invoke_ids: Sequence[str] | None = None,
    instance_id: str | None = None,
    command_id: str | None = None,
    command_name: str | None = None,
    tags: Mapping[str, str] | None = None,
    scheduled: bool | None = None,
    output: bool = False,
) -> dict[str, Any]:
    """The invocations that match, by id; the newest first."""
    for one in invoke_ids or []:
        check_id("invoke_ids", one)
    for option, value in (("instance_id", instance_id), ("command_id", command_id)):
        if value:
            check_id(option, value)
    rows: list[InvocationRow] = []
    for invoke_id in [None] if invoke_ids is None else list(dict.fromkeys(invoke_ids)):
        rows += api.describe_invocations(
            tags or {},
            invoke_id=invoke_id,
            instance_id=instance_id,
            command_id=command_id,
            command_name=command_name,
            scheduled=scheduled,
        )
    found = {row.invoke_id: _shape(api, row, output=output) for row in rows}
    return {
        "changed": False,
        "invocations": found,
        "missing": [invoke_id for invoke_id in invoke_ids or [] if invoke_id not in found],
    }


def stop_invocation(
    api: CommandApi,
    invoke_id: str,
    instance_ids: Sequence[str] | None,
    *,
    timeout_s: float,
    dry: bool,
    clock: Clock,
    progress: Progress,
) -> dict[str, Any]:
    """Stop an invocation where it still runs, and wait until the API says that it has ended there."""
    check_id("invoke_id", invoke_id)
    if instance_ids is not None:
        check_instance_ids(list(instance_ids))
    check_wait("timeout", timeout_s)
    found = find_invocation(api, invoke_id)
    if found is None:
        raise BadInput(f"There is no invocation {invoke_id} in {api.region_id}. Check the id and the region.")
    invocation, row = found
    strangers = [key for key in instance_ids or [] if key not in row.tasks]
    if strangers:
        raise BadInput(f"{strangers[0]} has no part in {invoke_id}.")
    chosen = tuple(instance_ids or row.tasks)
    invocation = Invocation(api, invoke_id, invocation.command_id, invocation.platform, chosen)
    running = [key for key in chosen if not is_final(row.tasks[key])]
    complaints: dict[str, str] = {}
    still = running
    if running and not dry:
        progress.say(f"Stopping invocation {invoke_id} on {count(len(running), 'instance')}")
        complaints = stop_tasks(api, invoke_id, running)
        asked = [key for key in running if key not in complaints]
        still = _wait_until_ended(invocation, asked, Deadline(clock, timeout_s), clock, progress) + list(complaints)
    results = {key: value for key, value in read_results(invocation).items() if key in chosen}
    outcome = {
        "changed": len(running) > len(complaints),
        "instances": summarize(results, chosen)["instances"],
        "stopped_ids": [key for key in running if key not in still],
        "running_ids": still,
    }
    if still and not dry:
        reason = next(iter(complaints.values()), "The agent has not said that it ended: look again later.")
        sentence = f"{invoke_id} still runs on {count(len(still), 'instance')}, {still[0]} among them. {reason}"
        outcome |= {"failed": True, "msg": sentence}
    return outcome


def _wait_until_ended(
    invocation: Invocation, instance_ids: Sequence[str], deadline: Deadline, clock: Clock, progress: Progress
) -> list[str]:
    """Those of the instances on which it has not ended when the deadline has passed."""

    def take() -> list[str]:
        tasks = look_at(invocation)
        still = [key for key in instance_ids if not is_final(tasks.get(key))]
        progress.update(f"{len(instance_ids) - len(still)} of {count(len(instance_ids), 'instance')} stopped")
        return still

    pauses = poll_pauses(clock, lambda: 1)
    return wait_until(take, lambda still: not still, deadline=deadline, clock=clock, pauses=pauses)


def _shape(api: CommandApi, row: InvocationRow, *, output: bool) -> dict[str, Any]:
    """An invocation as results show it: ids, times and outcomes, and never its script or its parameters."""
    invocation = invocation_of(api, row)
    if output:
        instances = read_results(invocation)
    else:
        instances = {
            key: result_of_task(task, region_id=api.region_id, command_id=row.command_id, platform=invocation.platform)
            for key, task in row.tasks.items()
        }
    return {
        "command_id": row.command_id,
        "name": row.name,
        "description": row.description,
        "type": row.command_type,
        "status": row.status,
        "repeat_mode": row.repeat_mode,
        "frequency": row.frequency,
        "timeout": row.timeout_s,
        "working_dir": row.working_dir,
        "username": row.username,
        "tags": dict(row.tags),
        "created_at": format_time(row.created_at),
        "instances": instances,
    }
