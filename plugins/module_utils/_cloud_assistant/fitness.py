# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Whether a command can run on an instance now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .._instances.describe import DescribeApi, ManagedApi, Seen, look, look_at_managed
from .._instances.failure import Failure, no_such_instance
from .._instances.ids import is_managed
from .._sdk.shapes import ManagedRow
from .command import PLATFORMS, SCRIPT_IS_FOR


class FitnessApi(DescribeApi, ManagedApi, Protocol):
    """The calls that find out who is fit."""


def unfitness(seen: Seen, platform: str, region_id: str, purpose: str = SCRIPT_IS_FOR) -> Failure | None:
    """Why a command of a platform cannot run on an instance now; None when it can.

    ``purpose`` is how a sentence begins that says so of the platform.
    """
    instance, agent = seen.instance, seen.agent
    if instance is None:
        return no_such_instance(region_id)
    if instance.status != "Running":
        return Failure("instance", f"The instance is {instance.status}, not Running. Start it first.")
    if instance.os_type and instance.os_type != platform:
        return _wrong_platform(platform, instance.os_type, purpose)
    if agent is None or not agent.online:
        return Failure("agent", "Its Cloud Assistant Agent is not online. Install or start the agent on the instance.")
    return None


def managed_unfitness(
    row: ManagedRow | None, platform: str, region_id: str, purpose: str = SCRIPT_IS_FOR
) -> Failure | None:
    """The same of a managed instance.

    Alibaba documents FreeBSD as a third platform, and not which scripts run there: that is for the service to say.
    """
    if row is None:
        return Failure(
            "instance",
            f"There is no such managed instance in {region_id}. Check its id and the region, or register it again.",
            mistaken=True,
        )
    if row.os_type in PLATFORMS.values() and row.os_type != platform:
        return _wrong_platform(platform, row.os_type, purpose)
    if not row.connected:
        return Failure(
            "agent",
            f"The managed instance is not connected. See that it is up, that its Cloud Assistant Agent "
            f"({row.agent_version or 'version unknown'}) runs, and that it reaches Alibaba Cloud.",
        )
    return None


def find_unfit(
    api: FitnessApi, instance_ids: Sequence[str], platform: str, purpose: str = SCRIPT_IS_FOR
) -> dict[str, Failure]:
    """The instances, managed ones too, on which a command of a platform cannot run now, and why."""
    managed_ids = [instance_id for instance_id in instance_ids if is_managed(instance_id)]
    seen = look(api, [instance_id for instance_id in instance_ids if not is_managed(instance_id)])
    managed = look_at_managed(api, managed_ids)
    found = {
        instance_id: unfitness(seen[instance_id], platform, api.region_id, purpose)
        if instance_id in seen
        else managed_unfitness(managed.get(instance_id), platform, api.region_id, purpose)
        for instance_id in instance_ids
    }
    return {instance_id: failure for instance_id, failure in found.items() if failure}


def _wrong_platform(wanted: str, platform: str, purpose: str) -> Failure:
    return Failure("input", f"{purpose} {wanted}, and the instance runs {platform}.", mistaken=True)
