# SPDX-License-Identifier: GPL-3.0-or-later
"""DescribeInstances and DescribeInstanceStatus."""

import ast
import re
from collections.abc import Callable, Collection
from typing import Any

from ecs_simulator.api.paging import read_page
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.clock import iso, parse_iso
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError, invalid
from ecs_simulator.cloud.instance import Instance

_MAXIMUM_IDS = 100
_MAXIMUM_TAGS = 20
_STATUSES = ("", "Pending", "Running", "Starting", "Stopping", "Stopped")
_OS_NAMES = {
    "linux": "Alibaba Cloud Linux  3.2104 LTS 64位",
    "windows": "Windows Server  2022 数据中心版 64位",
}
_IMAGES = {"linux": "aliyun_3_x64_20G_alibase_20250117.vhd", "windows": "win2022_21H2_x64_dtc_zh-cn_40G_alibase.vhd"}
_VSWITCH_ID = "vsw-bp1simulator"
_SECURITY_GROUP_ID = "sg-bp1simulator"
# What an instance of the simulator has: nothing, so a request that asks for some finds none.
_NOTHING = ("EipAddresses", "PublicIpAddresses", "InnerIpAddresses", "HpcClusterId", "KeyPairName", "RdmaIpAddresses")


def image_id(instance: Instance) -> str:
    return instance.spec.image_id or _IMAGES[instance.spec.os]


def _family(instance: Instance) -> str:
    return instance.spec.instance_type.rpartition(".")[0]


# Parameter → what it is compared with.
_PLAIN: dict[str, Callable[[Instance], str]] = {
    "ZoneId": lambda instance: instance.spec.zone_id,
    "ImageId": image_id,
    "InstanceType": lambda instance: instance.spec.instance_type,
    "InstanceTypeFamily": _family,
    "InstanceNetworkType": lambda instance: "vpc",
    "InstanceChargeType": lambda instance: "PostPaid",
    "VpcId": lambda instance: instance.spec.vpc_id,
    "VSwitchId": lambda instance: _VSWITCH_ID,
    "SecurityGroupId": lambda instance: _SECURITY_GROUP_ID,
    "ResourceGroupId": lambda instance: instance.spec.resource_group_id,
    "LockReason": lambda instance: instance.spec.lock,
}


def describe_instances(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    wanted = _read_filter(parameters)
    if parameters.flag("DryRun"):
        raise ApiError(400, "DryRunOperation", "Request validation has been passed with DryRun flag set.")
    ids = _read_array(parameters, "InstanceIds", "InvalidInstanceIds.Malformed") or ()
    instances = (host.instance for host in cloud.hosts_in(region_id, ids=ids))
    found = [instance for instance in instances if wanted(instance)]
    # A MaxResults below 10 is 10 (SDK docstring).
    page = read_page(parameters, len(found), maximum=100, minimum=10)
    return {"Instances": {"Instance": [_describe(instance) for instance in page.cut(found)]}, **page.fields()}


def describe_instance_status(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    region_id = parameters.required("RegionId")
    ids = parameters.numbered("InstanceId")
    if len(ids) > _MAXIMUM_IDS:
        raise invalid("InstanceId", f"may hold at most {_MAXIMUM_IDS} ids")
    found = [
        host.instance
        for host in cloud.hosts_in(region_id, ids=ids)
        if parameters.text("ZoneId") in ("", host.instance.spec.zone_id)
    ]
    page = read_page(parameters, len(found), maximum=50)
    rows = [{"InstanceId": instance.id, "Status": instance.status} for instance in page.cut(found)]
    fields = page.fields()
    del fields["NextToken"]
    return {"InstanceStatuses": {"InstanceStatus": rows}, **fields}


def _read_filter(parameters: Parameters) -> Callable[[Instance], bool]:
    """What a request asks for, as a question about an instance."""
    ids = _read_array(parameters, "InstanceIds", "InvalidInstanceIds.Malformed")
    addresses = _read_array(parameters, "PrivateIpAddresses", "InvalidParameter.PrivateIpAddresses")
    tags = parameters.tags()
    if len(tags) > _MAXIMUM_TAGS:
        raise invalid("Tag", f"may hold at most {_MAXIMUM_TAGS} tags")
    status = parameters.choice("Status", _STATUSES, "")
    name = wildcard(parameters.text("InstanceName"))
    created_after = _created_after(parameters)
    plain = {parameter: text for parameter in _PLAIN if (text := parameters.text(parameter))}
    nothing = any(parameters.text(parameter) for parameter in _NOTHING)

    def wanted(instance: Instance) -> bool:
        return (
            not nothing
            and (ids is None or instance.id in ids)
            and (addresses is None or instance.private_ip in addresses)
            and _has_tags(instance.tags, tags)
            and status in ("", instance.status)
            and bool(name.fullmatch(instance.name))
            and instance.created >= created_after
            and all(_PLAIN[parameter](instance) == text for parameter, text in plain.items())
        )

    return wanted


def _has_tags(tags: dict[str, str], wanted: dict[str, str]) -> bool:
    """A tag that is asked for without a value may have any."""
    return all(key in tags and value in ("", tags[key]) for key, value in wanted.items())


def wildcard(text: str) -> re.Pattern[str]:
    """The names that a text with asterisks means; no text means all."""
    return re.compile(".*".join(map(re.escape, (text or "*").split("*"))), re.DOTALL)


def _created_after(parameters: Parameters) -> float:
    if not parameters.text("Filter.1.Key"):
        return float("-inf")
    parameters.choice("Filter.1.Key", ("CreationStartTime",), "")
    when = parse_iso(parameters.text("Filter.1.Value"))
    if when is None:
        raise invalid("Filter.1.Value", "must be a time in UTC such as 2026-12-01T02:00Z")
    return when


def _read_array(parameters: Parameters, name: str, error_code: str) -> Collection[str] | None:
    """A JSON array of texts. The real API also takes a Python list with single quotes, as Alibaba's sample sends."""
    text = parameters.text(name)
    if not text:
        return None
    try:
        values = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        values = None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ApiError(400, error_code, f"The specified {name} is not valid.")
    if len(values) > _MAXIMUM_IDS:
        raise ApiError(400, f"InvalidParameter.{name}", f"The number of {name} exceeds the upper limit.")
    return dict.fromkeys(values)


def _describe(instance: Instance) -> dict[str, Any]:
    spec = instance.spec
    return {
        "InstanceId": instance.id,
        "InstanceName": instance.name,
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
        "ImageId": image_id(instance),
        "InstanceType": spec.instance_type,
        "InstanceTypeFamily": _family(instance),
        "Cpu": 2,
        "Memory": 8192,
        "InstanceChargeType": "PostPaid",
        "InstanceNetworkType": "vpc",
        "DeletionProtection": spec.deletion_protection,
        "Description": "",
        "ResourceGroupId": spec.resource_group_id,
        "Tags": {"Tag": [{"TagKey": key, "TagValue": value} for key, value in instance.tags.items()]},
        "VpcAttributes": {
            "VpcId": spec.vpc_id,
            "VSwitchId": _VSWITCH_ID,
            "NatIpAddress": "",
            "PrivateIpAddress": {"IpAddress": [instance.private_ip]},
        },
        "PublicIpAddress": {"IpAddress": []},
        "InnerIpAddress": {"IpAddress": []},
        "SecurityGroupIds": {"SecurityGroupId": [_SECURITY_GROUP_ID]},
        "OperationLocks": {"LockReason": [{"LockReason": spec.lock}] if spec.lock != "none" else []},
    }
