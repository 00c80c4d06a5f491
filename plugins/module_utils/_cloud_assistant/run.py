# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What ecs_run_command and ecs_wait_invocation do: submit, wait, shape the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._instances.failure import Failure
from .._instances.ids import check_id, check_instance_ids
from .._instances.outcome import failure_sentence, refuse_mistakes, summarize
from .._progress import Progress, count
from .._sdk.errors import BadInput
from .._sdk.limits import DELIVERY_S
from .._waiting import Clock, Deadline
from .checks import check_tags, check_wait
from .command import Command, SavedCommand
from .fitness import find_unfit
from .results import Result, may_have_run, result_of_failure
from .submit import CommandApi, Invocation, submit
from .wait import find_invocation, wait_for

# Between the end of a command's time on the instance and the API's knowing of it.
_REPORT_S = 30
# What happens some time, which is not waited for.
_LATER = ("Period", "NextRebootOnly", "EveryReboot")
# What comes of a command that is stopped.
_STOPPED = ("Stopping", "Terminated", "Cancelled")


@dataclass(frozen=True)
class Target:
    """The instances of a command: these, or all with these tags."""

    instance_ids: list[str] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raise :class:`BadInput` for what names no instances."""
        if self.instance_ids is not None:
            check_instance_ids(self.instance_ids)
        elif not self.tags:
            raise BadInput("instance_tags is empty: that would be all instances of the region.")
        check_tags(self.tags, "instance_tags")

    def find(self, api: CommandApi) -> list[str]:
        """The ids of the instances."""
        if self.instance_ids is not None:
            return self.instance_ids
        found = [row.instance_id for row in api.describe_instances(tags=self.tags)]
        if not found:
            raise BadInput(f"No instance in {api.region_id} has all the tags of instance_tags: nothing to do.")
        return found


@dataclass(frozen=True)
class Waiting:
    """How to wait for a command; without a time, as long as the command may take."""

    wait: bool = True
    timeout_s: int | None = None
    stop_late: bool = False

    def check(self) -> None:
        """Raise :class:`BadInput` for what is no time."""
        if self.timeout_s is not None:
            check_wait("wait_timeout", self.timeout_s)


def run_command(
    connect: Callable[[], CommandApi],
    command: Command | SavedCommand,
    target: Target,
    waiting: Waiting,
    *,
    dry: bool,
    fail: bool,
    clock: Clock,
    progress: Progress,
) -> dict[str, Any]:
    """Run a command on instances. Everything that can be refused is refused before the first request."""
    command.check()
    target.check()
    waiting.check()
    api = connect()
    if isinstance(command, SavedCommand):
        command = command.look_up(api)
    instance_ids = target.find(api)
    if dry:
        failures = find_unfit(api, instance_ids, command.platform, command.purpose)
        if fail:
            refuse_mistakes(failures, len(instance_ids))
        invocations: list[Invocation] = []
    else:
        submission = submit(api, command, instance_ids, strict=fail)
        failures, invocations = submission.failures, submission.invocations
    results = {key: result_of_failure(failure, region_id=api.region_id) for key, failure in failures.items()}
    later = command.repeat_mode in _LATER or bool(command.frequency)
    if waiting.wait and not later:
        longest_s = (command.timeout_s or 0) + DELIVERY_S + _REPORT_S
        deadline = Deadline(clock, longest_s if waiting.timeout_s is None else waiting.timeout_s)
        results |= wait_for(invocations, deadline=deadline, clock=clock, progress=progress, stop_late=waiting.stop_late)
    for instance_id in instance_ids:
        results.setdefault(instance_id, _not_known(api, invocations, instance_id))
    rehearsed = command.repeat_mode == "DryRun"
    outcome = _outcome(results, instance_ids, fail=fail)
    return outcome | {
        "changed": not rehearsed and any(map(may_have_run, results.values())),
        "invocations": [
            {
                "invoke_id": invocation.invoke_id,
                "command_id": invocation.command_id,
                "instance_ids": list(invocation.instance_ids),
            }
            for invocation in invocations
        ],
    }


def wait_for_invocations(
    api: CommandApi,
    invoke_ids: Sequence[str],
    *,
    timeout_s: float,
    fail: bool,
    clock: Clock,
    progress: Progress,
    stop_late: bool = False,
) -> dict[str, Any]:
    """Wait for invocations by their ids; with a time of 0, look once."""
    check_wait("timeout", timeout_s)
    invocations: list[Invocation] = []
    for invoke_id in dict.fromkeys(invoke_ids):
        check_id("invoke_ids", invoke_id)
        found = find_invocation(api, invoke_id)
        if found is None:
            raise BadInput(
                f"There is no invocation {invoke_id} in {api.region_id}. Check the id and the region; records are kept "
                "for a limited time."
            )
        invocation, row = found
        if row.repeat_mode in _LATER:
            raise BadInput(
                f"{invoke_id} runs again and again, or at the next start (repeat_mode {row.repeat_mode}): there is no "
                "end to wait for. Look at it with ecs_invocation_info, end it with ecs_stop_invocation."
            )
        _refuse_overlap(invocations, invocation)
        invocations.append(invocation)
    if not invocations:
        raise BadInput("invoke_ids is empty: nothing to wait for.")
    results = wait_for(
        invocations, deadline=Deadline(clock, timeout_s), clock=clock, progress=progress, stop_late=stop_late
    )
    stopped = stop_late and any(result["timed_out"] and result["status"] in _STOPPED for result in results.values())
    return _outcome(results, list(results), fail=fail) | {"changed": stopped}


def _refuse_overlap(others: Sequence[Invocation], invocation: Invocation) -> None:
    """Results are by instance: one invocation's must not hide another's."""
    for other in others:
        for instance_id in other.instance_ids:
            if instance_id in invocation.instance_ids:
                raise BadInput(
                    f"{instance_id} has part in both {other.invoke_id} and {invocation.invoke_id}: wait for them one "
                    "after the other."
                )


def _outcome(results: dict[str, Result], order: Sequence[str], *, fail: bool) -> dict[str, Any]:
    outcome = summarize(results, order)
    sentence = failure_sentence(outcome["instances"], "The command")
    late = sum(result["timed_out"] for result in results.values())
    if sentence and late:
        sentence = f"The wait was over before it had ended on {count(late, 'instance')}. {sentence}"
    if sentence and (fail or late):
        outcome |= {"failed": fail, "msg": sentence}
    return outcome


def _not_known(api: CommandApi, invocations: Sequence[Invocation], instance_id: str) -> Result:
    """An instance that nobody waited for."""
    invocation = next((item for item in invocations if instance_id in item.instance_ids), None)
    result = result_of_failure(
        Failure("lost", ""),
        region_id=api.region_id,
        invoke_id=invocation.invoke_id if invocation else None,
        command_id=invocation.command_id if invocation else None,
    )
    return result | {
        "status": "Pending" if invocation else None,
        "ok": None,
        "error_info": None,
        "failure": None,
    }
