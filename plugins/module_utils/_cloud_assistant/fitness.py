# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Whether a command can run on an instance now."""

from __future__ import annotations

from collections.abc import Sequence

from .._instances.describe import DescribeApi, Seen, look
from .._instances.failure import Failure, no_such_instance


def unfitness(seen: Seen, platform: str, region_id: str) -> Failure | None:
    """Why a command of a platform cannot run on an instance now; None when it can."""
    instance, agent = seen.instance, seen.agent
    if instance is None:
        return no_such_instance(region_id)
    if instance.status != "Running":
        return Failure("instance", f"The instance is {instance.status}, not Running. Start it first.")
    if instance.os_type and instance.os_type != platform:
        return Failure("input", f"The script is for {platform}, and the instance runs {instance.os_type}.")
    if agent is None or not agent.online:
        return Failure("agent", "Its Cloud Assistant Agent is not online. Install or start the agent on the instance.")
    return None


def find_unfit(api: DescribeApi, instance_ids: Sequence[str], platform: str) -> dict[str, Failure]:
    """The instances on which a command of a platform cannot run now, and why."""
    seen = look(api, instance_ids)
    found = {instance_id: unfitness(seen[instance_id], platform, api.region_id) for instance_id in instance_ids}
    return {instance_id: failure for instance_id, failure in found.items() if failure}
