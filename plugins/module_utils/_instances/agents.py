# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What an instance's Cloud Assistant Agent is to be, what it lacks, and why it did not get there."""

from __future__ import annotations

from dataclasses import dataclass

from .._progress import duration
from .._sdk.errors import BadInput
from .agent_version import agent_version, at_least
from .describe import Seen
from .failure import Failure, no_such_instance

_VERSION_NUMBERS = 4


@dataclass(frozen=True)
class Demand:
    """Online, and of a version at least; on Windows perhaps of another one."""

    minimum: str | None = None
    minimum_windows: str | None = None

    def check(self) -> None:
        """Raise :class:`BadInput` for what is no version."""
        for option, value in (("minimum_version", self.minimum), ("minimum_version_windows", self.minimum_windows)):
            if value is not None and len(agent_version(value)) != _VERSION_NUMBERS:
                raise BadInput(f"{option} is {value!r}, and a version of the agent has four numbers, as in 2.2.3.317.")

    def minimum_for(self, seen: Seen) -> str | None:
        """The version that an instance's agent must have at least."""
        windows = bool(seen.instance and seen.instance.os_type == "windows")
        return (self.minimum_windows if windows else None) or self.minimum

    def is_old(self, seen: Seen) -> bool:
        """Whether the agent is known to be older than that. One that is not online does not tell."""
        minimum = self.minimum_for(seen)
        return bool(minimum and seen.online and seen.agent and not at_least(seen.agent.version, minimum))

    def is_met(self, seen: Seen) -> bool:
        return seen.online and not self.is_old(seen)


def unreachable(seen: Seen | None, region_id: str) -> Failure | None:
    """Why no agent can come online on an instance now; None when it may."""
    if seen is None or seen.instance is None:
        return no_such_instance(region_id)
    if seen.instance.status in ("Running", "Starting"):
        return None
    return Failure("instance", f"The instance is {seen.instance.status}, not Running. Start it first.")


def agent_state(seen: Seen) -> str:
    """An agent in a diff."""
    if not seen.online:
        return "not online"
    return f"online, version {seen.agent.version}" if seen.agent and seen.agent.version else "online"


def wanted_state(demand: Demand, seen: Seen) -> str:
    """What it is to become, in a diff of check mode."""
    minimum = demand.minimum_for(seen)
    return f"online, version {minimum} or later" if minimum else "online"


def failure_in(demand: Demand, seen: Seen, answer: Failure | None, *, asked: bool, timeout_s: float) -> Failure | None:
    """Why an agent is not as it is to be; None when it is.

    ``answer`` is why an installation was not accepted when it was ``asked`` for.
    """
    if demand.is_met(seen):
        return None
    if answer and not asked:
        return answer
    time = duration(timeout_s)
    if answer:
        return Failure(
            "lost",
            f"It is unknown whether the agent was installed; it is {agent_state(seen)} after {time}. {answer.info}",
        )
    if demand.is_old(seen):
        version = seen.agent.version if seen.agent else ""
        return Failure(
            "agent",
            f"Its agent is still {version or 'of an unknown version'} after {time}, and {demand.minimum_for(seen)} is "
            "wanted. Agents upgrade themselves from time to time unless that is switched off; see their settings.",
        )
    if asked:
        return Failure(
            "agent",
            f"InstallCloudAssistant was accepted, and its agent is not online after {time}. Restart the instance, and "
            "check its way to the Cloud Assistant endpoints (443, 80, 53).",
        )
    return Failure("agent", f"Its agent is not online after {time}. Start it on the instance, or have it installed.")
