# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the simulator's tests; what they import stands in simulator_helpers."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from ecs_simulator.clock import ManualClock
from ecs_simulator.machines.namespace.machine import why_not
from ecs_simulator.machines.nspawn.machine import why_not as why_no_nspawn
from simulator_helpers import ROOTFS


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Skip a test where namespace machines are not to be had."""
    with tempfile.TemporaryDirectory() as folder:
        reason = asyncio.run(why_not(Path(folder)))
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def nspawn() -> None:
    """Skip a test where nspawn machines are not to be had."""
    with tempfile.TemporaryDirectory() as folder:
        reason = why_no_nspawn(ROOTFS, Path(folder))
    if reason:
        pytest.skip(f"{reason} (make simulator-rootfs)")


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still until the test moves it; give it to the simulator."""
    return ManualClock()
