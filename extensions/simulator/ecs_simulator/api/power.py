# SPDX-License-Identifier: GPL-3.0-or-later
"""RebootInstance, RebootInstances, StopInstances and StartInstances."""

from collections.abc import Callable
from typing import Any

from ecs_simulator.api.parameters import Parameters
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError, missing
from ecs_simulator.cloud.host import Host

_MAXIMUM_IDS = 100


def reboot_instance(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    instance_id = parameters.required("InstanceId")
    host = cloud.hosts.get(instance_id)
    _require(host, "Running")
    if parameters.flag("DryRun"):
        raise ApiError(400, "DryRunOperation", "Request validation has been passed with DryRun flag set.")
    assert host
    host.restart(force=parameters.flag("ForceStop"))
    return {}


def reboot_instances(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    force = parameters.flag("ForceReboot")
    return _batch(cloud, parameters, "Running", "Stopping", lambda host: host.restart(force=force))


def stop_instances(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    force = parameters.flag("ForceStop")
    mode = parameters.choice("StoppedMode", ("StopCharging", "KeepCharging"), "KeepCharging")

    def stop(host: Host) -> None:
        host.instance.stopped_mode = mode
        host.stop(force=force)

    return _batch(cloud, parameters, "Running", "Stopping", stop)


def start_instances(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    def start(host: Host) -> None:
        host.instance.stopped_mode = "Not-applicable"
        host.start()

    return _batch(cloud, parameters, "Stopped", "Starting", start)


def _batch(
    cloud: Cloud, parameters: Parameters, needed_status: str, next_status: str, act: Callable[[Host], None]
) -> dict[str, Any]:
    """The three batch calls differ only in the status they need and in what they do."""
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    ids = parameters.numbered("InstanceId")
    if not ids:
        raise missing("InstanceId")
    if len(ids) > _MAXIMUM_IDS:
        raise ApiError(
            400, "InvalidParameter.InstanceId", f"The number of instance IDs exceeds the upper limit, {_MAXIMUM_IDS}."
        )
    mode = parameters.choice("BatchOptimization", ("AllTogether", "SuccessFirst"), "AllTogether")
    dry_run = parameters.flag("DryRun")
    hosts = {instance_id: cloud.host(region_id, instance_id) for instance_id in ids}
    if mode == "AllTogether":
        for host in hosts.values():
            _require(host, needed_status)
    if dry_run:
        raise ApiError(400, "DRYRUN.SUCCESS", "Request validation has been passed with DryRun flag set.")
    rows = []
    for instance_id, host in hosts.items():
        row = {"InstanceId": instance_id, "Code": "200", "Message": "success"}
        try:
            _require(host, needed_status)
        except ApiError as error:
            row |= {"Code": error.code, "Message": error.message}
            if host:
                row |= {"PreviousStatus": host.instance.status, "CurrentStatus": host.instance.status}
        else:
            assert host
            act(host)
            row |= {"PreviousStatus": needed_status, "CurrentStatus": next_status}
        rows.append(row)
    return {"InstanceResponses": {"InstanceResponse": rows}}


def _require(host: Host | None, status: str) -> None:
    if host is None:
        raise ApiError(404, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist.")
    if host.instance.status != status:
        raise ApiError(
            403, "IncorrectInstanceStatus", "The current status of the resource does not support this operation."
        )
