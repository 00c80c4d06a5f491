# SPDX-License-Identifier: GPL-3.0-or-later
"""Any number of runs that book the same hosts, in any order of their reads and writes, of which none is read at once.

Each run is a thread that stops before each call of the API and in each sleep, until the schedule lets it go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.booking import Booking
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.budget import Budget
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.leasing import release
from ansible_collections.cloudops.alibaba.plugins.module_utils._progress import Progress
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.shapes import AgentRow, InstanceRow
from ansible_collections.cloudops.alibaba.plugins.module_utils._waiting import Deadline
from ansible_collections.cloudops.alibaba.tests.unit.fakes import START, agent, instance
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SETTLE_S = 5
WORK_S = 300.0
PATIENCE_S = 100_000
# Steps that nobody needs; more of them are a deadlock.
MOST_STEPS = 20_000


class Killed(BaseException):
    """What a run that is killed does not live to see."""


@dataclass
class World:
    """Hosts in zones; what is written to their tags is read after a while, by each run after a while of its own."""

    zones: Sequence[str]
    delays: Iterator[float]
    now: float = START
    writes: list[tuple[dict[str, float], str, str, str | None]] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return [f"i-{number}" for number in range(len(self.zones))]

    def write(self, instance_ids: Sequence[str], key: str, value: str | None) -> None:
        for id_ in instance_ids:
            self.writes.append(({name: self.now + next(self.delays) for name in self.readers}, id_, key, value))

    def row(self, instance_id: str, reader: str) -> InstanceRow:
        tags: dict[str, str] = {}
        for visible, id_, key, value in self.writes:
            if id_ == instance_id and visible[reader] <= self.now:
                tags.pop(key, None)
                if value is not None:
                    tags[key] = value
        return replace(instance(instance_id), zone_id=self.zones[int(instance_id[2:])], tags=tags)


class Run:
    """A run that books its hosts, works on them, gives them back and ends. It is clock and API to the code."""

    region_id = "cn-test"

    def __init__(self, world: World, name: str, wanted: Sequence[str], budget: Budget, skew_s: float) -> None:
        self.world, self.name, self.skew_s = world, name, skew_s
        self.wake = 0.0
        self.killed = self.ended = False
        self.working: list[str] = []
        self.worked = False
        world.readers.append(name)
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._booking = Booking(
            self,
            wanted,
            budget=budget,
            owner=name,
            play=world.ids,
            failed=(),
            clock=self,
            progress=Progress(self, enabled=False),
        )
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()
        self._stopped.acquire()

    def _live(self) -> None:
        try:
            self._stop()
            booked = self._booking.book(Deadline(self, PATIENCE_S))
            self.working = booked.taken
            self.worked = bool(booked.taken)
            self.sleep(WORK_S)
            self.working = []
            release(self, booked.taken, self.name)
        except Killed:
            pass
        self.working = []
        self.ended = True
        self._stopped.release()

    def step(self) -> None:
        """Let it go on to its next stop."""
        self._go.release()
        self._stopped.acquire()

    def kill(self) -> None:
        """It does nothing any more, not even clean up."""
        self.killed = True
        self.step()

    def _stop(self, wake: float = 0.0) -> None:
        if self.killed:
            raise Killed
        self.wake = wake
        self._stopped.release()
        self._go.acquire()
        if self.killed:
            raise Killed

    # --- clock

    def time(self) -> float:
        return self.world.now + self.skew_s

    def monotonic(self) -> float:
        return self.world.now

    def sleep(self, seconds: float) -> None:
        self._stop(self.world.now + seconds)

    # --- API

    def describe_instances(self, instance_ids: Sequence[str], **_more: Any) -> Iterator[InstanceRow]:
        self._stop()
        return iter([self.world.row(id_, self.name) for id_ in instance_ids])

    def describe_cloud_assistant_status(self, instance_ids: Sequence[str]) -> list[AgentRow]:
        return [agent(id_) for id_ in instance_ids]

    def describe_invocations(self, *_anything: Any) -> Iterator[Any]:
        return iter(())

    def tag_instances(self, instance_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        self._stop()
        for key, value in tags.items():
            self.world.write(instance_ids, key, value)

    def untag_instances(self, instance_ids: Sequence[str], keys: Sequence[str]) -> None:
        self._stop()
        for key in keys:
            self.world.write(instance_ids, key, None)


def check(world: World, runs: Sequence[Run], most: int) -> None:
    """No host has two runs at work on it, and no zone has too many."""
    working = [id_ for run in runs for id_ in run.working]
    assert len(working) == len(set(working)), [run.working for run in runs]
    for zone in set(world.zones):
        assert sum(world.zones[int(id_[2:])] == zone for id_ in working) <= most, [run.working for run in runs]


def play(world: World, runs: Sequence[Run], most: int, choose: Callable[[int], int]) -> None:
    """Let the runs go on in the chosen order until all have ended; time passes now and then, and when nobody can."""
    for _step in range(MOST_STEPS):
        alive = [run for run in runs if not run.ended]
        if not alive:
            return
        ready = [run for run in alive if run.wake <= world.now]
        choice = choose(len(ready) + 2)
        if choice < len(ready):
            ready[choice].step()
        elif ready:
            world.now += choice - len(ready) + 1
        else:
            world.now = min(run.wake for run in alive)
        check(world, runs, most)
    raise AssertionError("they wait for each other for ever")


ZONES = st.lists(st.sampled_from("ab"), min_size=1, max_size=5)


def made(
    data: st.DataObject, zones: list[str], skew: st.SearchStrategy[float], lease_s: int
) -> tuple[World, list[Run], int]:
    """A world, two to four runs in it, and how many hosts of a zone may be unavailable."""
    random = seeded(data)
    world = World(zones, iter(lambda: random.uniform(0, SETTLE_S - 0.001), None))
    most = data.draw(st.integers(1, 3))
    budget = Budget(str(most), ("zone",), 0, lease_s, SETTLE_S)
    wanted = st.lists(st.sampled_from(world.ids), min_size=1, unique=True)
    names = [f"run-{number}" for number in range(data.draw(st.integers(2, 4)))]
    return world, [Run(world, name, data.draw(wanted), budget, data.draw(skew)) for name in names], most


def seeded(data: st.DataObject) -> Random:
    """Thousands of choices, which are too many to draw each."""
    return Random(data.draw(st.integers(0, 2**32)))


def chooser(data: st.DataObject) -> Callable[[int], int]:
    random = seeded(data)
    return lambda number: random.randrange(number)


QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@QUICK
@given(st.data(), ZONES)
def test_no_order_of_reads_and_writes_exceeds_the_budget(data: st.DataObject, zones: list[str]) -> None:
    """Whatever the clocks say. And nobody is left waiting: each run gets something in the end."""
    world, runs, most = made(data, zones, st.floats(-300, 300), lease_s=10 * PATIENCE_S)
    play(world, runs, most, chooser(data))
    assert all(run.worked for run in runs)


@QUICK
@given(st.data(), ZONES)
def test_a_run_that_dies_stops_nobody_for_ever(data: st.DataObject, zones: list[str]) -> None:
    world, runs, most = made(data, zones, st.just(0.0), lease_s=1000)
    choose = chooser(data)
    for _step in range(choose(60)):
        ready = [run for run in runs if not run.ended and run.wake <= world.now]
        if ready:
            ready[choose(len(ready))].step()
        else:
            world.now += 1
    victim = runs[choose(len(runs))]
    if not victim.ended:
        victim.kill()
    play(world, runs, most, choose)
    assert all(run.worked for run in runs if run is not victim)
