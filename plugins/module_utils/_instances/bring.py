# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Bringing instances into a state, each asked once. What became of that, only looking tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .._progress import Progress, count, duration
from .._sdk.errors import BadInput, CloudError
from .._sdk.shapes import InstanceRow, PowerRow
from .._waiting import Clock, Deadline, wait_until
from .describe import InstanceApi, look_at_instances
from .failure import Failure, no_such_instance
from .ids import check_ecs_ids
from .outcome import failure_sentence, fate, summarize
from .power import Answers, ask
from .state import Wish, diff_of, failure_in


class StateApi(InstanceApi, Protocol):
    """The calls that this needs; :class:`~.._sdk.ecs.Ecs` has them."""

    def start_instances(self, instance_ids: Sequence[str], *, within_s: float) -> list[PowerRow]: ...

    def stop_instances(
        self, instance_ids: Sequence[str], *, force: bool, stopped_mode: str | None, within_s: float
    ) -> list[PowerRow]: ...


class Bringing:
    """Instances on their way: how each was seen last, and what was answered for those that were asked for.

    Raises nothing: after the first request, an error is news about an instance like another.
    """

    def __init__(self, api: StateApi, wish: Wish, seen: dict[str, InstanceRow], deadline: Deadline) -> None:
        self._api = api
        self._wish = wish
        self.deadline = deadline
        self.seen = dict(seen)
        self.answers: Answers = {}

    @property
    def open_ids(self) -> list[str]:
        """Those that are not there yet and still may get there."""
        return [
            key
            for key, row in self.seen.items()
            if row.status != self._wish.status and not _refused(self.answers.get(key))
        ]

    def step(self) -> list[str]:
        """Ask for those that can be asked for and were not yet, and look; those that are not there yet."""
        ready = [key for key in self.open_ids if self._wish.can_be_sent(self.seen[key].status)]
        asking = [key for key in ready if key not in self.answers]
        self.answers |= ask(self._wish.action, self._send, asking, deadline=self.deadline)
        refused = [key for key in asking if _refused(self.answers[key])]
        # Refused perhaps because somebody else was faster: what counts is what it is now.
        self._look(self.open_ids + refused)
        return self.open_ids

    def _send(self, instance_ids: Sequence[str], within_s: float) -> list[PowerRow]:
        if self._wish.state == "running":
            return self._api.start_instances(instance_ids, within_s=within_s)
        return self._api.stop_instances(
            instance_ids, force=self._wish.force, stopped_mode=self._wish.stopped_mode, within_s=within_s
        )

    def _look(self, instance_ids: Sequence[str]) -> None:
        """How instances are now; nothing new while the API does not tell. Released ones are seen no more."""
        try:
            rows = look_at_instances(self._api, instance_ids)
        except CloudError:
            return
        for key in instance_ids:
            if key in rows:
                self.seen[key] = rows[key]
            else:
                del self.seen[key]


def _refused(answer: Failure | None) -> bool:
    return answer is not None and answer.kind != "lost"


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
    if dry:
        results = {key: _predict(api.region_id, wish, before.get(key)) for key in instance_ids}
    else:
        bringing = Bringing(api, wish, before, Deadline(clock, timeout_s))
        _wait(bringing, wish, timeout_s=timeout_s, clock=clock, progress=progress)
        results = {key: _result(api.region_id, wish, before.get(key), bringing, timeout_s) for key in instance_ids}
    changed = any(result["changed"] for result in results.values())
    outcome = summarize(results, instance_ids) | {"changed": changed, "diff": diff_of(results)}
    sentence = failure_sentence(results, wish.doing)
    return outcome | ({"failed": True, "msg": sentence} if sentence and fail else {})


def _wait(bringing: Bringing, wish: Wish, *, timeout_s: float, clock: Clock, progress: Progress) -> None:
    total = len(bringing.open_ids)
    if not total:
        return
    progress.say(f"{wish.doing} {count(total, 'instance')}, at most {duration(timeout_s)}")

    def take() -> list[str]:
        left = bringing.step()
        progress.update(f"{total - len(left)} of {count(total, 'instance')} done")
        return left

    wait_until(take, lambda left: not left, deadline=bringing.deadline, clock=clock)


def _predict(region_id: str, wish: Wish, row: InstanceRow | None) -> dict[str, Any]:
    """What would come of an instance; nobody knows yet how it would go where something has to be done."""
    failure = None if row else no_such_instance(region_id)
    result = _shape(region_id, row, row, failure) | {"changed": bool(row and wish.needed(row.status))}
    if row and row.status != wish.status:
        result |= {"ok": None, "status": wish.status}
    return result


def _result(
    region_id: str, wish: Wish, before: InstanceRow | None, bringing: Bringing, timeout_s: float
) -> dict[str, Any]:
    """What came of an instance. A lost answer counts as a change: it may be one."""
    key = before.instance_id if before else ""
    after, answer, asked = bringing.seen.get(key), bringing.answers.get(key), key in bringing.answers
    failure = failure_in(wish, after, answer, asked=asked, region_id=region_id, timeout_s=timeout_s)
    return _shape(region_id, before, after, failure) | {"changed": asked and not _refused(answer)}


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
