# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""How many hosts of a zone, or of those with a tag, may be unavailable at once. Pure decisions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._sdk.errors import BadInput

_HOSTS = re.compile(r"[1-9][0-9]*|(?:[1-9][0-9]?|100)%")
_TAG = "tag:"
# What hooks may take of a lease that nobody has chosen, and how much clocks may differ.
_MARGIN_S = 300
_IN_BATCH = "in this batch"
BUDGET_SPEC: dict[str, dict[str, Any]] = {
    "hosts": {"type": "str", "required": True},
    "by": {"type": "list", "elements": "str", "default": ["zone"]},
    "of": {"type": "str", "choices": ["play", "region"]},
    "wait_s": {"type": "int", "default": 1800},
    "lease_s": {"type": "int"},
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

    def zone_in(self, key: Sequence[str]) -> str | None:
        """The zone that a group is in, if groups are of zones."""
        return dict(zip(self.by, key)).get("zone")

    def tags_in(self, key: Sequence[str]) -> dict[str, str]:
        """The tags that a group agrees in."""
        return {what.removeprefix(_TAG): value for what, value in zip(self.by, key) if what.startswith(_TAG)}

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
    ``settle_s`` how long a tag may take until everybody reads it. ``of`` is what groups are made of: the hosts of the
    play, or all instances of the region.
    """

    wait_s: int
    lease_s: int
    settle_s: int
    of: str = "play"


def read_share(value: Mapping[str, Any]) -> Share:
    """The share of a group from ``hosts`` and ``by``; raises :class:`BadInput`."""
    hosts = str(value.get("hosts") or "").strip()
    if not _HOSTS.fullmatch(hosts):
        raise BadInput(f"hosts of max_unavailable is {hosts!r}; give a number from 1 on, or 1% to 100% of a group.")
    if not value["by"]:
        raise BadInput("by of max_unavailable is empty; it takes zone, and tag:KEY with the key of a tag.")
    for what in value["by"]:
        if what != "zone" and not re.fullmatch(r"tag:.*\S", what):
            raise BadInput(f"by of max_unavailable has {what!r}; it takes zone, and tag:KEY with the key of a tag.")
    return Share(hosts, tuple(value["by"]))


def read_budget(value: Mapping[str, Any], work_s: int) -> Budget:
    """The budget from a module's option (``BUDGET_SPEC``); raises :class:`BadInput`.

    ``work_s`` is how many seconds a batch and a restart may take: a lease must not be shorter.
    """
    share = read_share(value)
    for name in ("wait_s", "settle_s"):
        if value[name] < 0:
            raise BadInput(f"{name} of max_unavailable is {value[name]}, and must not be negative.")
    lease_s = work_s + _MARGIN_S if value["lease_s"] is None else value["lease_s"]
    if lease_s < max(work_s, 1):
        raise BadInput(
            f"lease_s of max_unavailable is {lease_s}, and a batch and a restart may take {work_s} s: give more than "
            "that and what hooks take, or shorter timeouts."
        )
    of = value["of"] or ("region" if share.tag_keys else "play")
    return Budget(share.hosts, share.by, value["wait_s"], lease_s, value["settle_s"], of)


def too_large(batches: Sequence[Collection[str]], keys: Mapping[str, tuple[str, ...]], share: Share) -> str | None:
    """Why one of the batches can never fit, even if all others are available; None when all can.

    ``keys`` tells the group of each instance that counts, also of those that are in no batch.
    """
    sizes = Counter(keys.values())
    for number, batch in enumerate(batches, start=1):
        for key, wanted in Counter(keys[one] for one in batch if all(keys.get(one, ("",)))).items():
            most = share.most_of(sizes[key])
            if wanted > most:
                which = f"Batch {number}" if len(batches) > 1 else "The batch"
                always = min(share.most_of(size) for size in sizes.values())
                return (
                    f"{which} has {wanted} of the {sizes[key]} instances of {share.name_of(key)}, and at most {most} "
                    f"may be unavailable at once (max_unavailable). Make the batches smaller (serial, "
                    f"patch_hosts_batches; {always} a batch always fit), or follow a plan of the playbook assess, "
                    "whose batches fit. Nothing was done."
                )
    return None


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
            denied[instance_id] = f"It is {leased[instance_id]}. Start the same command again when it is free."
        elif instance_id in gone or len(gone) < group.most:
            taken.append(instance_id)
        else:
            denied[instance_id] = _sentence(group, gone, names)
    return taken, denied


def _gone(group: Group, taken: Collection[str], leased: Mapping[str, str]) -> dict[str, str]:
    """The members that are not available, and why."""
    ours = {instance_id: _IN_BATCH for instance_id in taken if instance_id in group.members}
    theirs = {instance_id: why for instance_id, why in leased.items() if instance_id in group.members}
    return ours | theirs | dict(group.down)


def _sentence(group: Group, gone: Mapping[str, str], names: Mapping[str, str]) -> str:
    most = 5
    shown = [f"{names.get(instance_id, instance_id)} is {why}" for instance_id, why in list(gone.items())[:most]]
    rest = [f"{len(gone) - most} more are not available"] if len(gone) > most else []
    small = _IN_BATCH in gone.values()
    advice = "Smaller batches make room for it" if small else "Start the same command again when they are available"
    return (
        f"At most {group.most} of the {len(group.members)} instances of {group.name} may be unavailable "
        f"(max_unavailable): {', '.join([*shown, *rest])}. {advice}."
    )
