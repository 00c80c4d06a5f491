# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Bringing instances into a state, each asked once. What became of that, only looking tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .._progress import Progress, count, duration
from .._sdk.errors import BadInput
from .._sdk.shapes import InstanceRow, PowerRow
from .._waiting import Clock, Deadline
from .describe import InstanceApi, look_at_instances
from .failure import Failure, no_such_instance
from .ids import check_ecs_ids
from .outcome import failure_sentence, fate, refuse_unknown, summarize
from .pursue import Pursuit
from .state import Wish, diff_of, failure_in


class StateApi(InstanceApi, Protocol):
    """The calls that this needs; :class:`~.._sdk.ecs.Ecs` has them."""

    def start_instances(self, instance_ids: Sequence[str], *, within_s: float) -> list[PowerRow]: ...

    def stop_instances(
        self, instance_ids: Sequence[str], *, force: bool, stopped_mode: str | None, within_s: float
    ) -> list[PowerRow]: ...


def set_state(
    connect: Callable[[], StateApi],
    instance_ids: list[str],
    wish: Wish,
    *,
    timeout_s: int,
    dry: bool,
    fail: bool,
    clock: Clock,
    progress: Progress,
) -> dict[str, Any]:
    """Bring instances into a state and wait until it is so; with ``dry``, only say which would change."""
    check_ecs_ids(instance_ids, "The API has no power over it: let a command stop it from inside.")
    wish.check()
    if timeout_s < 1:
        raise BadInput("timeout must be at least 1 second.")
    api = connect()
    before = look_at_instances(api, instance_ids)
    if fail:
        refuse_unknown(before, instance_ids, api.region_id)
    if dry:
        results = {key: _predict(api.region_id, wish, before.get(key)) for key in instance_ids}
    else:
        pursuit = _bring(api, wish, before, timeout_s=timeout_s, clock=clock, progress=progress)
        results = {key: _result(api.region_id, wish, key, before.get(key), pursuit, timeout_s) for key in instance_ids}
    changed = any(result["changed"] for result in results.values())
    outcome = summarize(results, instance_ids) | {"changed": changed, "diff": diff_of(results)}
    sentence = failure_sentence(results, wish.doing)
    return outcome | ({"failed": True, "msg": sentence} if sentence and fail else {})


def _bring(
    api: StateApi, wish: Wish, before: dict[str, InstanceRow], *, timeout_s: float, clock: Clock, progress: Progress
) -> Pursuit[InstanceRow]:
    """Ask for what is needed and wait until it is so or the time is up."""

    def send(instance_ids: Sequence[str], within_s: float) -> list[PowerRow]:
        if wish.state == "running":
            return api.start_instances(instance_ids, within_s=within_s)
        return api.stop_instances(instance_ids, force=wish.force, stopped_mode=wish.stopped_mode, within_s=within_s)

    pursuit = Pursuit(
        action=wish.action,
        send=send,
        look=lambda instance_ids: look_at_instances(api, instance_ids),
        done=lambda row: row.status == wish.status,
        ready=lambda row: wish.can_be_sent(row.status),
        seen=dict(before),
        deadline=Deadline(clock, timeout_s),
    )
    if pursuit.open_ids:
        progress.say(f"{wish.doing} {count(len(pursuit.open_ids), 'instance')}, at most {duration(timeout_s)}")
        pursuit.wait(clock, progress)
    return pursuit


def _predict(region_id: str, wish: Wish, row: InstanceRow | None) -> dict[str, Any]:
    """What would come of an instance; nobody knows yet how it would go where something has to be done."""
    failure = None if row else no_such_instance(region_id)
    result = _shape(region_id, row, row, failure) | {"changed": bool(row and wish.needed(row.status))}
    if row and row.status != wish.status:
        result |= {"ok": None, "status": wish.status}
    return result


def _result(
    region_id: str, wish: Wish, key: str, before: InstanceRow | None, pursuit: Pursuit[InstanceRow], timeout_s: float
) -> dict[str, Any]:
    """What came of an instance. A lost answer counts as a change: it may be one."""
    after, asked = pursuit.seen.get(key), pursuit.asked(key)
    answer = pursuit.answers.get(key)
    failure = failure_in(wish, after, answer, asked=asked, region_id=region_id, timeout_s=timeout_s)
    return _shape(region_id, before, after, failure) | {"changed": asked}


def _shape(
    region_id: str, before: InstanceRow | None, after: InstanceRow | None, failure: Failure | None
) -> dict[str, Any]:
    return {
        "region_id": region_id,
        "status_before": before.status if before else None,
        "status": after.status if after else None,
        "stopped_mode": (after.stopped_mode or None) if after else None,
        **fate(failure),
    }
