# SPDX-License-Identifier: GPL-3.0-or-later
"""Time as the simulator sees it.

Everything that waits or stamps a time asks a :class:`Clock`, so that tests and fleets of scripted machines can run
hours in moments.
"""

import asyncio
import contextlib
import heapq
import itertools
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from and how one waits for it."""

    def time(self) -> float:
        """Seconds since the epoch."""

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds`` of this clock's time."""


class RealClock:
    """The machine's own clock."""

    def time(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class FastClock:
    """A clock that starts with the machine's own and runs ``speed`` times as fast."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._start = time.time()
        self._begin = time.monotonic()

    def time(self) -> float:
        return self._start + (time.monotonic() - self._begin) * self.speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)


class ManualClock:
    """A clock that stands still until :meth:`advance` moves it.

    What happens at different times happens in that order, and one time has come to rest before the next begins.
    """

    # Enough turns of the event loop for everything a wake-up sets off to come to rest, real I/O excepted.
    _TURNS = 20

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._advancing = asyncio.Lock()

    def time(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + max(0.0, seconds), next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move the time on, waking the sleepers in the order in which they are due; one advance after the other."""
        async with self._advancing:
            target = self._now + seconds
            await self._settle()
            while self._sleepers and self._sleepers[0][0] <= target:
                self._now = self._sleepers[0][0]
                if self._wake():
                    await self._settle()
            self._now = target

    def _wake(self) -> bool:
        """Wake all who are due now, in the order in which they went to sleep; whether there was anyone."""
        woken = False
        while self._sleepers and self._sleepers[0][0] <= self._now:
            _due, _order, future = heapq.heappop(self._sleepers)
            if not future.done():  # nobody has stopped waiting for it
                future.set_result(None)
                woken = True
        return woken

    async def _settle(self) -> None:
        for _turn in range(self._TURNS):
            await asyncio.sleep(0)


def iso(timestamp: float) -> str:
    """A time as the ECS API prints it: ``2026-11-22T01:02:03Z``."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_iso(text: str) -> float | None:
    """A time as callers of the ECS API write it, with seconds or without; None when it is none."""
    for pattern in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ"):
        with contextlib.suppress(ValueError):
            return datetime.strptime(text, pattern).replace(tzinfo=UTC).timestamp()
    return None


def iso_milliseconds(timestamp: float) -> str:
    """A time as the audit log prints it: ``2026-11-22T01:02:03.456Z``."""
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
