# SPDX-License-Identifier: GPL-3.0-or-later
"""The pytest fixture ``ecs_simulator``: a cloud of its own for each test that asks for one.

Which fleet it has is said, the first that there is: by indirect parameters, by the marker ``ecs_fleet``, or by a
fixture ``ecs_fleet`` of the test's own.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # What it imports is imported when a test asks for a simulator.
    from ecs_simulator.background import BackgroundSimulator

_DEFAULT_FLEET = {"regions": {"cn-hangzhou": {"instances": [{"name": "web-{n}", "count": 2, "boot_s": 0.5}]}}}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "ecs_fleet(fleet): the fleet of the fixture ecs_simulator, as a mapping or as the path of a fleet file, "
        "relative to the test's",
    )


@pytest.fixture
def ecs_fleet() -> Any:
    """The fleet of ``ecs_simulator`` where nothing else says it: two Linux instances, web-1 and web-2."""
    return _DEFAULT_FLEET


@pytest.fixture
def ecs_simulator(request: pytest.FixtureRequest, ecs_fleet: Any) -> Iterator["BackgroundSimulator"]:
    """A simulator that serves while the test runs; see :class:`~ecs_simulator.background.BackgroundSimulator`."""
    from ecs_simulator.background import BackgroundSimulator

    marker = request.node.get_closest_marker("ecs_fleet")
    fleet = getattr(request, "param", _of_marker(marker) if marker else ecs_fleet)
    if isinstance(fleet, (str, Path)):
        fleet = request.path.parent / fleet
    with BackgroundSimulator(fleet) as simulator:
        yield simulator


def _of_marker(marker: pytest.Mark) -> Any:
    given = [*marker.args, *marker.kwargs.values()]
    if len(given) != 1 or not set(marker.kwargs) <= {"fleet"}:
        pytest.fail("the marker ecs_fleet needs one fleet: a mapping, or the path of a fleet file", pytrace=False)
    return given[0]
