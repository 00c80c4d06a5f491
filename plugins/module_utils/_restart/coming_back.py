# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Waiting until restarting instances look as if they were back.

Looking is not proof: it only tells when asking the instance is worth a command. An agent says hello when it starts,
so a heartbeat younger than the restart means that the agent has started again, or that it has not gone yet.
"""

from __future__ import annotations

from collections.abc import Mapping

from .._instances.describe import DescribeApi, Seen, look
from .._progress import Progress, count
from .._sdk.errors import ApiError, NoAnswer
from .._sdk.retry import may_repeat
from .._waiting import Clock, Deadline, wait_until


def looks_back(seen: Seen, since: float) -> bool:
    """Running, agent online, and a heartbeat from after ``since`` (seconds since the epoch, the service's clock)."""
    return bool(
        seen.instance
        and seen.instance.status == "Running"
        and seen.agent
        and seen.agent.online
        and seen.agent.last_heartbeat
        and seen.agent.last_heartbeat > since
    )


def wait_until_back(
    api: DescribeApi, since: Mapping[str, float], *, deadline: Deadline, clock: Clock, progress: Progress
) -> set[str]:
    """Wait until all instances look back or the deadline passes; those that do."""
    ids = list(since)
    back: set[str] = set()

    def take() -> set[str]:
        try:
            seen = look(api, [instance_id for instance_id in ids if instance_id not in back])
        except (ApiError, NoAnswer) as error:
            if not may_repeat(error, harmless=True):
                raise
            return back
        back.update(instance_id for instance_id, one in seen.items() if looks_back(one, since[instance_id]))
        progress.update(f"{len(back)} of {count(len(ids), 'restarting instance')} back")
        return back

    return wait_until(take, lambda found: len(found) == len(ids), deadline=deadline, clock=clock)
