# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Waiting for invocations: one poll for each invocation, however many instances it has; outputs are read once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from .._instances.failure import Failure
from .._progress import Progress, count, duration
from .._sdk.errors import ApiError, CloudError, NoAnswer
from .._sdk.retry import may_repeat
from .._sdk.shapes import InvocationRow, TaskRow
from .._waiting import Clock, Deadline, wait_until
from .command import PLATFORMS
from .failures import FINAL_STATUSES
from .results import Result, result_after_wait, result_of_failure, result_of_task
from .stop import stop_tasks
from .submit import CommandApi, Invocation

T = TypeVar("T")

# Polls side by side, as with RunCommand calls.
_SIDE_BY_SIDE = 4
# The pause between two rounds of polls: a share of the time that has passed, so that the news of the end comes late by
# that share at most; and long enough for so many polls that the API's rate limit has room for others.
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0
_SHARE = 0.05
_POLL_S = 0.08
# What the agent and the service need to make a stopped command a Terminated one.
_STOPPING_S = 30


def wait_for(
    invocations: Sequence[Invocation],
    *,
    deadline: Deadline,
    clock: Clock,
    progress: Progress,
    stop_late: bool = False,
    bound: str = "",
) -> dict[str, Result]:
    """Wait until every instance of the invocations is finished or the deadline passes; the result of each.

    What is not finished then, or what the API refuses to tell, is ``lost``: it may still run. With ``stop_late`` it is
    stopped, and then ``timeout``. ``bound`` says in the line about the wait what its limit comes from.
    """
    if not invocations:
        return {}
    watch = _Watch(invocations, progress)
    with progress.when_interrupted(_what_goes_on(invocations)):
        longest = duration(deadline.left_s)
        limit = f"{longest} ({bound})" if bound else longest
        progress.say(f"Waiting for {count(watch.total, 'instance')}, at most {limit}: {_name(invocations)}")
        watch.until(deadline, clock)
        late = watch.late
        complaints: dict[str, str] = {}
        if late:
            progress.say(f"The wait is over, and {len(late)} of {count(watch.total, 'instance')} not finished")
        if late and stop_late:
            complaints = watch.stop()
            watch.until(Deadline(clock, _STOPPING_S), clock)
        results = watch.results()
    return results | {key: result_after_wait(results[key], longest, complaints.get(key)) for key in late}


def poll_pauses(clock: Clock, polls: Callable[[], int]) -> Iterator[float]:
    """Pauses between rounds of polls, of which the next one has ``polls``."""
    start = clock.monotonic()
    while True:
        pause = max(_FIRST_PAUSE_S, _SHARE * (clock.monotonic() - start), _POLL_S * polls())
        yield min(pause, _LONGEST_PAUSE_S)


class _Watch:
    """Some invocations, and how far they are."""

    def __init__(self, invocations: Sequence[Invocation], progress: Progress) -> None:
        self.open = list(invocations)
        self.total = sum(len(invocation.instance_ids) for invocation in invocations)
        self._progress = progress
        self._tasks: dict[str, TaskRow] = {}
        self._results: dict[str, Result] = {}

    def until(self, deadline: Deadline, clock: Clock) -> None:
        """Look until nothing is open any more or the deadline has passed."""
        pauses = poll_pauses(clock, lambda: len(self.open))
        wait_until(self._take, lambda still_open: not still_open, deadline=deadline, clock=clock, pauses=pauses)

    @property
    def late(self) -> list[str]:
        """The instances on which it has not ended."""
        return [key for invocation in self.open for key in self._late_in(invocation)]

    def stop(self) -> dict[str, str]:
        """Stop what is open; why not, by instance id, where that was refused."""
        complaints: dict[str, str] = {}
        for invocation in self.open:
            late = self._late_in(invocation)
            self._progress.say(f"Stopping invocation {invocation.invoke_id} on {count(len(late), 'instance')}")
            complaints |= stop_tasks(invocation.api, invocation.invoke_id, late)
        return complaints

    def _late_in(self, invocation: Invocation) -> list[str]:
        return [key for key in invocation.instance_ids if not is_final(self._tasks.get(key))]

    def results(self) -> dict[str, Result]:
        """The results of all, as they stand where they are not final."""
        for results in _side_by_side(read_results, self.open):
            self._results |= results
        return self._results

    def _take(self) -> list[Invocation]:
        looked = _side_by_side(self._look, self.open)
        ended = [invocation for invocation, ends in zip(self.open, looked) if ends]
        self.open = [invocation for invocation in self.open if invocation not in ended]
        # Now rather than in the end: then the last one to end is all that is left to read.
        for results in _side_by_side(read_results, ended):
            self._results |= results
        final = sum(map(is_final, self._tasks.values()))
        self._progress.update(f"{final} of {count(self.total, 'instance')} finished")
        return self.open

    def _look(self, invocation: Invocation) -> bool:
        """Look at an invocation; whether there is nothing more to wait for."""
        try:
            seen = look_at(invocation)
        except CloudError:
            return True  # reading the results says why
        self._tasks.update(seen)
        return all(is_final(seen.get(instance_id)) for instance_id in invocation.instance_ids)


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
            Failure("lost", missing),
            region_id=invocation.api.region_id,
            invoke_id=invocation.invoke_id,
            command_id=invocation.command_id,
        )
        for instance_id in invocation.instance_ids
    }


def find_invocation(api: CommandApi, invoke_id: str) -> tuple[Invocation, InvocationRow] | None:
    """An invocation that somebody submitted; None when the API does not know it, or no more."""
    row = api.describe_invocation(invoke_id)
    return (invocation_of(api, row), row) if row else None


def invocation_of(api: CommandApi, row: InvocationRow) -> Invocation:
    """What a row of the API tells of an invocation."""
    platform = PLATFORMS.get(row.command_type, "linux")
    return Invocation(api, row.invoke_id, row.command_id, platform, tuple(row.tasks))


def _side_by_side(work: Callable[[Invocation], T], invocations: Sequence[Invocation]) -> list[T]:
    """The work for each invocation; a single one needs no threads."""
    if len(invocations) < 2:
        return [work(invocation) for invocation in invocations]
    with ThreadPoolExecutor(max_workers=_SIDE_BY_SIDE) as pool:
        return list(pool.map(work, invocations))


def _name(invocations: Sequence[Invocation]) -> str:
    return "invocation " + ", ".join(invocation.invoke_id for invocation in invocations)


def _what_goes_on(invocations: Sequence[Invocation]) -> str:
    ids = ", ".join(invocation.invoke_id for invocation in invocations)
    return (
        f"Interrupted, and on the instances it goes on: {_name(invocations)} in {invocations[0].api.region_id}. "
        f"Wait for it again with ecs_wait_invocation and invoke_ids: [{ids}], or end it with ecs_stop_invocation."
    )
