# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock that stands still until it is moved."""

import asyncio

from ecs_simulator.clock import ManualClock, iso, iso_milliseconds


async def test_sleepers_wake_in_order_and_in_time() -> None:
    clock = ManualClock(start=1000.0)
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            woken.append((name, clock.time()))

    tasks = [asyncio.ensure_future(sleeper("a", 5, 5)), asyncio.ensure_future(sleeper("b", 7))]
    await clock.advance(4)
    assert woken == []
    await clock.advance(100)
    assert woken == [("a", 1005.0), ("b", 1007.0), ("a", 1010.0)]
    assert clock.time() == 1104.0
    await asyncio.gather(*tasks)


def test_times_are_printed_as_the_api_does() -> None:
    assert iso(1_800_000_000.9) == "2027-01-15T08:00:00Z"
    assert iso_milliseconds(1_800_000_000.25) == "2027-01-15T08:00:00.250Z"
