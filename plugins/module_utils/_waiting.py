# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Waiting is a predicate over a snapshot, with one deadline and a clock that tests can replace."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")

# On Linux the monotonic clock stands still while the computer sleeps, and hosts and other controllers do not.
_STEADY_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """Where the time comes from."""

    def time(self) -> float:
        """Seconds since the epoch, for what is compared with other computers."""

    def monotonic(self) -> float:
        """Seconds that only ever grow, asleep or awake, for deadlines."""

    def sleep(self, seconds: float) -> None: ...


class RealClock:
    """This computer's clock."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.clock_gettime(_STEADY_CLOCK)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Deadline:
    """A moment on the monotonic clock."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._end = clock.monotonic() + seconds

    @property
    def left_s(self) -> float:
        """Seconds until the deadline; never negative."""
        return max(0.0, self._end - self._clock.monotonic())

    @property
    def passed(self) -> bool:
        return self.left_s <= 0


def growing_pauses(first_s: float = 0.5, factor: float = 1.4, longest_s: float = 10.0) -> Iterator[float]:
    """Pauses between polls: short at first, because much is quick, then ever longer up to a limit."""
    pause = first_s
    while True:
        yield pause
        pause = min(pause * factor, longest_s)


def wait_until(
    take: Callable[[], T],
    done: Callable[[T], bool],
    *,
    deadline: Deadline,
    clock: Clock,
    pauses: Iterator[float] | None = None,
) -> T:
    """Take snapshots until one is done or the deadline has passed; returns the last one.

    The caller asks ``done`` again to learn which of the two it was. No pause goes past the deadline.
    """
    pauses = pauses or growing_pauses()
    while True:
        snapshot = take()
        if done(snapshot) or deadline.passed:
            return snapshot
        clock.sleep(min(next(pauses), deadline.left_s))
