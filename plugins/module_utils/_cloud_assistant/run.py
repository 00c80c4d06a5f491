# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What the command modules do: submit, wait, shape the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .._instances.failure import Failure
from .._instances.ids import check_instance_ids
from .._instances.outcome import failure_sentence, summarize
from .._progress import Progress
from .._sdk.errors import BadInput
from .._sdk.limits import DELIVERY_S
from .._waiting import Clock, Deadline
from .command import Command
from .fitness import find_unfit
from .results import Result, result_of_failure
from .submit import CommandApi, Invocation, submit
from .wait import find_invocation, wait_for

# Between the end of a command's time on the instance and the API's knowing of it.
_REPORT_S = 30


def run_command(
    connect: Callable[[], CommandApi],
    command: Command,
    instance_ids: list[str],
    *,
    wait: bool,
    dry: bool,
    fail: bool,
    clock: Clock,
    progress: Progress,
) -> dict[str, Any]:
    """Run a command on instances. Everything that can be refused is refused before the first request."""
    command.check()
    check_instance_ids(instance_ids)
    api = connect()
    if dry:
        failures = find_unfit(api, instance_ids, command.platform)
        invocations: list[Invocation] = []
    else:
        submission = submit(api, command, instance_ids)
        failures, invocations = submission.failures, submission.invocations
    results = {key: result_of_failure(failure, region_id=api.region_id) for key, failure in failures.items()}
    if wait and not dry:
        deadline = Deadline(clock, command.timeout_s + DELIVERY_S + _REPORT_S)
        results |= wait_for(invocations, deadline=deadline, clock=clock, progress=progress)
    for instance_id in instance_ids:
        results.setdefault(instance_id, _not_known(api, invocations, instance_id))
    outcome = _outcome(results, instance_ids, fail=fail)
    return outcome | {
        "changed": bool(invocations) or (dry and len(failures) < len(instance_ids)),
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
    api: CommandApi, invoke_ids: Sequence[str], *, timeout_s: float, fail: bool, clock: Clock, progress: Progress
) -> dict[str, Any]:
    """Wait for invocations by their ids; with a time of 0, look once."""
    invocations: list[Invocation] = []
    for invoke_id in dict.fromkeys(invoke_ids):
        invocation = find_invocation(api, invoke_id)
        if invocation is None:
            raise BadInput(
                f"There is no invocation {invoke_id} in {api.region_id}. Check the id and the region; records are kept "
                "for a limited time."
            )
        _refuse_overlap(invocations, invocation)
        invocations.append(invocation)
    if not invocations:
        raise BadInput("invoke_ids is empty: nothing to wait for.")
    results = wait_for(invocations, deadline=Deadline(clock, timeout_s), clock=clock, progress=progress)
    return _outcome(results, list(results), fail=fail) | {"changed": False}


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
    sentence = failure_sentence(results, "The command")
    if sentence and fail:
        outcome |= {"failed": True, "msg": sentence}
    return outcome


def _not_known(api: CommandApi, invocations: Sequence[Invocation], instance_id: str) -> Result:
    """An instance that nobody waited for."""
    invoke_id = next((item.invoke_id for item in invocations if instance_id in item.instance_ids), None)
    result = result_of_failure(Failure("lost", ""), region_id=api.region_id, invoke_id=invoke_id)
    return result | {
        "status": "Pending" if invoke_id else None,
        "ok": None,
        "error_info": None,
        "failure": None,
    }
