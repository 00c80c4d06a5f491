# SPDX-License-Identifier: GPL-3.0-or-later
"""Any number of runs that book the same hosts, in any order of their reads and writes, of which none is read at once.

Each run is a thread that stops before each call of the API and in each sleep, until the schedule lets it go on. And
each rule of the booking is needed: without it, an order is found that exceeds the budget or keeps somebody out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any
from unittest import mock

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch import booking
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.booking import Booking, View
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.budget import Budget
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.lease import Lease
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
    """Hosts in zones; what is written to their tags is read after a while: ``delays`` says for each run after what."""

    zones: Sequence[str]
    delays: Callable[[Sequence[str]], dict[str, float]]
    now: float = START
    writes: list[tuple[dict[str, float], str, str, str | None]] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return [f"i-{number}" for number in range(len(self.zones))]

    def write(self, instance_ids: Sequence[str], key: str, value: str | None) -> None:
        for id_ in instance_ids:
            delays = self.delays(self.readers)
            self.writes.append(({name: self.now + delay for name, delay in delays.items()}, id_, key, value))

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
        self.worked = self.refused = False
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
            left_s = (booked.until or 0.0) - self.time()
            # The batch is refused when there is not enough left of its leases (run.py).
            self.refused = 0 < left_s < WORK_S
            if left_s >= WORK_S:
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


class Orders:
    """A world and an order of what happens in it; all follows from the seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def play_on(self, *, skew_s: float = 0.0, lease_s: int = 10 * PATIENCE_S, together: bool = False) -> list[Run]:
        """Two to four runs, with clocks that are wrong by so much; those that nobody has killed, when all have ended.

        With ``together`` all runs read the same, however late that is: what is written may take longer than it should.
        """
        world = World(self.random.choices("ab", k=self.random.randint(1, 5)), self._late if together else self._apart)
        most = self.random.randint(1, 3)
        budget = Budget(str(most), ("zone",), 0, lease_s, SETTLE_S)
        runs = [
            Run(world, f"run-{number}", self._some(world.ids), budget, self.random.uniform(-skew_s, skew_s))
            for number in range(self.random.randint(2, 4))
        ]
        if lease_s < PATIENCE_S:
            self._kill_one(world, runs)
        try:
            play(world, runs, most, self.random.randrange)
        finally:
            for run in runs:
                if not run.ended:
                    run.kill()
        return [run for run in runs if not run.killed]

    def _some(self, ids: Sequence[str]) -> list[str]:
        return self.random.sample(ids, self.random.randint(1, len(ids)))

    def _apart(self, readers: Sequence[str]) -> dict[str, float]:
        return {reader: self.random.uniform(0, SETTLE_S - 0.001) for reader in readers}

    def _late(self, readers: Sequence[str]) -> dict[str, float]:
        return dict.fromkeys(readers, self.random.uniform(0, 3 * SETTLE_S))

    def _kill_one(self, world: World, runs: Sequence[Run]) -> None:
        for _step in range(self.random.randrange(60)):
            ready = [run for run in runs if not run.ended and run.wake <= world.now]
            if ready:
                self.random.choice(ready).step()
            else:
                world.now += 1
        victim = self.random.choice(runs)
        if not victim.ended:
            victim.kill()


def whatever_the_clocks_say(seed: int) -> None:
    assert all(run.worked for run in Orders(seed).play_on(skew_s=300))


def whoever_dies(seed: int) -> None:
    assert all(run.worked or run.refused for run in Orders(seed).play_on(lease_s=1000))


def however_late_all_read(seed: int) -> None:
    assert all(run.worked for run in Orders(seed).play_on(together=True))


ORDERS = (whatever_the_clocks_say, whoever_dies, however_late_all_read)


@pytest.mark.parametrize("orders", ORDERS, ids=lambda orders: orders.__name__)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_no_order_of_reads_and_writes_exceeds_the_budget(orders: Callable[[int], None], seed: int) -> None:
    """And nobody is left waiting: each run gets something in the end."""
    orders(seed)


# --- without a rule -------------------------------------------------------------------------------------------------


def _settles() -> AbstractContextManager[Any]:
    """A claim is looked at again when everybody must have read it."""
    original = Booking.__init__

    def hasty(self: Booking, *arguments: Any, budget: Budget, **more: Any) -> None:
        original(self, *arguments, budget=replace(budget, settle_s=0), **more)

    return mock.patch.object(Booking, "__init__", hasty)


def _looks_again() -> AbstractContextManager[Any]:
    """Who has claimed goes on only if all claims together are within the budget."""
    original = Booking._fits
    return mock.patch.object(
        Booking, "_fits", lambda self, view, taken, rank: rank is None or original(self, view, taken, rank)
    )


def _sees_itself() -> AbstractContextManager[Any]:
    """Who does not read its own claim has not read those of others either."""

    class All(list[Lease]):
        def __contains__(self, _lease: object) -> bool:
            return True

    original = Booking._ours
    return mock.patch.object(Booking, "_ours", lambda self, view, key: All(original(self, view, key)))


def _later_withdraws() -> AbstractContextManager[Any]:
    """Of those in each other's way the later one withdraws."""
    original = Booking._fits
    return mock.patch.object(
        Booking, "_fits", lambda self, view, taken, rank: rank is not None or original(self, view, taken, rank)
    )


def _leases_end() -> AbstractContextManager[Any]:
    """A lease holds for its time, and not for ever."""
    return mock.patch.object(Lease, "expired", lambda self, now: False)


def _own_lease_ends() -> AbstractContextManager[Any]:
    """Who has waited until its own claim was over claims anew."""

    class Endless(Lease):
        __hash__ = Lease.__hash__

        def expired(self, now: float) -> bool:
            return False

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Lease) and (self.owner, self.value) == (other.owner, other.value)

    return mock.patch.object(booking, "Lease", Endless)


def _cleans_up_its_own() -> AbstractContextManager[Any]:
    """Only who holds a host removes leases from it that are over."""
    original = Booking._read

    def read(self: Booking) -> View:
        view = original(self)
        for instance_id, leases in view.leases.items():
            for lease in leases:
                if lease.owner != self._owner and lease.expired(self._clock.time()):
                    self._api.untag_instances([instance_id], [lease.key])
        return view

    return mock.patch.object(Booking, "_read", read)


# Where it is seen; another order for a seed wants new ones.
NEEDED = {
    _settles: (whoever_dies, 86),
    _looks_again: (whatever_the_clocks_say, 0),
    _sees_itself: (however_late_all_read, 14),
    _later_withdraws: (however_late_all_read, 1),
    _leases_end: (whoever_dies, 0),
    _own_lease_ends: (whoever_dies, 8),
    _cleans_up_its_own: (whoever_dies, 306),
}


@pytest.mark.parametrize("rule", NEEDED, ids=lambda rule: rule.__name__.strip("_"))
def test_a_rule_is_needed(rule: Callable[[], AbstractContextManager[Any]]) -> None:
    orders, seed = NEEDED[rule]
    orders(seed)
    with rule(), pytest.raises(AssertionError):
        orders(seed)
