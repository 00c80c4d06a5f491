# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting: predicate, snapshots, one deadline."""

from __future__ import annotations

import time

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._waiting import Deadline, RealClock, wait_until
from ansible_collections.cloudops.alibaba.tests.unit.fakes import START, FakeClock
from hypothesis import given
from hypothesis import strategies as st


def test_it_ends_with_the_snapshot_that_is_done() -> None:
    clock = FakeClock()
    snapshots = iter(range(10))
    seen = wait_until(lambda: next(snapshots), lambda n: n == 3, deadline=Deadline(clock, 100), clock=clock)
    assert seen == 3
    assert clock.sleeps == [0.5, 0.5 * 1.4, 0.5 * 1.4**2]


def test_it_ends_with_the_last_snapshot_when_the_time_is_over() -> None:
    clock = FakeClock()
    seen = wait_until(lambda: clock.now, lambda n: False, deadline=Deadline(clock, 30), clock=clock)
    assert seen == clock.now == START + 30


def test_with_no_time_it_looks_once() -> None:
    clock = FakeClock()
    assert wait_until(lambda: "seen", lambda n: False, deadline=Deadline(clock, 0), clock=clock) == "seen"
    assert clock.sleeps == []


@given(st.floats(min_value=0, max_value=1000))
def test_no_pause_goes_past_the_deadline(total: float) -> None:
    clock = FakeClock()
    looks: list[float] = []

    def take() -> None:
        looks.append(clock.now - START)

    wait_until(take, lambda n: False, deadline=Deadline(clock, total), clock=clock)
    assert abs(looks[-1] - total) < 1e-3


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="not on this system")
def test_a_computer_that_sleeps_grows_older(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "clock_gettime", {time.CLOCK_BOOTTIME: 1000.0, time.CLOCK_MONOTONIC: 10.0}.get)
    assert RealClock().monotonic() == 1000.0
