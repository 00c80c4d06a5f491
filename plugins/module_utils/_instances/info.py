# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What the module ecs_instance_info returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from .._sdk import limits
from .._sdk.errors import BadInput
from .._sdk.shapes import AgentRow, EventRow, InstanceRow, format_time
from .describe import AgentApi, chunks, look_at_agents
from .events import PENDING, EventApi, events_of
from .ids import check_ecs_ids


class InfoApi(AgentApi, EventApi, Protocol):
    """The calls that this needs; :class:`~.._sdk.ecs.Ecs` has them."""

    def describe_instances(
        self,
        instance_ids: Sequence[str] | None = None,
        *,
        tags: Mapping[str, str] | None = None,
        zone_id: str | None = None,
        status: str | None = None,
        name: str | None = None,
    ) -> Iterator[InstanceRow]: ...


def instance_info(
    connect: Callable[[], InfoApi],
    instance_ids: list[str] | None,
    *,
    tags: Mapping[str, str],
    zone_id: str | None,
    status: str | None,
    name: str | None,
    events: bool,
) -> dict[str, Any]:
    """The instances that match, with their agents and, if wanted, their pending system events."""
    if instance_ids is not None:
        check_ecs_ids(instance_ids, "DescribeInstances does not know it.")
    if len(tags) > limits.INSTANCES_TAGS:
        raise BadInput(f"There are {len(tags)} tags, and DescribeInstances takes at most {limits.INSTANCES_TAGS}.")
    api = connect()
    pieces = [None] if instance_ids is None else list(chunks(instance_ids, limits.DESCRIBE_INSTANCES_IDS))
    rows: dict[str, InstanceRow] = {}
    for piece in pieces:
        found = api.describe_instances(piece, tags=tags, zone_id=zone_id, status=status, name=name)
        rows |= {row.instance_id: row for row in found}
    agents = look_at_agents(api, list(rows))
    pending = events_of(api, list(rows), PENDING) if events else {}
    return {
        "changed": False,
        "instances": {key: _shape(row, agents.get(key), pending.get(key, [])) for key, row in rows.items()},
        "missing": [key for key in instance_ids or [] if key not in rows],
    }


def describe_agent(agent: AgentRow | None) -> dict[str, Any]:
    """An agent as results show it."""
    return {
        "online": bool(agent and agent.online),
        "version": agent.version if agent else "",
        "last_heartbeat_at": format_time(agent.last_heartbeat) if agent else None,
    }


def _shape(row: InstanceRow, agent: AgentRow | None, events: Sequence[EventRow]) -> dict[str, Any]:
    return {
        "name": row.name,
        "region_id": row.region_id,
        "zone_id": row.zone_id,
        "status": row.status,
        "os_type": row.os_type,
        "os_name": row.os_name,
        "private_ip": row.private_ip,
        "public_ip": row.public_ip,
        "tags": row.tags,
        "started_at": format_time(row.started),
        "stopped_mode": row.stopped_mode or None,
        "agent": describe_agent(agent),
        "system_events": [
            {
                "event_id": event.event_id,
                "type": event.type,
                "status": event.status,
                "not_before": format_time(event.not_before),
                "published_at": format_time(event.published),
                "reason": event.reason,
            }
            for event in events
        ],
    }
