# SPDX-License-Identifier: GPL-3.0-or-later
"""RunInstances, DeleteInstances and DeleteInstance."""

import re
from dataclasses import replace
from typing import Any

from ecs_simulator.api.client_token import once
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.api.sequential_names import sequential_names
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError, invalid, missing
from ecs_simulator.cloud.host import Host
from ecs_simulator.fleet_instances import InstanceSpec

_MAXIMUM = 100
_MAXIMUM_TAGS = 20
_INSTANCE_TYPE = re.compile(r"ecs\.[a-z0-9-]+\.[a-z0-9-]+")
_HOST_NAME = {
    "linux": re.compile(r"(?=.{2,64}$)[A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*"),
    "windows": re.compile(r"(?=.{2,15}$)(?![0-9]+$)[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*"),
}
_RELEASABLE = {False: ("Stopped",), True: ("Stopped", "Running")}


def run_instances(cloud: Cloud, parameters: Parameters, caller: str) -> dict[str, Any]:
    return once(cloud, parameters, caller, lambda: _run(cloud, parameters))


def delete_instances(cloud: Cloud, parameters: Parameters, caller: str) -> dict[str, Any]:
    def delete() -> dict[str, Any]:
        region_id = parameters.required("RegionId")
        cloud.require_region(region_id)
        ids = list(dict.fromkeys(parameters.numbered("InstanceId")))
        if not ids:
            raise missing("InstanceId")
        if len(ids) > _MAXIMUM:
            raise invalid("InstanceId", f"may hold at most {_MAXIMUM} ids")
        return _release(cloud, parameters, [cloud.host(region_id, id_) for id_ in ids], "DRYRUN.SUCCESS")

    return once(cloud, parameters, caller, delete)


def delete_instance(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    return _release(cloud, parameters, [cloud.hosts.get(parameters.required("InstanceId"))], "DryRunOperation")


def _run(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    specs = _read_specs(cloud, parameters, region_id)
    tags = parameters.tags()
    if len(tags) > _MAXIMUM_TAGS:
        raise ApiError(400, "NumberExceed.Tags", "The maximum number of Tags is exceeded.")
    names = _read_names(parameters, [spec.id for spec in specs])
    if parameters.flag("DryRun"):
        raise ApiError(400, "DryRunOperation", "Request validation has been passed with DryRun flag set.")
    for spec, name in zip(specs, names, strict=True):
        host = cloud.add(replace(spec, tags=tags))
        host.instance.name = name
        host.create()
    return {"InstanceIdSets": {"InstanceIdSet": [spec.id for spec in specs]}}


def _read_specs(cloud: Cloud, parameters: Parameters, region_id: str) -> list[InstanceSpec]:
    if parameters.text("LaunchTemplateId") or parameters.text("LaunchTemplateName"):
        raise ApiError(404, "InvalidLaunchTemplate.NotFound", "The specified launch template does not exist.")
    image_id = parameters.text("ImageId") or parameters.text("ImageFamily") or parameters.required("ImageId")
    instance_type = parameters.required("InstanceType")
    if not _INSTANCE_TYPE.fullmatch(instance_type):
        raise ApiError(403, "InvalidInstanceType.ValueNotSupported", "The specified InstanceType is not supported.")
    amount = parameters.number("Amount", 1)
    if not 1 <= amount <= _MAXIMUM:
        raise invalid("Amount", f"must be from 1 to {_MAXIMUM}")
    if not 1 <= parameters.number("MinAmount", amount) <= amount:
        raise invalid("MinAmount", "must be from 1 to Amount")
    image = cloud.fleet.image(image_id)
    ids = [cloud.ids.instance() for _number in range(amount)]
    return [
        replace(
            image,
            id=id_,
            name=host_name,
            region_id=region_id,
            zone_id=parameters.text("ZoneId") or f"{region_id}-h",
            instance_type=instance_type,
            resource_group_id=parameters.text("ResourceGroupId"),
            deletion_protection=parameters.flag("DeletionProtection"),
        )
        for id_, host_name in zip(ids, _read_host_names(parameters, ids, image.os), strict=True)
    ]


def _read_names(parameters: Parameters, ids: list[str]) -> list[str]:
    """The default is the instance's id."""
    text = parameters.text("InstanceName")
    if not text:
        return ids
    names = sequential_names(text, len(ids), unique_suffix=parameters.flag("UniqueSuffix"))
    for name in names:
        if not 2 <= len(name) <= 128 or not name[0].isalpha() or name.startswith(("http://", "https://")):
            raise ApiError(400, "InvalidInstanceName.Malformed", "The specified parameter InstanceName is not valid.")
    return names


def _read_host_names(parameters: Parameters, ids: list[str], os_type: str) -> list[str]:
    """The default is made of the instance's id, as on the real machines: iZ…Z."""
    names = parameters.numbered("HostNames")
    if not names and parameters.text("HostName"):
        unique = parameters.flag("UniqueSuffix")
        names = sequential_names(parameters.text("HostName"), len(ids), unique_suffix=unique)
    names = [name.replace("${instance_id}", id_) for name, id_ in zip(names, ids, strict=False)]
    if names and len(names) != len(ids):
        raise invalid("HostNames", "must be as many as Amount")
    for name in names:
        if not _HOST_NAME[os_type].fullmatch(name):
            raise ApiError(400, "InvalidHostName.Malformed", "The specified parameter HostName is not valid.")
    return names or [f"iZ{id_.removeprefix('i-')}Z" for id_ in ids]


def _release(cloud: Cloud, parameters: Parameters, hosts: list[Host | None], dry_run_code: str) -> dict[str, Any]:
    """All of them, or none when one may not be released."""
    force = parameters.flag("Force")
    fit = [_fit(host, force=force) for host in hosts]
    graceful = not parameters.flag("ForceStop", default=True)
    if parameters.flag("DryRun"):
        raise ApiError(400, dry_run_code, "Request validation has been passed with DryRun flag set.")
    for host in fit:
        if graceful and host.up:
            cloud.release_after_shutdown(host)
        else:
            cloud.release(host)
    return {}


def _fit(host: Host | None, *, force: bool) -> Host:
    """The instance, if there is one and it may be released."""
    if host is None or host.instance.spec.managed:
        raise ApiError(404, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist.")
    if host.instance.spec.deletion_protection:
        raise ApiError(
            403, "InvalidOperation.DeletionProtection", "The operation is not allowed due to deletion protection."
        )
    if host.instance.status == "Pending":
        raise ApiError(403, "IncorrectInstanceStatus.Initializing", "The specified instance is being initialized.")
    if host.instance.status not in _RELEASABLE[force]:
        raise ApiError(
            403, "IncorrectInstanceStatus", "The current status of the resource does not support this operation."
        )
    return host
