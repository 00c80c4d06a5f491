# SPDX-License-Identifier: GPL-3.0-or-later
"""Many runs, some at a time: they take their turns, and a cloud serves a few seeds in a row."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from .cloud import Cloud
from .plan import make_plan
from .run import Outcome, Run

# Seeds of one simulator. By the seed, so that a run alone meets the same cloud as in a campaign.
_SEEDS_PER_CLOUD = 25


class Campaign:
    """The runs of some seeds; ``on_outcome`` is called with each outcome as it comes.

    ``broken`` holds the seeds of runs that did not come to an end, each with the reason: the others go on.
    """

    def __init__(self, seeds: Iterable[int], at_once: int) -> None:
        self._seeds = list(seeds)
        self._at_once = at_once
        self.on_outcome: Callable[[Outcome], None] = lambda outcome: None
        self.outcomes: list[Outcome] = []
        self.broken: dict[int, Exception] = {}
        self._clouds: dict[int, asyncio.Task[Cloud]] = {}
        self._listening: dict[int, asyncio.Task[None]] = {}
        self._left = Counter(seed // _SEEDS_PER_CLOUD for seed in self._seeds)

    async def run(self) -> None:
        """All of them."""
        # For what blocks: a run waits for one thing at a time, or for some controllers and faults.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(8 * self._at_once))
        turns = iter(self._seeds)

        async def work() -> None:
            for seed in turns:
                try:
                    outcome = await self._play(seed)
                except Exception as error:  # the others go on
                    self.broken[seed] = error
                else:
                    self.outcomes.append(outcome)
                    self.on_outcome(outcome)

        try:
            async with asyncio.TaskGroup() as group:
                for _worker in range(self._at_once):
                    group.create_task(work())
        finally:
            for number in list(self._clouds):
                await self._close(number)

    async def _play(self, seed: int) -> Outcome:
        number = seed // _SEEDS_PER_CLOUD
        if number not in self._clouds:
            self._clouds[number] = asyncio.create_task(self._open(number))
        try:
            return await Run(make_plan(seed), await asyncio.shield(self._clouds[number])).play()
        finally:
            self._left[number] -= 1
            if not self._left[number]:
                await self._close(number)

    async def _open(self, number: int) -> Cloud:
        plans = [make_plan(seed) for seed in self._seeds if seed // _SEEDS_PER_CLOUD == number]
        cloud = await asyncio.to_thread(Cloud, plans, odd=number % 2 == 1)
        self._listening[number] = asyncio.create_task(cloud.listen())
        return cloud

    async def _close(self, number: int) -> None:
        opened = self._clouds.pop(number)
        try:
            cloud = await opened
        except Exception:
            return  # it has never opened, and its runs say why
        self._listening.pop(number).cancel()
        await asyncio.to_thread(cloud.stop)
