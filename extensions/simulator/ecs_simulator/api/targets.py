# SPDX-License-Identifier: GPL-3.0-or-later
"""The instances that a request names, by their ids; a command's also by their tags."""

from ecs_simulator.api.parameters import Parameters
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError
from ecs_simulator.cloud.host import Host

_MAXIMUM_IDS = 100
_MAXIMUM_TAGS = 20


def read_ids(parameters: Parameters, maximum: int) -> list[str]:
    """InstanceId, each id once; they are counted as they were sent."""
    return list(dict.fromkeys(_not_too_many(parameters.numbered("InstanceId"), maximum)))


def read_hosts(cloud: Cloud, parameters: Parameters, region_id: str, maximum: int) -> list[Host]:
    """The instances of InstanceId, managed ones included; none, or one that does not exist, refuses the call."""
    ids = read_ids(parameters, maximum)
    if not ids:
        raise _no_ids()
    return [_found(cloud.host(region_id, instance_id)) for instance_id in ids]


def read_targets(cloud: Cloud, parameters: Parameters, region_id: str, os_type: str) -> list[Host]:
    """All the hosts of a call; one that is unfit rejects the whole call, as in the real service."""
    ids = list(dict.fromkeys(parameters.numbered("InstanceId")))
    tags = parameters.tags("ResourceTag")
    if tags:
        if ids:
            raise ApiError(
                400,
                "InvalidResourceTag.ConflictWithInstanceIds",
                "The specified param ResourceTag conflicts with InstanceId.",
            )
        ids = _tagged(cloud, region_id, tags)
    elif not ids:
        raise _no_ids()
    return [_fit(cloud.host(region_id, instance_id), os_type) for instance_id in _not_too_many(ids, _MAXIMUM_IDS)]


def _tagged(cloud: Cloud, region_id: str, tags: dict[str, str]) -> list[str]:
    if len(tags) > _MAXIMUM_TAGS:
        raise ApiError(400, "NumberExceed.ResourceTags", "The maximum number of ResourceTags is exceeded.")
    ids = [host.instance.id for host in cloud.hosts_in(region_id) if tags.items() <= host.instance.tags.items()]
    if not ids:
        raise ApiError(
            400, "InvalidResourceTag.InstanceNotFound", "InstanceIds are not found by the specified ResourceTag."
        )
    return ids


def _no_ids() -> ApiError:
    return ApiError(400, "MissingParam.InstanceId", "The parameter instanceId is missing or empty.")


def _not_too_many(ids: list[str], maximum: int) -> list[str]:
    if len(ids) > maximum:
        raise ApiError(403, "InstanceIds.ExceedLimit", "The number of instance IDs exceeds the upper limit.")
    return ids


def _found(host: Host | None) -> Host:
    if host is None:
        raise ApiError(404, "InvalidInstance.NotFound", "The specified instance does not exist.")
    return host


def _fit(host: Host | None, os_type: str) -> Host:
    """Also one that is not Running: "check whether the state of the instance meets the conditions for running the
    command" (error table of RunCommand, at InvalidInstance.NotMatch)."""
    host = _found(host)
    if host.instance.status != "Running" or host.instance.spec.os != os_type:
        raise ApiError(400, "InvalidInstance.NotMatch", "The specified instance type does not match the command.")
    return host
