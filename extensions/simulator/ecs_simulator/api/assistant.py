# SPDX-License-Identifier: GPL-3.0-or-later
"""DescribeCloudAssistantStatus."""

from typing import Any

from ecs_simulator.api.paging import read_page
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.clock import iso
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError
from ecs_simulator.cloud.host import Host

_MAXIMUM = 50
_OS_NAMES = {"linux": "Linux", "windows": "Windows"}


def describe_cloud_assistant_status(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    hosts = cloud.hosts_in(parameters.required("RegionId"))
    ids = parameters.numbered("InstanceId")
    if len(ids) > _MAXIMUM:
        raise ApiError(403, "InstanceIds.ExceedLimit", "The number of instance IDs exceeds the upper limit.")
    os_type = parameters.text("OSType")
    found = [
        host
        for host in hosts
        if (not ids or host.instance.id in ids) and os_type in ("", _OS_NAMES[host.instance.spec.os])
    ]
    page = read_page(parameters, len(found), maximum=_MAXIMUM)
    # With ids, MaxResults has no effect: all of them are on one page (SDK docstring).
    rows = [_describe(cloud, host) for host in (found if ids else page.cut(found))]
    return {"InstanceCloudAssistantStatusSet": {"InstanceCloudAssistantStatus": rows}, **page.fields()}


def _describe(cloud: Cloud, host: Host) -> dict[str, Any]:
    spec, agent = host.instance.spec, host.agent if host.online else None
    invocations = [item for item in cloud.invocations.values() if spec.id in item.tasks]
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
        "SupportSessionManager": False,
    }
