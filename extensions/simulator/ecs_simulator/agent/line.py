# SPDX-License-Identifier: GPL-3.0-or-later
"""The way from an agent to the service; it outlives the agent and the boot."""

HEARTBEAT_S = 60.0


class Line:
    """Carries what an agent says while it is ``up``."""

    def __init__(self) -> None:
        self.up = True
        self.heartbeat_s = HEARTBEAT_S
        """How far apart the agent's heartbeats are."""
        self._to_lose = 0

    def lose_report(self) -> None:
        """Let the next final report get lost, with all its repetitions."""
        self._to_lose += 1

    def loses_report(self) -> bool:
        """Whether the report that goes out now is one of those that get lost."""
        lost = self._to_lose > 0
        self._to_lose -= lost
        return lost
