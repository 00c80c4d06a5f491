# SPDX-License-Identifier: GPL-3.0-or-later
"""CreateActivation, DescribeActivations, DisableActivation and DeleteActivation."""

import re
from typing import Any

from ecs_simulator.api.client_token import once
from ecs_simulator.api.paging import read_page
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.clock import iso
from ecs_simulator.cloud.activations import Activation, in_range
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError, invalid

_MAXIMUM_TAGS = 20
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._:-]{1,49}")


def create_activation(cloud: Cloud, parameters: Parameters, caller: str) -> dict[str, Any]:
    return once(cloud, parameters, caller, lambda: _create(cloud, parameters))


def describe_activations(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    tags = parameters.tags()
    found = [
        activation
        for activation in cloud.activations.values()
        if activation.region_id == region_id
        and parameters.text("ActivationId") in ("", activation.id)
        and parameters.text("InstanceName") in ("", activation.instance_name)
        and parameters.text("ResourceGroupId") in ("", activation.resource_group_id)
        and tags.items() <= activation.tags.items()
    ]
    page = read_page(parameters, len(found), maximum=50)
    return {"ActivationList": [_describe(activation) for activation in page.cut(found)], **page.fields()}


def disable_activation(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    activation = _find(cloud, parameters)
    activation.disabled = True
    return {"Activation": _describe(activation)}


def delete_activation(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    activation = _find(cloud, parameters)
    if activation.registered > activation.deregistered:
        raise ApiError(403, "ActivationId.InUse", "The specified activation id is in use.")
    del cloud.activations[activation.id]
    return {"Activation": _describe(activation)}


def _create(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    # Limits: SDK docstring of CreateActivationRequest.
    count, hours = parameters.number("InstanceCount", 10), parameters.number("TimeToLiveInHours", 4)
    if not 1 <= count <= 1000:
        raise invalid("InstanceCount", "must be from 1 to 1000")
    if not 1 <= hours <= 4:
        raise invalid("TimeToLiveInHours", "must be from 1 to 4")
    if len(parameters.text("Description")) > 100:
        raise invalid("Description", "may have at most 100 characters")
    name = parameters.text("InstanceName")
    if name and (not _NAME.fullmatch(name) or name.startswith(("http:", "https:"))):
        raise invalid("InstanceName")
    tags = parameters.tags()
    if len(tags) > _MAXIMUM_TAGS:
        raise ApiError(400, "NumberExceed.Tags", "The maximum number of Tags is exceeded.")
    activation_id, code = cloud.ids.activation()
    activation = cloud.activations[activation_id] = Activation(
        id=activation_id,
        code=code,
        region_id=region_id,
        created=cloud.clock.time(),
        description=parameters.text("Description"),
        instance_count=count,
        instance_name=name,
        ip_address_range=_read_range(parameters),
        hours=hours,
        resource_group_id=parameters.text("ResourceGroupId"),
        tags=tags,
    )
    return {"ActivationId": activation.id, "ActivationCode": activation.code}


def _read_range(parameters: Parameters) -> str:
    text = parameters.text("IpAddressRange", "0.0.0.0/0")
    try:
        in_range("127.0.0.1", text)
    except ValueError:
        raise invalid("IpAddressRange", "must be an address or a CIDR block") from None
    return text


def _find(cloud: Cloud, parameters: Parameters) -> Activation:
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    activation = cloud.activations.get(parameters.required("ActivationId"))
    if activation is None or activation.region_id != region_id:
        raise ApiError(404, "InvalidActivationId.NotFound", "The specified activation id does not exist.")
    return activation


def _describe(activation: Activation) -> dict[str, Any]:
    """All but the code, which is told once."""
    return {
        "ActivationId": activation.id,
        "CreationTime": iso(activation.created),
        "Description": activation.description,
        "InstanceCount": activation.instance_count,
        "InstanceName": activation.instance_name,
        "IpAddressRange": activation.ip_address_range,
        "TimeToLiveInHours": activation.hours,
        "RegisteredCount": activation.registered,
        "DeregisteredCount": activation.deregistered,
        "Disabled": activation.disabled,
        "ResourceGroupId": activation.resource_group_id,
        "Tags": [{"TagKey": key, "TagValue": value} for key, value in activation.tags.items()],
    }
