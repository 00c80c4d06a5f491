# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Whose fault it is when a host fails."""

from __future__ import annotations

from .._instances.failure import Failure

OFFLINE = "offline"
"""It was not running, or its agent not there, before anything was done to it."""

BLAMES = (
    "script",
    "timeout",
    "stopped",
    "agent",
    "network",
    "instance",
    "input",
    "not_delivered",
    "lost",
    "budget",
    "hook",
    "health",
    OFFLINE,
)
"""What ``blame`` of a verdict may be: the failures of all modules, and what only a run knows."""


def blame_of(failure: Failure | None, *, asked: bool) -> str | None:
    """The blame for a failure; ``asked`` is whether the host was asked to do anything."""
    if failure is None:
        return None
    return OFFLINE if failure.kind in ("agent", "instance") and not asked else failure.kind
