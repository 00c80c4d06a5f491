# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Which state instances are to be in, what that takes, and why it was not reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._progress import duration
from .._sdk.errors import BadInput
from .._sdk.shapes import InstanceRow
from .failure import Failure, no_such_instance

# The states in the API's words. In any other status an instance is on its way, and the API neither starts nor stops it.
_STATUSES = {"running": "Running", "stopped": "Stopped"}


@dataclass(frozen=True)
class Wish:
    """What instances are to be, and how they are stopped for that."""

    state: str
    force: bool = False
    stopped_mode: str | None = None

    def check(self) -> None:
        """Raise :class:`BadInput` for options that would do nothing."""
        for option, value in (("force", self.force), ("stopped_mode", self.stopped_mode)):
            if value and self.state != "stopped":
                raise BadInput(f"{option} is for state: stopped only.")

    @property
    def status(self) -> str:
        """The state in the API's word."""
        return _STATUSES[self.state]

    @property
    def action(self) -> str:
        return "StartInstances" if self.state == "running" else "StopInstances"

    @property
    def doing(self) -> str:
        return "Starting" if self.state == "running" else "Stopping"

    def needed(self, status: str) -> bool:
        """Whether an instance in this status gets there only when somebody asks for it."""
        return status not in (self.status, self.doing)

    def can_be_sent(self, status: str) -> bool:
        """Whether the API would do it to an instance in this status."""
        return status in _STATUSES.values() and status != self.status


def failure_in(
    wish: Wish, row: InstanceRow | None, answer: Failure | None, *, asked: bool, region_id: str, timeout_s: float
) -> Failure | None:
    """Why an instance is not what it is to be; None when it is.

    ``row`` is what was seen last, ``answer`` why it was not accepted when it was ``asked``.
    """
    if row is None:
        return no_such_instance(region_id)
    if row.status == wish.status:
        return None
    still = f"the instance is still {row.status} after {duration(timeout_s)}"
    if answer and answer.kind != "lost":
        return answer
    if answer:
        unknown = f"It is unknown whether {wish.action} took effect; {still}."
        return Failure("lost", f"{unknown} {answer.info} Look at it before you run this again.", answer.code)
    if asked:
        return Failure("timeout", f"{wish.action} was accepted, and {still}.")
    return Failure("timeout", f"{wish.action} was not sent, because {still}.")


def diff_of(results: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """The statuses of those that were changed, before and after."""
    changed = {key: result for key, result in results.items() if result["changed"]}
    return {
        "before": {key: result["status_before"] for key, result in changed.items()},
        "after": {key: result["status"] for key, result in changed.items()},
    }
