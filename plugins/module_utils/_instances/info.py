# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What the module ecs_instance_info returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from .._sdk import limits
from .._sdk.shapes import AgentRow, InstanceRow, format_time
from .describe import AgentApi, chunks, look_at_agents


class InfoApi(AgentApi, Protocol):
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
    api: InfoApi,
    instance_ids: Sequence[str] | None,
    *,
    tags: Mapping[str, str],
    zone_id: str | None,
    status: str | None,
    name: str | None,
) -> dict[str, Any]:
    """The instances that match, with their agents."""
    wanted = None if instance_ids is None else list(dict.fromkeys(instance_ids))
    pieces = [None] if wanted is None else list(chunks(wanted, limits.DESCRIBE_INSTANCES_IDS))
    rows: dict[str, InstanceRow] = {}
    for piece in pieces:
        found = api.describe_instances(piece, tags=tags, zone_id=zone_id, status=status, name=name)
        rows |= {row.instance_id: row for row in found}
    agents = look_at_agents(api, list(rows))
    return {
        "changed": False,
        "instances": {key: _shape(row, agents.get(key)) for key, row in rows.items()},
        "missing": [key for key in wanted or [] if key not in rows],
    }


def _shape(row: InstanceRow, agent: AgentRow | None) -> dict[str, Any]:
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
        "agent": {
            "online": bool(agent and agent.online),
            "version": agent.version if agent else "",
            "last_heartbeat_at": format_time(agent.last_heartbeat) if agent else None,
        },
    }
