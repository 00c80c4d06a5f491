# SPDX-License-Identifier: GPL-3.0-or-later
"""RunCommand and StopInvocation."""

from typing import Any

from ecs_simulator.agent.task import Command
from ecs_simulator.api import command_fields as fields
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.api.targets import read_targets
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError
from ecs_simulator.cloud.frequency import FrequencyError
from ecs_simulator.cloud.host import Host
from ecs_simulator.cloud.invocation import Invocation
from ecs_simulator.cloud.placeholders import check_passed, parameter_names

_MAXIMUM_STOP_IDS = 50
_MAXIMUM_TAGS = 20


def run_command(cloud: Cloud, parameters: Parameters, caller: str) -> dict[str, Any]:
    token = read_client_token(parameters)
    return cloud.once(caller, token, parameters.as_dict(), lambda: _run(cloud, parameters))


def read_client_token(parameters: Parameters) -> str:
    token = parameters.text("ClientToken")
    if len(token) > 64 or not token.isascii():
        raise ApiError(400, "InvalidClientToken.Malformed", "The specified parameter clientToken is not valid.")
    return token


def _run(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    command = _read_command(cloud, parameters)
    hosts = read_targets(cloud, parameters, region_id, fields.COMMAND_OS[command.type])
    return {"CommandId": command.id, "InvokeId": start(cloud, parameters, region_id, command, hosts).id}


def start(cloud: Cloud, parameters: Parameters, region_id: str, command: Command, hosts: list[Host]) -> Invocation:
    """Let the hosts have a command, as RunCommand and InvokeCommand do."""
    try:
        return cloud.run(region_id, command, hosts, read_tags(parameters), parameters.text("ResourceGroupId"))
    except FrequencyError as error:
        raise ApiError(400, "InvalidParam.Frequency", f"The specified frequency is invalid. {error}") from None


def read_tags(parameters: Parameters) -> dict[str, str]:
    tags = parameters.tags()
    if len(tags) > _MAXIMUM_TAGS:
        raise ApiError(400, "NumberExceed.Tags", "The maximum number of Tags is exceeded.")
    return tags


def _read_command(cloud: Cloud, parameters: Parameters) -> Command:
    command_type = fields.read_type(parameters)
    if parameters.text("OssOutputDelivery"):
        raise ApiError(403, "Operation.Forbidden", "The simulator has no object storage to deliver outputs to.")
    repeat, frequency = fields.read_repeat(parameters)
    content = fields.read_content(parameters)
    enabled = parameters.flag("EnableParameter")
    passed = fields.read_passed(parameters)
    if enabled:
        check_passed(parameter_names(content), passed)
    elif passed:
        raise ApiError(
            400,
            "Parameter.Disabled",
            "Parameters cannot be passed in when the command customization function is disabled.",
        )
    fields.check_content_size(content, passed, fields.MAXIMUM_CONTENT_BYTES)
    username = fields.read_username(parameters)
    container_id, container_name = fields.read_container(parameters)
    return Command(
        id=cloud.ids.command(),
        type=command_type,
        content=content,
        timeout_s=fields.read_timeout(parameters, maximum_s=cloud.fleet.settings.maximum_timeout_s),
        name=fields.read_name(parameters),
        description=fields.read_description(parameters),
        working_dir=fields.read_working_dir(parameters),
        username=username,
        windows_password_name=fields.read_windows_password_name(parameters, command_type, username),
        termination_mode=fields.read_termination_mode(parameters),
        launcher=fields.read_launcher(parameters),
        container_id=container_id,
        container_name=container_name,
        enable_parameter=enabled,
        parameters=passed,
        repeat=repeat,
        frequency=frequency,
    )


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
