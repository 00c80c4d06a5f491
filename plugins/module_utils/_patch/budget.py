# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""How many hosts of a zone, or of those with a tag, may be unavailable at once. Pure decisions."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._sdk.errors import BadInput

_HOSTS = re.compile(r"[1-9][0-9]*|(?:[1-9][0-9]?|100)%")
_TAG = "tag:"
BUDGET_SPEC: dict[str, dict[str, Any]] = {
    "hosts": {"type": "str", "required": True},
    "by": {"type": "list", "elements": "str", "default": ["zone"]},
    "wait_s": {"type": "int", "default": 1800},
    "lease_s": {"type": "int", "default": 8400},
    "settle_s": {"type": "int", "default": 5},
}


@dataclass(frozen=True)
class Share:
    """``hosts`` is a number or a percentage of a group; a group is of instances that agree in all of ``by``."""

    hosts: str
    by: tuple[str, ...]

    @property
    def tag_keys(self) -> list[str]:
        """The keys of tags that a group agrees in."""
        return [what.removeprefix(_TAG) for what in self.by if what.startswith(_TAG)]

    def key_of(self, zone_id: str, tags: Mapping[str, str]) -> tuple[str, ...]:
        """What tells the group of an instance: a value for each of ``by``, empty where it has no such tag."""
        return tuple(tags.get(what.removeprefix(_TAG), "") if what.startswith(_TAG) else zone_id for what in self.by)

    def name_of(self, key: Sequence[str]) -> str:
        """A group in words, such as ``zone cn-hangzhou-h and app=web``."""
        words = [
            f"{what.removeprefix(_TAG)}={value}" if what.startswith(_TAG) else f"zone {value}"
            for what, value in zip(self.by, key)
        ]
        return " and ".join(words)

    def most_of(self, size: int) -> int:
        """How many of a group of this size may be unavailable: a percentage is floored, and at least 1."""
        if self.hosts.endswith("%"):
            return max(1, size * int(self.hosts[:-1]) // 100)
        return int(self.hosts)


@dataclass(frozen=True)
class Budget(Share):
    """A share that several runs keep to.

    ``wait_s`` is how long a batch waits for what other runs hold, ``lease_s`` for how long it claims its hosts, and
    ``settle_s`` how long a tag may take until everybody reads it.
    """

    wait_s: int
    lease_s: int
    settle_s: int


def read_budget(value: Mapping[str, Any]) -> Budget:
    """The budget from a module's option (``BUDGET_SPEC``); raises :class:`BadInput`."""
    hosts = str(value["hosts"]).strip()
    if not _HOSTS.fullmatch(hosts):
        raise BadInput(f"hosts of max_unavailable is {hosts!r}; give a number from 1 on, or 1% to 100% of a group.")
    if not value["by"]:
        raise BadInput("by of max_unavailable is empty; it takes zone, and tag:KEY with the key of a tag.")
    for what in value["by"]:
        if what != "zone" and not re.fullmatch(r"tag:.*\S", what):
            raise BadInput(f"by of max_unavailable has {what!r}; it takes zone, and tag:KEY with the key of a tag.")
    for name, least in (("wait_s", 0), ("lease_s", 10), ("settle_s", 0)):
        if value[name] < least:
            raise BadInput(f"{name} of max_unavailable is {value[name]}, and must be at least {least}.")
    return Budget(hosts, tuple(value["by"]), value["wait_s"], value["lease_s"], value["settle_s"])


@dataclass(frozen=True)
class Group:
    """A group of a budget: how many may be unavailable, and why each is that is (by instance id)."""

    name: str
    members: frozenset[str]
    most: int
    down: Mapping[str, str]


def fitting(
    wanted: Sequence[str], groups: Mapping[str, Group], leased: Mapping[str, str], names: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Which instances may be taken now, the first ones first; and of the others, why not.

    ``groups`` are theirs by instance id. ``leased`` says of instances that they are somebody else's, and whose. What is
    unavailable anyhow costs nothing when it is taken.
    """
    taken: list[str] = []
    denied: dict[str, str] = {}
    for instance_id in wanted:
        group = groups[instance_id]
        gone = _gone(group, taken, leased)
        if instance_id in leased:
            denied[instance_id] = f"It is {leased[instance_id]}."
        elif instance_id in gone or len(gone) < group.most:
            taken.append(instance_id)
        else:
            denied[instance_id] = _sentence(group, gone, names)
    return taken, denied


def _gone(group: Group, taken: Collection[str], leased: Mapping[str, str]) -> dict[str, str]:
    """The members that are not available, and why."""
    ours = {instance_id: "in this batch" for instance_id in taken if instance_id in group.members}
    theirs = {instance_id: why for instance_id, why in leased.items() if instance_id in group.members}
    return ours | theirs | dict(group.down)


def _sentence(group: Group, gone: Mapping[str, str], names: Mapping[str, str]) -> str:
    most = 5
    shown = [f"{names.get(instance_id, instance_id)} is {why}" for instance_id, why in list(gone.items())[:most]]
    rest = [f"{len(gone) - most} more are not available"] if len(gone) > most else []
    return (
        f"At most {group.most} of the {len(group.members)} instances of {group.name} may be unavailable "
        f"(max_unavailable): {', '.join([*shown, *rest])}."
    )
