# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Waiting for invocations: one poll for each invocation, however many instances it has; outputs are read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .._instances.failure import Failure
from .._progress import Progress, count, duration
from .._sdk.errors import ApiError, CloudError, NoAnswer
from .._sdk.retry import may_repeat
from .._sdk.shapes import InvocationRow, TaskRow
from .._waiting import Clock, Deadline, wait_until
from .command import PLATFORMS
from .failures import FINAL_STATUSES
from .results import Result, result_of_failure, result_of_task
from .submit import CommandApi, Invocation


def wait_for(
    invocations: Sequence[Invocation], *, deadline: Deadline, clock: Clock, progress: Progress
) -> dict[str, Result]:
    """Wait until every instance of the invocations is finished or the deadline passes; the result of each.

    What is not finished then, or what the API refuses to tell, is ``lost``: it may still run, and nothing is stopped.
    """
    if not invocations:
        return {}
    total = sum(len(invocation.instance_ids) for invocation in invocations)
    ids = ", ".join(invocation.invoke_id for invocation in invocations)
    progress.say(f"Waiting for {count(total, 'instance')}, at most {duration(deadline.left_s)}: invocation {ids}")
    tasks: dict[str, TaskRow] = {}
    open_invocations = list(invocations)

    def take() -> Mapping[str, TaskRow]:
        for invocation in list(open_invocations):
            try:
                seen = look_at(invocation)
            except CloudError:
                open_invocations.remove(invocation)  # reading the results says why
                continue
            tasks.update(seen)
            if all(is_final(seen.get(instance_id)) for instance_id in invocation.instance_ids):
                open_invocations.remove(invocation)
        progress.update(_line(tasks, total))
        return tasks

    wait_until(take, lambda _tasks: not open_invocations, deadline=deadline, clock=clock)
    results: dict[str, Result] = {}
    for invocation in invocations:
        results |= read_results(invocation)
    return results


def look_at(invocation: Invocation) -> Mapping[str, TaskRow]:
    """How far an invocation is on each instance. An API that is out of reach for a while is no news, not an end.

    Raises :class:`CloudError` when the API refuses to tell.
    """
    try:
        row = invocation.api.describe_invocation(invocation.invoke_id)
    except (ApiError, NoAnswer) as error:
        if not may_repeat(error, harmless=True):
            raise
        return {}
    return row.tasks if row else {}


def is_final(task: TaskRow | None) -> bool:
    """Whether nothing changes any more. An instance that is missing is not final: an empty list is not success."""
    return task is not None and task.status in FINAL_STATUSES


def read_results(invocation: Invocation) -> dict[str, Result]:
    """The results of an invocation as they stand, with output. An instance without a row is ``lost``."""
    missing = f"The API has no record of {invocation.invoke_id} on this instance."
    try:
        rows = {row.instance_id: row for row in invocation.api.describe_invocation_results(invocation.invoke_id)}
    except CloudError as error:
        rows = {}
        missing = f"The command was submitted as invocation {invocation.invoke_id}, and watching it failed. {error}"
    return {
        instance_id: result_of_task(
            rows[instance_id],
            region_id=invocation.api.region_id,
            command_id=invocation.command_id,
            platform=invocation.platform,
        )
        if instance_id in rows
        else result_of_failure(
            Failure("lost", missing), region_id=invocation.api.region_id, invoke_id=invocation.invoke_id
        )
        for instance_id in invocation.instance_ids
    }


def find_invocation(api: CommandApi, invoke_id: str) -> Invocation | None:
    """An invocation that somebody submitted; None when the API does not know it, or no more."""
    row = api.describe_invocation(invoke_id)
    return invocation_of(api, row) if row else None


def invocation_of(api: CommandApi, row: InvocationRow) -> Invocation:
    """What a row of the API tells of an invocation."""
    platform = PLATFORMS.get(row.command_type, "linux")
    return Invocation(api, row.invoke_id, row.command_id, platform, tuple(row.tasks))


def _line(tasks: Mapping[str, TaskRow], total: int) -> str:
    final = sum(map(is_final, tasks.values()))
    return f"{final} of {count(total, 'instance')} finished"
