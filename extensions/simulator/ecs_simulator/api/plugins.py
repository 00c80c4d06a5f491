# SPDX-License-Identifier: GPL-3.0-or-later
"""ListPluginStatus."""

from typing import Any

from ecs_simulator.api.paging import read_page
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.api.targets import read_ids
from ecs_simulator.clock import iso
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import invalid, missing
from ecs_simulator.cloud.host import Host

_MAXIMUM_IDS = 50
_MAXIMUM_PAGE = 50
_MAXIMUM_NAME_LENGTH = 255


def list_plugin_status(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    """The plugins that the fleet file gives an agent; without a Name, those of one instance only."""
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    name = parameters.text("Name")
    if len(name) > _MAXIMUM_NAME_LENGTH:
        raise invalid("Name")
    ids = read_ids(parameters, _MAXIMUM_IDS)
    if not ids:
        raise missing("InstanceId")
    if len(ids) > 1 and not name:
        raise missing("Name")
    hosts = [host for host in (cloud.host(region_id, instance_id) for instance_id in ids) if host]
    page = read_page(parameters, len(hosts), maximum=_MAXIMUM_PAGE)
    rows = [
        {"InstanceId": host.instance.id, "PluginStatusSet": {"PluginStatus": _plugins(host, name)}}
        for host in page.cut(hosts)
    ]
    return {"InstancePluginStatusSet": {"InstancePluginStatus": rows}, **page.fields()}


def _plugins(host: Host, name: str) -> list[dict[str, Any]]:
    plugins = host.instance.spec.agent.plugins
    rows = [_describe(host, plugin, version) for plugin, version in plugins.items() if name in ("", plugin)]
    return rows or [{"PluginName": name, "PluginStatus": "NotInstalled"}] if name else rows


def _describe(host: Host, name: str, version: str) -> dict[str, Any]:
    agent = host.agent if host.online else None
    return {
        "PluginName": name,
        "PluginVersion": version,
        "PluginStatus": "Running" if agent else "Unknown",
        "FirstHeartbeatTime": iso(agent.started) if agent else "",
        "LastHeartbeatTime": iso(agent.last_heartbeat) if agent else "",
    }
