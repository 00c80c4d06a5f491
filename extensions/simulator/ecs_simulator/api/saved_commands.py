# SPDX-License-Identifier: GPL-3.0-or-later
"""CreateCommand, ModifyCommand, DeleteCommand and DescribeCommands."""

import re
from dataclasses import replace
from typing import Any

from ecs_simulator.api import command_fields as fields
from ecs_simulator.api.client_token import once
from ecs_simulator.api.invocation_rows import encode, tag_fields
from ecs_simulator.api.invocations import wants_plain_text
from ecs_simulator.api.paging import read_page
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.clock import iso
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import missing
from ecs_simulator.cloud.placeholders import parameter_names
from ecs_simulator.cloud.saved_commands import SavedCommand

_MAXIMUM_PAGE = 50


def create_command(cloud: Cloud, parameters: Parameters, caller: str) -> dict[str, Any]:
    return once(cloud, parameters, caller, lambda: _create(cloud, parameters))


def _create(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    if not parameters.text("Name"):
        raise missing("Name")
    command = fields.read_definition(cloud, parameters, base64_by_default=True)
    fields.check_content_size(command.content, {}, fields.MAXIMUM_KEPT_CONTENT_BYTES)
    keep(cloud, parameters, SavedCommand(command, region_id, cloud.clock.time()))
    return {"CommandId": command.id}


def keep(cloud: Cloud, parameters: Parameters, saved: SavedCommand) -> None:
    """Save a command with the tags and the group of a request."""
    saved.tags = fields.read_tags(parameters)
    saved.resource_group_id = parameters.text("ResourceGroupId")
    cloud.saved_commands.add(saved)


def modify_command(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    """What is not mentioned stays; the content always does (SDK docstring: it has no effect)."""
    saved = find_saved(cloud, parameters)
    command = saved.command
    changed = replace(
        command,
        name=fields.read_name(parameters, command.name),
        description=fields.read_description(parameters, command.description),
        timeout_s=fields.read_timeout(cloud, parameters, command.timeout_s),
        working_dir=fields.read_working_dir(parameters, command.working_dir),
        launcher=fields.read_launcher(parameters, command.launcher),
    )
    cloud.saved_commands.change(saved, changed)
    return {}


def delete_command(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    cloud.saved_commands.delete(find_saved(cloud, parameters))
    return {}


def find_saved(cloud: Cloud, parameters: Parameters) -> SavedCommand:
    """The command of a region that a request names; raises the API's error when there is none."""
    region_id, command_id = parameters.required("RegionId"), parameters.required("CommandId")
    cloud.require_region(region_id)
    return cloud.saved_commands.get(region_id, command_id)


def describe_commands(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    """The commands that somebody saved; of Alibaba's own, which have a Provider, the simulator has none."""
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    parameters.flag("Latest")
    tags = parameters.tags()
    found = [
        saved
        for saved in cloud.saved_commands.in_region(region_id)
        if not parameters.text("Provider")
        and parameters.text("CommandId") in ("", saved.command.id)
        and parameters.text("Type") in ("", saved.command.type)
        and parameters.text("ResourceGroupId") in ("", saved.resource_group_id)
        and _matches(parameters.text("Name"), saved.command.name)
        and _matches(parameters.text("Description"), saved.command.description)
        and tags.items() <= saved.tags.items()
    ]
    page = read_page(parameters, len(found), maximum=_MAXIMUM_PAGE)
    plain = wants_plain_text(parameters)
    rows = [_describe(saved, plain=plain) for saved in page.cut(found)]
    return {"Commands": {"Command": rows}, **page.uncounted_fields()}


def _matches(wanted: str, text: str) -> bool:
    """Whole, or where ``*`` stands for anything."""
    pattern = ".*".join(re.escape(part) for part in wanted.split("*"))
    return not wanted or re.fullmatch(pattern, text, re.DOTALL) is not None


def _describe(saved: SavedCommand, *, plain: bool) -> dict[str, Any]:
    command = saved.command
    names = parameter_names(command.content) if command.enable_parameter else []
    return {
        "CommandId": command.id,
        "Name": command.name,
        "Description": command.description,
        "Type": command.type,
        "CommandContent": encode(command.content, plain=plain),
        "WorkingDir": command.working_dir,
        "Timeout": command.timeout_s,
        "Launcher": command.launcher,
        "EnableParameter": command.enable_parameter,
        "ParameterNames": {"ParameterName": names},
        "ParameterDefinitions": {"ParameterDefinition": []},
        "CreationTime": iso(saved.created),
        "InvokeTimes": saved.invoke_times,
        "Provider": "",
        "Category": "",
        "Latest": True,
        "Version": saved.version,
        "ResourceGroupId": saved.resource_group_id,
        **tag_fields(saved.tags),
    }
