# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Submitting a command to any number of instances.

One unfit instance makes the API reject a whole call. So the unfit ones are found before the call; when one turns up
all the same, they are looked for again, and as the last resort the call is halved until the culprit stands alone.
A call that is rejected for an instance's sake had no effect, so nothing can run twice; a call that may have had one is
not made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from .._instances.describe import chunks
from .._instances.failure import Failure, blames_instances, failure_of
from .._instances.outcome import refuse_mistakes
from .._sdk.errors import ApiError, CloudError
from .._sdk.shapes import InvocationRow, TaskRow
from .command import Startable, StartApi
from .fitness import FitnessApi, find_unfit

# RunCommand calls side by side.
_SIDE_BY_SIDE = 4


class CommandApi(FitnessApi, StartApi, Protocol):
    """The calls that commands need; :class:`~.._sdk.ecs.Ecs` has them."""

    def describe_invocation(self, invoke_id: str) -> InvocationRow | None: ...

    def describe_invocations(
        self,
        tags: Mapping[str, str],
        *,
        invoke_id: str | None = None,
        instance_id: str | None = None,
        command_id: str | None = None,
        command_name: str | None = None,
        scheduled: bool | None = None,
    ) -> Iterator[InvocationRow]: ...

    def describe_invocation_results(self, invoke_id: str) -> Iterator[TaskRow]: ...

    def stop_invocation(self, invoke_id: str, instance_ids: Sequence[str]) -> None: ...


@dataclass(frozen=True)
class Invocation:
    """A command that was accepted for some instances of a region."""

    api: CommandApi
    invoke_id: str
    command_id: str
    platform: str
    instance_ids: tuple[str, ...]


@dataclass
class Submission:
    """Everything that came of submitting: what runs, and what does not and why."""

    invocations: list[Invocation] = field(default_factory=list)
    failures: dict[str, Failure] = field(default_factory=dict)

    def add(self, other: Submission) -> None:
        self.invocations += other.invocations
        self.failures |= other.failures


def submit(api: CommandApi, command: Startable, instance_ids: Sequence[str], *, strict: bool = False) -> Submission:
    """Run a command on every fit instance. Raises what looking at the instances raises, and nothing after that.

    With ``strict`` it runs on none when there are instances that cannot take part.
    """
    command.check()
    submission = Submission(failures=find_unfit(api, instance_ids, command.platform, command.purpose))
    if strict:
        refuse_mistakes(submission.failures, len(instance_ids))
    fit = [instance_id for instance_id in instance_ids if instance_id not in submission.failures]
    pieces = list(chunks(fit, command.ids_per_call))
    with ThreadPoolExecutor(max_workers=_SIDE_BY_SIDE) as pool:
        for part in pool.map(lambda piece: submit_piece(api, command, piece), pieces):
            submission.add(part)
    return submission


def submit_piece(api: CommandApi, command: Startable, piece: Sequence[str]) -> Submission:
    """At most as many instances as a call takes: one call, or as many as it takes to get around unfit ones."""
    try:
        return Submission(invocations=[_run(api, command, piece)])
    except CloudError as error:
        if isinstance(error, ApiError) and blames_instances(error):
            return _without_culprits(api, command, piece, error)
        return Submission(failures=dict.fromkeys(piece, failure_of(error)))


def _without_culprits(api: CommandApi, command: Startable, piece: Sequence[str], error: ApiError) -> Submission:
    if len(piece) == 1:
        return Submission(failures={piece[0]: Failure("instance", str(error), error.code)})
    try:
        submission = Submission(failures=find_unfit(api, piece, command.platform, command.purpose))
    except CloudError:
        # Not even looking works now: what is known is that the call was rejected.
        return Submission(failures=dict.fromkeys(piece, Failure("instance", str(error), error.code)))
    rest = [instance_id for instance_id in piece if instance_id not in submission.failures]
    # Something was found: try the rest in one call again. Nothing looks wrong: halve.
    middle = len(rest) if submission.failures else len(rest) // 2
    for part in (rest[:middle], rest[middle:]):
        if part:
            submission.add(submit_piece(api, command, part))
    return submission


def _run(api: CommandApi, command: Startable, instance_ids: Sequence[str]) -> Invocation:
    invoke_id, command_id = command.start(api, instance_ids)
    return Invocation(api, invoke_id, command_id, command.platform, tuple(instance_ids))
