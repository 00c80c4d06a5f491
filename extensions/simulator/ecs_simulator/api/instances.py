# SPDX-License-Identifier: GPL-3.0-or-later
"""DescribeInstances and DescribeInstanceStatus."""

import ast
import fnmatch
from typing import Any

from ecs_simulator.api.paging import read_page
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.clock import iso
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError, invalid
from ecs_simulator.cloud.instance import Instance

_MAXIMUM_IDS = 100
_OS_NAMES = {
    "linux": "Alibaba Cloud Linux  3.2104 LTS 64位",
    "windows": "Windows Server  2022 数据中心版 64位",
}


def describe_instances(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    instances = [host.instance for host in cloud.hosts_in(parameters.required("RegionId"))]
    ids = _instance_ids(parameters.text("InstanceIds"))
    tags = parameters.tags()
    name = parameters.text("InstanceName")
    found = [
        instance
        for instance in instances
        if (ids is None or instance.id in ids)
        and tags.items() <= instance.tags.items()
        and parameters.text("ZoneId") in ("", instance.spec.zone_id)
        and parameters.text("Status") in ("", instance.status)
        and (not name or fnmatch.fnmatchcase(instance.spec.name, name))
    ]
    page = read_page(parameters, len(found), maximum=100)
    return {"Instances": {"Instance": [_describe(instance) for instance in page.cut(found)]}, **page.fields()}


def describe_instance_status(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    hosts = cloud.hosts_in(parameters.required("RegionId"))
    ids = parameters.numbered("InstanceId")
    if len(ids) > _MAXIMUM_IDS:
        raise invalid("InstanceId", f"may hold at most {_MAXIMUM_IDS} ids")
    found = [
        host.instance
        for host in hosts
        if (not ids or host.instance.id in ids) and parameters.text("ZoneId") in ("", host.instance.spec.zone_id)
    ]
    page = read_page(parameters, len(found), maximum=50)
    rows = [{"InstanceId": instance.id, "Status": instance.status} for instance in page.cut(found)]
    fields = page.fields()
    del fields["NextToken"]
    return {"InstanceStatuses": {"InstanceStatus": rows}, **fields}


def _instance_ids(text: str) -> set[str] | None:
    """A JSON array of ids. The real API also takes a Python list with single quotes, as Alibaba's sample sends."""
    if not text:
        return None
    try:
        ids = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        ids = None
    if not isinstance(ids, list) or not all(isinstance(id_, str) for id_ in ids):
        raise ApiError(400, "InvalidInstanceIds.Malformed", "The specified InstanceIds is not valid.")
    if len(ids) > _MAXIMUM_IDS:
        raise ApiError(400, "InvalidParameter.InstanceIds", "The number of instance IDs exceeds the upper limit.")
    return set(ids)


def _describe(instance: Instance) -> dict[str, Any]:
    spec = instance.spec
    return {
        "InstanceId": instance.id,
        "InstanceName": spec.name,
        "HostName": spec.name,
        "RegionId": spec.region_id,
        "ZoneId": spec.zone_id,
        "Status": instance.status,
        "StoppedMode": instance.stopped_mode,
        "CreationTime": iso(instance.created),
        "StartTime": iso(instance.started) if instance.started is not None else "",
        "OSType": spec.os,
        "OSName": _OS_NAMES[spec.os],
        "OSNameEn": _OS_NAMES[spec.os],
        "InstanceType": "ecs.g7.large",
        "InstanceTypeFamily": "ecs.g7",
        "Cpu": 2,
        "Memory": 8192,
        "InstanceChargeType": "PostPaid",
        "InstanceNetworkType": "vpc",
        "DeletionProtection": False,
        "Description": "",
        "ResourceGroupId": "",
        "Tags": {"Tag": [{"TagKey": key, "TagValue": value} for key, value in instance.tags.items()]},
        "VpcAttributes": {
            "VpcId": "vpc-bp1simulator",
            "VSwitchId": "vsw-bp1simulator",
            "NatIpAddress": "",
            "PrivateIpAddress": {"IpAddress": [instance.private_ip]},
        },
        "PublicIpAddress": {"IpAddress": []},
        "InnerIpAddress": {"IpAddress": []},
        "SecurityGroupIds": {"SecurityGroupId": ["sg-bp1simulator"]},
        "OperationLocks": {"LockReason": []},
    }
