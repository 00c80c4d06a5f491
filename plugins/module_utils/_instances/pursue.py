# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Asking for something once for each instance, and looking until it is so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from .._progress import Progress, count
from .._sdk import limits
from .._sdk.errors import CloudError
from .._waiting import Clock, Deadline, wait_until
from .failure import Failure
from .power import Answers, Send, ask

T = TypeVar("T")


@dataclass
class Pursuit(Generic[T]):
    """Instances on their way: how each was seen last, and what was answered for those that were asked for.

    An instance that is ``done`` is left alone, one that is ``ready`` is asked for once. Looking raises nothing: after
    the first request, an error is news about an instance like another.
    """

    action: str
    send: Send
    look: Callable[[Sequence[str]], Mapping[str, T]]
    done: Callable[[T], bool]
    ready: Callable[[T], bool]
    seen: dict[str, T]
    deadline: Deadline
    most: int = limits.POWER_IDS
    answers: Answers = field(default_factory=dict)

    @property
    def open_ids(self) -> list[str]:
        """Those that are not there yet and still may get there."""
        return [key for key, one in self.seen.items() if not self.done(one) and not is_refused(self.answers.get(key))]

    def asked(self, instance_id: str) -> bool:
        """Whether the request was sent and was, or may have been, accepted."""
        return instance_id in self.answers and not is_refused(self.answers[instance_id])

    def step(self) -> list[str]:
        """Ask for those that are ready and were not asked for yet, and look; those that are not there yet."""
        asking = [key for key in self.open_ids if key not in self.answers and self.ready(self.seen[key])]
        self.answers |= ask(self.action, self.send, asking, deadline=self.deadline, most=self.most)
        # Refused perhaps because somebody else was faster: what counts is what it is now.
        self._look([*self.open_ids, *(key for key in asking if is_refused(self.answers[key]))])
        return self.open_ids

    def wait(self, clock: Clock, progress: Progress) -> None:
        """Take steps until all are there or the time is up."""
        total = len(self.open_ids)

        def take() -> list[str]:
            left = self.step()
            progress.update(f"{total - len(left)} of {count(total, 'instance')} done")
            return left

        with progress.when_interrupted(
            f"Interrupted, and {self.action} goes on where it was sent. Run the task again to wait for the rest: what "
            "is so already, or on its way, is left alone."
        ):
            wait_until(take, lambda left: not left, deadline=self.deadline, clock=clock)

    def _look(self, instance_ids: Sequence[str]) -> None:
        """How instances are now; nothing new while the API does not tell. Released ones are seen no more."""
        try:
            found = self.look(instance_ids)
        except CloudError:
            return
        for key in instance_ids:
            if key in found:
                self.seen[key] = found[key]
            else:
                del self.seen[key]


def is_refused(answer: Failure | None) -> bool:
    """Whether it certainly had no effect."""
    return answer is not None and answer.kind != "lost"
