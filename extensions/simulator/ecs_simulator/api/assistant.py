# SPDX-License-Identifier: GPL-3.0-or-later
"""DescribeCloudAssistantStatus and InstallCloudAssistant."""

from typing import Any

from ecs_simulator.api.paging import read_page
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.api.targets import read_hosts, read_ids
from ecs_simulator.clock import iso
from ecs_simulator.cloud.agent_versions import SESSIONS, missing_version
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.host import Host

_MAXIMUM = 50
_OS_TYPES = ("", "Windows", "Linux", "FreeBSD")
_OS_NAMES = {"linux": "Linux", "windows": "Windows"}


def describe_cloud_assistant_status(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    region_id = parameters.required("RegionId")
    ids = read_ids(parameters, _MAXIMUM)
    os_type = parameters.choice("OSType", _OS_TYPES, "")
    found = [host for host in cloud.hosts_in(region_id, ids=ids) if os_type in ("", _OS_NAMES[host.instance.spec.os])]
    page = read_page(parameters, len(found), maximum=_MAXIMUM)
    # With ids, MaxResults has no effect: all of them are on one page (SDK docstring).
    rows = [_describe(cloud, host) for host in (found if ids else page.cut(found))]
    return {"InstanceCloudAssistantStatusSet": {"InstanceCloudAssistantStatus": rows}, **page.uncounted_fields()}


def _describe(cloud: Cloud, host: Host) -> dict[str, Any]:
    spec, agent = host.instance.spec, host.agent if host.online else None
    invocations = host.instance.invocations
    silent_s = cloud.clock.time() - agent.last_heartbeat if agent else float("inf")
    return {
        "InstanceId": spec.id,
        "CloudAssistantStatus": "true" if silent_s <= cloud.fleet.settings.heartbeat_lost_s else "false",
        "CloudAssistantVersion": spec.agent.version if agent else "",
        "LastHeartbeatTime": iso(agent.last_heartbeat) if agent else "",
        "ActiveTaskCount": agent.active_tasks if agent else 0,
        "InvocationCount": len(invocations),
        "LastInvokedTime": iso(invocations[-1].created) if invocations else "",
        "OSType": _OS_NAMES[spec.os],
        "SupportSessionManager": bool(agent) and not missing_version(spec.os, spec.agent.version, [SESSIONS]),
    }


def install_cloud_assistant(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    """Where the newest agent is installed already, nothing happens."""
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    for host in read_hosts(cloud, parameters, region_id, _MAXIMUM):
        host.install_agent()
    return {}
