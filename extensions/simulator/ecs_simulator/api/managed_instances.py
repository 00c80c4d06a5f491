# SPDX-License-Identifier: GPL-3.0-or-later
"""DescribeManagedInstances, ModifyManagedInstance and DeregisterManagedInstance."""

import re
from typing import Any

from ecs_simulator.api.client_token import once
from ecs_simulator.api.instances import wildcard
from ecs_simulator.api.paging import read_page
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.api.targets import read_ids
from ecs_simulator.clock import iso
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError, invalid
from ecs_simulator.cloud.host import Host

_MAXIMUM_IDS = 50
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._:-]{1,127}")
_OS_VERSIONS = {"linux": "Linux_Alibaba Cloud Linux 3_x86_64", "windows": "Windows_Server 2022_x86_64"}


def describe_managed_instances(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    hosts = cloud.hosts_in(parameters.required("RegionId"), managed=True)
    ids = read_ids(parameters, _MAXIMUM_IDS)
    tags = parameters.tags()
    name = wildcard(parameters.text("InstanceName"))
    connected = parameters.flag("Connected") if parameters.text("Connected") else None
    found = [
        host
        for host in hosts
        if (not ids or host.instance.id in ids)
        and tags.items() <= host.instance.tags.items()
        and name.fullmatch(host.instance.name)
        and connected in (None, host.online)
        and parameters.text("ActivationId") in ("", host.instance.activation_id)
        and parameters.text("InstanceIp") in ("", host.instance.private_ip)
        and parameters.text("MachineId") in ("", host.instance.machine_id)
        and parameters.text("OsType") in ("", host.instance.spec.os)
        and parameters.text("ResourceGroupId") in ("", host.instance.spec.resource_group_id)
    ]
    page = read_page(parameters, len(found), maximum=50)
    rows = [_describe(host) | _connection(host) for host in page.cut(found)]
    return {"Instances": rows, **page.fields()}


def modify_managed_instance(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    host = _find(cloud, parameters)
    name = parameters.required("InstanceName")
    if not _NAME.fullmatch(name) or name.startswith(("http:", "https:")):
        raise invalid("InstanceName")
    host.instance.name = name
    return {"Instance": {"InstanceId": host.instance.id, "InstanceName": name}}


def deregister_managed_instance(cloud: Cloud, parameters: Parameters, caller: str) -> dict[str, Any]:
    def deregister() -> dict[str, Any]:
        host = _find(cloud, parameters)
        answer = {"Instance": _describe(host)}
        activation = cloud.activations.get(host.instance.activation_id)
        if activation:
            activation.deregistered += 1
        cloud.release(host, "InstanceDeregistered")
        return answer

    return once(cloud, parameters, caller, deregister)


def _find(cloud: Cloud, parameters: Parameters) -> Host:
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    host = cloud.host(region_id, parameters.required("InstanceId"))
    if host is None or not host.instance.spec.managed:
        raise ApiError(404, "InvalidInstance.NotFound", "The specified instance does not exist.")
    return host


def _connection(host: Host) -> dict[str, Any]:
    tags = [{"TagKey": key, "TagValue": value} for key, value in host.instance.tags.items()]
    return {"Connected": host.online, "Tags": tags}


def _describe(host: Host) -> dict[str, Any]:
    instance, spec = host.instance, host.instance.spec
    invocations = instance.invocations
    return {
        "InstanceId": instance.id,
        "InstanceName": instance.name,
        "Hostname": spec.name,
        "ActivationId": instance.activation_id,
        "MachineId": instance.machine_id,
        "AgentVersion": spec.agent.version,
        "OsType": spec.os,
        "OsVersion": _OS_VERSIONS[spec.os],
        "IntranetIp": instance.private_ip,
        "InternetIp": "",
        "RegistrationTime": iso(instance.created),
        "InvocationCount": len(invocations),
        "LastInvokedTime": iso(invocations[-1].created) if invocations else "",
        "ResourceGroupId": spec.resource_group_id,
    }
