# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Looking at instances and their agents, any number at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from .._sdk import limits
from .._sdk.shapes import AgentRow, InstanceRow


class DescribeApi(Protocol):
    """The calls that looking needs; :class:`~.._sdk.ecs.Ecs` has them."""

    region_id: str

    def describe_instances(self, instance_ids: Sequence[str] | None = None) -> Iterator[InstanceRow]: ...

    def describe_cloud_assistant_status(self, instance_ids: Sequence[str]) -> list[AgentRow]: ...


@dataclass(frozen=True)
class Seen:
    """What the API says of one instance; both parts are missing when it does not know the id."""

    instance: InstanceRow | None
    agent: AgentRow | None


def chunks(values: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """The values in pieces of at most ``size``."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def look(api: DescribeApi, instance_ids: Sequence[str]) -> dict[str, Seen]:
    """Instance and agent of each id."""
    instances: dict[str, InstanceRow] = {}
    for chunk in chunks(instance_ids, limits.DESCRIBE_INSTANCES_IDS):
        instances |= {row.instance_id: row for row in api.describe_instances(chunk)}
    agents: dict[str, AgentRow] = {}
    for chunk in chunks(list(instances), limits.ASSISTANT_STATUS_IDS):
        agents |= {row.instance_id: row for row in api.describe_cloud_assistant_status(chunk)}
    return {instance_id: Seen(instances.get(instance_id), agents.get(instance_id)) for instance_id in instance_ids}
