# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What there is to know and to want of the agent's service."""

from __future__ import annotations

from dataclasses import dataclass

STARTED, STOPPED, STARTING, STOPPING = "started", "stopped", "starting", "stopping"
# It has ended by itself, and its init system waits to start it again.
FAILED = "failed"
ABSENT = "absent"


class ServiceError(Exception):
    """One sentence about what cannot be had."""


@dataclass(frozen=True)
class Service:
    """The agent's service as its init system has it."""

    name: str
    state: str
    enabled: bool
    words: str
    """The state in the init system's own words."""
    pid: int | None = None
    program: str | None = None
    """What it runs, where the init system says so."""


@dataclass(frozen=True)
class Wanted:
    """What a task asks for; None is whatever there is."""

    state: str | None = None
    enabled: bool | None = None
    force: bool = False
