# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Looking at instances and their agents, any number at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from .._sdk import limits
from .._sdk.errors import CloudError
from .._sdk.shapes import AgentRow, InstanceRow, ManagedRow


class AgentApi(Protocol):
    """The call that looking at agents needs; :class:`~.._sdk.ecs.Ecs` has it."""

    def describe_cloud_assistant_status(self, instance_ids: Sequence[str]) -> list[AgentRow]: ...


class InstanceApi(Protocol):
    """The call that looking at instances needs."""

    region_id: str

    def describe_instances(
        self,
        instance_ids: Sequence[str] | None = None,
        *,
        tags: Mapping[str, str] | None = None,
        zone_id: str | None = None,
    ) -> Iterator[InstanceRow]: ...


class ManagedApi(Protocol):
    """The call that looking at managed instances needs."""

    def describe_managed_instances(self, instance_ids: Sequence[str]) -> Iterator[ManagedRow]: ...


class DescribeApi(AgentApi, InstanceApi, Protocol):
    """The calls that looking needs."""


@dataclass(frozen=True)
class Seen:
    """What the API says of one instance; both parts are missing when it does not know the id."""

    instance: InstanceRow | None
    agent: AgentRow | None

    @property
    def online(self) -> bool:
        """Running, and the agent online."""
        return bool(self.instance and self.instance.status == "Running" and self.agent and self.agent.online)

    @property
    def heartbeat(self) -> float | None:
        """When the agent said hello last, by the service's clock."""
        return self.agent.last_heartbeat if self.agent else None


def chunks(values: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """The values in pieces of at most ``size``."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def look(api: DescribeApi, instance_ids: Sequence[str]) -> dict[str, Seen]:
    """Instance and agent of each id."""
    instances = look_at_instances(api, instance_ids)
    agents = look_at_agents(api, list(instances))
    return {instance_id: Seen(instances.get(instance_id), agents.get(instance_id)) for instance_id in instance_ids}


def look_at_instances(api: InstanceApi, instance_ids: Sequence[str]) -> dict[str, InstanceRow]:
    """The instances that the region has of these ids."""
    instances: dict[str, InstanceRow] = {}
    for chunk in chunks(instance_ids, limits.DESCRIBE_INSTANCES_IDS):
        instances |= {row.instance_id: row for row in api.describe_instances(chunk)}
    return instances


def look_at_agents(api: AgentApi, instance_ids: Sequence[str]) -> dict[str, AgentRow]:
    """The agents of existing instances."""
    agents: dict[str, AgentRow] = {}
    for chunk in chunks(instance_ids, limits.ASSISTANT_STATUS_IDS):
        agents |= {row.instance_id: row for row in api.describe_cloud_assistant_status(chunk)}
    return agents


def look_at_managed(api: ManagedApi, instance_ids: Sequence[str]) -> dict[str, ManagedRow]:
    """The managed instances that the region has of these ids; no call when there are no ids."""
    managed: dict[str, ManagedRow] = {}
    for chunk in chunks(instance_ids, limits.MANAGED_INSTANCES_IDS):
        managed |= {row.instance_id: row for row in api.describe_managed_instances(chunk)}
    return managed


def glance(api: DescribeApi, instance_ids: Sequence[str]) -> dict[str, Seen]:
    """The same for those who wait: nothing while the API does not tell, because no news changes nothing."""
    try:
        return look(api, instance_ids)
    except CloudError:
        return {}
