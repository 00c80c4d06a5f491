# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Cutting hosts into batches, as Ansible's ``serial`` does, with no more of a group in one batch than may be away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any


def share(size: int | str, total: int) -> int:
    """How many hosts of ``total`` a number or percentage is: floored, and at least 1.

    The same arithmetic as Ansible's, rounding errors included: 29% of 100 hosts are 28.
    """
    text = str(size)
    if not text.endswith("%"):
        return max(int(text), 1)
    return int(int(text[:-1]) / 100.0 * total) or 1


def plan_batches(
    groups: Mapping[str, Hashable], sizes: Sequence[int | str], most: Mapping[Any, int] | None = None
) -> list[list[str]]:
    """The batches, each a list of hosts.

    ``groups`` are the hosts in their order, with the group that each belongs to, if any; ``sizes`` are as ``serial``
    takes them, and the last holds for all batches that follow; ``most`` says how many hosts of a group a batch may take
    (at least 1; no entry: any number). A host that has no room in its batch comes first in a later one, and a batch
    may then be smaller than its size.
    """
    waiting = list(groups)
    limits = {group: max(limit, 1) for group, limit in (most or {}).items()}
    batches: list[list[str]] = []
    for room in _rooms(sizes, len(waiting)):
        if not waiting:
            break
        taken: Counter[Hashable] = Counter()
        batch: list[str] = []
        for host in waiting:
            group = groups[host]
            if len(batch) < room and (group is None or taken[group] < limits.get(group, room)):
                taken[group] += 1
                batch.append(host)
        chosen = set(batch)
        waiting = [host for host in waiting if host not in chosen]
        batches.append(batch)
    return batches


def _rooms(sizes: Sequence[int | str], total: int) -> Iterator[int]:
    for size in sizes:
        yield share(size, total)
    while True:
        yield share(sizes[-1], total)
