# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Waiting until restarting instances look as if they were back.

Looking is not proof: it only tells when asking the instance is worth a command. An agent says hello when it starts,
so a heartbeat younger than the restart means that the agent has started again, or that it has not gone yet.
"""

from __future__ import annotations

from collections.abc import Mapping

from .._instances.describe import DescribeApi, Seen, glance
from .._progress import Progress, count
from .._waiting import Clock, Deadline, wait_until


def looks_back(seen: Seen, since: float | None) -> bool:
    """Online, and a heartbeat from after ``since`` (seconds since the epoch, the service's clock)."""
    return seen.online and bool(seen.heartbeat and since is not None and seen.heartbeat > since)


def wait_until_back(
    api: DescribeApi, since: Mapping[str, float], *, deadline: Deadline, clock: Clock, progress: Progress
) -> set[str]:
    """Wait until all instances look back or the deadline passes; those that do."""
    ids = list(since)
    back: set[str] = set()

    def take() -> set[str]:
        seen = glance(api, [instance_id for instance_id in ids if instance_id not in back])
        back.update(instance_id for instance_id, one in seen.items() if looks_back(one, since[instance_id]))
        progress.update(f"{len(back)} of {count(len(ids), 'restarting instance')} back")
        return back

    return wait_until(take, lambda found: len(found) == len(ids), deadline=deadline, clock=clock)
