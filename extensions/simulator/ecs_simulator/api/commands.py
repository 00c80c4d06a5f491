# SPDX-License-Identifier: GPL-3.0-or-later
"""RunCommand, InvokeCommand and StopInvocation."""

from dataclasses import replace
from typing import Any

from ecs_simulator.agent.task import Command
from ecs_simulator.api import command_fields as fields
from ecs_simulator.api.client_token import once
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.api.run_options import with_run_options
from ecs_simulator.api.saved_commands import find_saved, keep
from ecs_simulator.api.targets import read_ids, read_targets
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError
from ecs_simulator.cloud.frequency import FrequencyError
from ecs_simulator.cloud.invocation import Invocation
from ecs_simulator.cloud.saved_commands import SavedCommand

_MAXIMUM_STOP_IDS = 50


def run_command(cloud: Cloud, parameters: Parameters, caller: str) -> dict[str, Any]:
    return once(cloud, parameters, caller, lambda: _run(cloud, parameters))


def invoke_command(cloud: Cloud, parameters: Parameters, caller: str) -> dict[str, Any]:
    return once(cloud, parameters, caller, lambda: _invoke(cloud, parameters))


def _run(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    command = fields.read_definition(cloud, parameters)
    kept = parameters.flag("KeepCommand")
    maximum_bytes = fields.MAXIMUM_KEPT_CONTENT_BYTES if kept else fields.MAXIMUM_CONTENT_BYTES
    to_run = with_run_options(parameters, command, maximum_bytes)
    if kept:
        cloud.saved_commands.require_room(region_id)
    invocation = _start(cloud, parameters, region_id, to_run)
    if kept:
        keep(cloud, parameters, SavedCommand(command, region_id, cloud.clock.time(), invoke_times=1))
    return {"CommandId": command.id, "InvokeId": invocation.id}


def _invoke(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    """What the request says of the command counts for this run only."""
    saved = find_saved(cloud, parameters)
    command = replace(
        saved.command,
        timeout_s=fields.read_timeout(cloud, parameters, saved.command.timeout_s),
        working_dir=fields.read_working_dir(parameters, saved.command.working_dir),
        launcher=fields.read_launcher(parameters, saved.command.launcher),
    )
    to_run = with_run_options(parameters, command, fields.MAXIMUM_CONTENT_BYTES)
    invocation = _start(cloud, parameters, saved.region_id, to_run)
    saved.invoke_times += 1
    return {"InvokeId": invocation.id}


def _start(cloud: Cloud, parameters: Parameters, region_id: str, command: Command) -> Invocation:
    hosts = read_targets(cloud, parameters, region_id, fields.COMMAND_OS[command.type])
    tags = fields.read_tags(parameters)
    try:
        return cloud.commands.run(region_id, command, hosts, tags, parameters.text("ResourceGroupId"))
    except FrequencyError as error:
        raise ApiError(400, "InvalidParam.Frequency", f"The specified frequency is invalid. {error}") from None


def stop_invocation(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    region_id, invoke_id = parameters.required("RegionId"), parameters.required("InvokeId")
    cloud.require_region(region_id)
    invocation = cloud.commands.invocations.get(invoke_id)
    if invocation is None or invocation.region_id != region_id:
        raise ApiError(404, "InvalidInvokeId.NotFound", "The specified InvokeId does not exist.")
    ids = read_ids(parameters, _MAXIMUM_STOP_IDS)
    for instance_id in ids:
        if instance_id not in invocation.tasks:
            raise ApiError(404, "InvalidInstance.NotFound", "The specified instance does not exist.")
    cloud.commands.stop(invocation, ids)
    return {}
