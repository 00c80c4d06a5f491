# SPDX-License-Identifier: GPL-3.0-or-later
"""RunCommand and StopInvocation."""

import base64
import binascii
from typing import Any

from ecs_simulator.agent.task import Command
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError, invalid, missing
from ecs_simulator.cloud.host import Host
from ecs_simulator.cloud.invocation import Invocation

_MAXIMUM_IDS = 100
_MAXIMUM_STOP_IDS = 50
_MAXIMUM_TAGS = 20
# "The size of the Base64-encoded command content cannot exceed 24 KB" (SDK docstring of RunCommandRequest).
_MAXIMUM_CONTENT_BYTES = 24 * 1024
_MINIMUM_TIMEOUT_S = 10
_DEFAULT_TIMEOUT_S = 60
_TYPES = {"RunShellScript": "linux", "RunBatScript": "windows", "RunPowerShellScript": "windows"}
_NOT_YET = (
    "ResourceTag.1.Key",
    "ContainerId",
    "ContainerName",
    "Frequency",
    "Launcher",
    "OssOutputDelivery",
    "Username",
)


def run_command(cloud: Cloud, parameters: Parameters, caller: str) -> dict[str, Any]:
    token = parameters.text("ClientToken")
    if len(token) > 64 or not token.isascii():
        raise ApiError(400, "InvalidClientToken.Malformed", "The specified parameter clientToken is not valid.")
    return cloud.once(caller, token, parameters.as_dict(), lambda: _run(cloud, parameters))


def _run(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    _refuse_unsupported(parameters)
    command = _read_command(cloud, parameters)
    hosts = _read_hosts(cloud, parameters, region_id, _TYPES[command.type])
    tags = parameters.tags()
    if len(tags) > _MAXIMUM_TAGS:
        raise ApiError(400, "NumberExceed.Tags", "The maximum number of Tags is exceeded.")
    invocation = cloud.run(region_id, command, hosts, tags)
    return {"CommandId": command.id, "InvokeId": invocation.id}


def _refuse_unsupported(parameters: Parameters) -> None:
    for name in _NOT_YET:
        if parameters.text(name):
            raise ApiError(403, "Operation.Forbidden", f"The simulator does not know {name.partition('.')[0]} yet.")
    if parameters.text("RepeatMode", "Once") != "Once" or parameters.flag("EnableParameter"):
        raise ApiError(403, "Operation.Forbidden", "The simulator knows only RepeatMode Once without parameters yet.")


def _read_command(cloud: Cloud, parameters: Parameters) -> Command:
    command_type = parameters.required("Type")
    if command_type not in _TYPES:
        raise ApiError(404, "InvalidCmdType.NotFound", "The specified command type does not exist.")
    timeout_s = parameters.number("Timeout", _DEFAULT_TIMEOUT_S)
    if timeout_s < _MINIMUM_TIMEOUT_S:
        raise invalid("Timeout", f"must be at least {_MINIMUM_TIMEOUT_S}")
    name = parameters.text("Name")
    if len(name) > 128:
        raise ApiError(403, "CmdName.ExceedLimit", "The length of the command name exceeds the upper limit.")
    description = parameters.text("Description")
    if len(description) > 512:
        raise ApiError(403, "CmdDesc.ExceedLimit", "The length of the command description exceeds the upper limit.")
    working_dir = parameters.text("WorkingDir")
    if len(working_dir) > 200:
        raise ApiError(403, "WorkingDir.ExceedLimit", "The length of the working directory exceeds the upper limit.")
    return Command(
        id=cloud.ids.command(),
        type=command_type,
        content=_read_content(parameters),
        timeout_s=timeout_s,
        name=name,
        description=description,
        working_dir=working_dir,
    )


def _read_content(parameters: Parameters) -> bytes:
    text = parameters.text("CommandContent")
    if not text:
        raise missing("CommandContent")
    if parameters.text("ContentEncoding").lower() == "base64":
        try:
            content = base64.b64decode(text, validate=True)
        except binascii.Error:
            raise ApiError(
                400, "InvalidParameter.CommandContent", "The specified parameter CommandContent is not valid."
            ) from None
    else:
        content = text.encode()
    if len(base64.b64encode(content)) > _MAXIMUM_CONTENT_BYTES:
        raise ApiError(403, "CmdContent.ExceedLimit", "The maximum length of a command is exceeded.")
    return content


def _read_hosts(cloud: Cloud, parameters: Parameters, region_id: str, os_type: str) -> list[Host]:
    """All the hosts of a call; one that is unfit rejects the whole call, as in the real service."""
    ids = list(dict.fromkeys(parameters.numbered("InstanceId")))
    if not ids:
        raise ApiError(400, "MissingParam.InstanceId", "The parameter instanceId is missing or empty.")
    if len(ids) > _MAXIMUM_IDS:
        raise ApiError(403, "InstanceIds.ExceedLimit", "The number of instance IDs exceeds the upper limit.")
    hosts = []
    for instance_id in ids:
        host = cloud.host(region_id, instance_id)
        if host is None:
            raise ApiError(404, "InvalidInstance.NotFound", "The specified instance does not exist.")
        if host.instance.status != "Running" or host.instance.spec.os != os_type:
            raise ApiError(400, "InvalidInstance.NotMatch", "The specified instance type does not match the command.")
        hosts.append(host)
    return hosts


def stop_invocation(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    invocation = find_invocation(cloud, parameters, parameters.required("InvokeId"))
    ids = parameters.numbered("InstanceId")
    if len(ids) > _MAXIMUM_STOP_IDS:
        raise ApiError(403, "InstanceIds.ExceedLimit", "The number of instance IDs exceeds the upper limit.")
    for instance_id in ids:
        if instance_id not in invocation.tasks:
            raise ApiError(404, "InvalidInstance.NotFound", "The specified instance does not exist.")
    cloud.stop(invocation, ids)
    return {}


def find_invocation(cloud: Cloud, parameters: Parameters, invoke_id: str) -> Invocation:
    """The invocation of a region; raises the API's error when there is none."""
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    invocation = cloud.invocations.get(invoke_id)
    if invocation is None or invocation.region_id != region_id:
        raise ApiError(404, "InvalidInvokeId.NotFound", "The specified InvokeId does not exist.")
    return invocation
