# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting, stopping and restarting instances, one or up to a hundred at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ecs_simulator.api.parameters import Parameters
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError, missing
from ecs_simulator.cloud.host import Host

_MAXIMUM_IDS = 100


@dataclass(frozen=True)
class _Change:
    """A change of power: from which status, to which it goes at once, and how."""

    needed: str
    next: str
    act: Callable[[Host], None]
    needs_paid: bool = True
    """Whether an instance that is locked for arrears is refused."""


def reboot_instance(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    return _one(cloud, parameters, _reboot(cloud, force=parameters.flag("ForceStop")))


def reboot_instances(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    return _many(cloud, parameters, _reboot(cloud, force=parameters.flag("ForceReboot")))


def stop_instance(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    return _one(cloud, parameters, _stop(parameters))


def stop_instances(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    return _many(cloud, parameters, _stop(parameters))


def start_instance(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    return _one(cloud, parameters, _start(cloud))


def start_instances(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    return _many(cloud, parameters, _start(cloud))


def _reboot(cloud: Cloud, *, force: bool) -> _Change:
    def act(host: Host) -> None:
        cloud.events.restarted(host.instance.id)
        host.restart(force=force)

    return _Change("Running", "Stopping", act)


def _stop(parameters: Parameters) -> _Change:
    force = parameters.flag("ForceStop")
    mode = parameters.choice("StoppedMode", ("StopCharging", "KeepCharging"), "KeepCharging")

    def act(host: Host) -> None:
        host.instance.stopped_mode = mode
        host.stop(force=force)

    return _Change("Running", "Stopping", act, needs_paid=False)


def _start(cloud: Cloud) -> _Change:
    def act(host: Host) -> None:
        # Stopped and started is restarted.
        cloud.events.restarted(host.instance.id)
        host.instance.stopped_mode = "Not-applicable"
        host.start()

    return _Change("Stopped", "Starting", act)


def _one(cloud: Cloud, parameters: Parameters, change: _Change) -> dict[str, Any]:
    """The calls for one instance, which name no region."""
    host = _fit(cloud.hosts.get(parameters.required("InstanceId")), change)
    if parameters.flag("DryRun"):
        raise ApiError(400, "DryRunOperation", "Request validation has been passed with DryRun flag set.")
    change.act(host)
    return {}


def _many(cloud: Cloud, parameters: Parameters, change: _Change) -> dict[str, Any]:
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    ids = list(dict.fromkeys(parameters.numbered("InstanceId")))
    if not ids:
        raise missing("InstanceId")
    if len(ids) > _MAXIMUM_IDS:
        raise ApiError(
            400, "InvalidParameter.InstanceId", f"The number of instance IDs exceeds the upper limit, {_MAXIMUM_IDS}."
        )
    together = parameters.choice("BatchOptimization", ("AllTogether", "SuccessFirst"), "AllTogether") == "AllTogether"
    dry_run = parameters.flag("DryRun")
    if together:
        for instance_id in ids:
            _fit(cloud.host(region_id, instance_id), change)
    if dry_run:
        raise ApiError(400, "DRYRUN.SUCCESS", "Request validation has been passed with DryRun flag set.")
    rows = [_row(cloud.host(region_id, instance_id), instance_id, change) for instance_id in ids]
    return {"InstanceResponses": {"InstanceResponse": rows}}


def _row(host: Host | None, instance_id: str, change: _Change) -> dict[str, Any]:
    """Do it to one instance, and what came of it."""
    try:
        fit = _fit(host, change)
    except ApiError as error:
        row = {"InstanceId": instance_id, "Code": error.code, "Message": error.message}
        if host:
            row |= {"PreviousStatus": host.instance.status, "CurrentStatus": host.instance.status}
        return row
    change.act(fit)
    statuses = {"PreviousStatus": change.needed, "CurrentStatus": change.next}
    return {"InstanceId": instance_id, "Code": "200", "Message": "success", **statuses}


def _fit(host: Host | None, change: _Change) -> Host:
    """The instance, if there is one and it may be changed so."""
    if host is None or host.instance.spec.managed:
        raise ApiError(404, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist.")
    lock = host.instance.spec.lock
    if lock == "security":
        raise ApiError(
            403,
            "InstanceLockedForSecurity",
            "The specified operation is denied as your instance is locked for security reasons.",
        )
    if lock == "financial" and change.needs_paid:
        raise ApiError(403, "InstanceExpiredOrInArrears", "The specified instance is expired or in arrears.")
    if host.instance.status != change.needed:
        raise ApiError(
            403, "IncorrectInstanceStatus", "The current status of the resource does not support this operation."
        )
    return host
