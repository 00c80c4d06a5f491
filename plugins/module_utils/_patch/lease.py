# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Leases: what a run writes into an instance's tags so that other runs leave it alone, and count it as unavailable.

Each run has a tag key of its own: two that write the same key at once would overwrite each other's claim, and tags
cannot be compared and set. A lease ends by itself, when its time is over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .._sdk.shapes import format_time, parse_time

# An instance takes tags with keys and values of up to 128 characters (TagResourcesRequestTag): a run id has at most 64.
PREFIX = "cloudops-lease."
_VALUE = re.compile(r"since (\S+) until (\S+)")


@dataclass(frozen=True)
class Lease:
    """A run's claim to work on an instance: of the run ``owner``, from ``since`` to ``until``, in seconds of the epoch.

    Both are None for a tag that has our key and a value that is none of ours: it holds until somebody removes it.
    """

    owner: str
    since: float | None
    until: float | None

    @property
    def key(self) -> str:
        """The key of its tag."""
        return PREFIX + self.owner

    @property
    def value(self) -> str:
        """The value of its tag, which people can read too."""
        return f"since {format_time(self.since)} until {format_time(self.until)}"

    @property
    def rank(self) -> tuple[float, str]:
        """Of two that are in each other's way, the one with the lower rank stays."""
        return (self.since or 0.0, self.owner)

    def expired(self, now: float) -> bool:
        """Whether its time is over."""
        return self.until is not None and self.until <= now

    def __str__(self) -> str:
        if self.until is None:
            return (
                f"leased by run {self.owner}, as its tag {self.key} says, whose value is not understood: remove the tag"
            )
        return f"leased by run {self.owner} until {format_time(self.until)}"


def leases_of(tags: Mapping[str, str]) -> list[Lease]:
    """The leases among an instance's tags."""
    return [_read(key.removeprefix(PREFIX), value) for key, value in tags.items() if key.startswith(PREFIX)]


def _read(owner: str, value: str) -> Lease:
    match = _VALUE.fullmatch(value)
    since, until = (parse_time(match[1]), parse_time(match[2])) if match else (None, None)
    return Lease(owner, since, until) if since is not None and until is not None else Lease(owner, None, None)


def of_others(leases: Iterable[Lease], owner: str, now: float) -> list[Lease]:
    """Those that other runs hold."""
    return [lease for lease in leases if lease.owner != owner and not lease.expired(now)]
