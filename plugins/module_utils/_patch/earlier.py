# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What an earlier controller of the same run has sent: found by its tags.

An optimisation and a help to understand hosts that are away, never a guard: the guard is what the hosts know.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .._cloud_assistant.results import Result
from .._cloud_assistant.submit import CommandApi, Invocation
from .._cloud_assistant.wait import invocation_of, is_final, read_results
from .._sdk.errors import CloudError
from .._sdk.shapes import TaskRow
from .._waiting import Clock
from .host import Asked, Host
from .steps import Policy, Step, work_of
from .trailer import read_trailer

RUN_TAG = "cloudops-run"
WORK_TAG = "cloudops-work"
# A host that was told to restart goes down after a moment; the settle time is 120 s, if nobody says otherwise.
_MAY_GO_DOWN_S = 180.0
# Not the run's: a host that was only looked at has not begun it.
ASSESS_TAG = "cloudops-assess"


def tags_of(policy: Policy, steps: Sequence[Step], method: str) -> dict[str, str]:
    """The tags of a command: its run, and a name for exactly what it asks for."""
    run_tag = ASSESS_TAG if policy.mode == "assess" else RUN_TAG
    return {run_tag: policy.run_id, WORK_TAG: work_of(policy, steps, method)}


def asked_before(api: CommandApi, run_id: str) -> set[str]:
    """The instances that the run has been sent to already."""
    return {instance_id for row in api.describe_invocations({RUN_TAG: run_id}) for instance_id in row.tasks}


def at_work(api: CommandApi, run_id: str, now: float) -> set[str]:
    """The instances that the run is at work on, or may restart by what it has said there lately.

    ``now`` is in seconds since the epoch.
    """
    return {
        instance_id
        for instance_id, (_invocation, task) in _newest(api, {RUN_TAG: run_id}).items()
        if not is_final(task) or (task.finished is not None and now - task.finished < _MAY_GO_DOWN_S)
    }


def adopt(
    hosts: Sequence[Host], tags: dict[str, str], run_id: str, clock: Clock, *, old_answers: bool
) -> Iterator[tuple[Host, Result]]:
    """Of hosts of one region: those that still work on the very same are put there; the answers of those that are done.

    Without ``old_answers`` the latter are asked again: their health may have changed since.
    Whatever else is known of the others is no reason not to ask them.
    """
    before = clock.monotonic()
    try:
        newest = _newest(hosts[0].api, tags)
    except CloudError:
        return  # while the API does not tell, the hosts are asked
    answers: dict[str, dict[str, Result]] = {}
    for host in hosts:
        invocation, task = newest.get(host.instance_id, (None, None))
        if invocation is None:
            continue
        if not is_final(task):
            host.place = Asked(invocation, before, adopted=True)
            continue
        if not old_answers:
            continue
        if invocation.invoke_id not in answers:
            answers[invocation.invoke_id] = read_results(invocation)
        result = answers[invocation.invoke_id][host.instance_id]
        trailer = read_trailer(result["output"], run_id)
        if trailer and trailer.state == "done":
            yield host, result


def _newest(api: CommandApi, tags: dict[str, str]) -> dict[str, tuple[Invocation, TaskRow]]:
    """By instance id, the newest invocation with these tags, and how far it is there."""
    newest: dict[str, tuple[Invocation, TaskRow]] = {}
    for row in sorted(api.describe_invocations(tags), key=lambda row: row.created_at or 0.0):
        invocation = invocation_of(api, row)
        newest |= {instance_id: (invocation, task) for instance_id, task in row.tasks.items()}
    return newest
