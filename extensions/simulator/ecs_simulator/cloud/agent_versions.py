# SPDX-License-Identifier: GPL-3.0-or-later
"""Which agent a command needs: the versions of the SDK's docstring of RunCommandRequest.

Agents for Windows are numbered 2.1.x where those for Linux are 2.2.x.
"""

from ecs_simulator.fleet_instances import Agent

_BUILDS = {"linux": "2.2.3", "windows": "2.1.3"}
SESSIONS = 256
SCHEDULES = 282
IDS = 309
NAMES = 344
CONTAINERS = 344
# "Use a specified exit code to stop or restart instances": 2.2.3.317 or later, on Windows the same build.
EXIT_CODES = 317


def newest_version(os_type: str) -> str:
    """The agent that is there to be installed: the build that instances have when the fleet file names none."""
    return f"{_BUILDS[os_type]}.{Agent.version.rpartition('.')[2]}"


def missing_version(os_type: str, version: str, builds: list[int]) -> str:
    """The version that an agent would have to have; empty when it is new enough."""
    needed = f"{_BUILDS[os_type]}.{max(builds, default=0)}"
    return needed if is_older(version, needed) else ""


def is_older(version: str, other: str) -> bool:
    return _numbers(version) < _numbers(other)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))
