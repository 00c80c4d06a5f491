# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading how a command runs; RunCommand and InvokeCommand share it.

Limits and codes are those of the SDK's docstrings and of the error tables of Alibaba's API reference.
"""

import json
import re
from dataclasses import replace

from ecs_simulator.agent.task import Command
from ecs_simulator.api.command_fields import COMMAND_OS, check_content_size
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.cloud.errors import ApiError, invalid
from ecs_simulator.cloud.placeholders import check_passed, parameter_names

_MAXIMUM_USER_LENGTH = 255
_CONTAINER_ID = re.compile(r"((docker|containerd|cri-o)://)?[0-9a-fA-F]{64}")
_CONTAINER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_REPEAT_MODES = ("Once", "Period", "NextRebootOnly", "EveryReboot", "DryRun")


def with_run_options(parameters: Parameters, command: Command, maximum_bytes: int) -> Command:
    """The command as this run of it wants it."""
    if parameters.text("OssOutputDelivery"):
        raise ApiError(403, "Operation.Forbidden", "The simulator has no object storage to deliver outputs to.")
    passed = _read_passed(parameters)
    if command.enable_parameter:
        check_passed(parameter_names(command.content), passed)
    elif passed:
        raise ApiError(
            400,
            "Parameter.Disabled",
            "Parameters cannot be passed in when the command customization function is disabled.",
        )
    check_content_size(command.content, passed, maximum_bytes)
    repeat, frequency = _read_repeat(parameters)
    username = _read_username(parameters)
    container_id, container_name = _read_container(parameters)
    return replace(
        command,
        username=username,
        windows_password_name=_read_windows_password_name(parameters, command.type, username),
        termination_mode=_read_termination_mode(parameters),
        container_id=container_id,
        container_name=container_name,
        parameters=passed,
        repeat=repeat,
        frequency=frequency,
    )


def _read_passed(parameters: Parameters) -> dict[str, str]:
    """The custom parameters of a run: a JSON object of texts."""
    text = parameters.text("Parameters")
    if not text:
        return {}
    try:
        passed = json.loads(text)
    except (ValueError, RecursionError):
        passed = None
    if not isinstance(passed, dict):
        raise invalid("Parameters")
    if not all(isinstance(value, str) for value in passed.values()):
        raise ApiError(403, "ParameterType.NotSupported", "The type of parameter value is not supported.")
    return passed


def _read_username(parameters: Parameters) -> str:
    username = parameters.text("Username")
    if len(username) > _MAXIMUM_USER_LENGTH:
        raise ApiError(403, "Username.ExceedLimit", "The length of the username exceeds the upper limit.")
    return username


def _read_windows_password_name(parameters: Parameters, command_type: str, username: str) -> str:
    """Needed for every user of a Windows instance but System."""
    name = parameters.text("WindowsPasswordName")
    if len(name) > _MAXIMUM_USER_LENGTH:
        raise ApiError(
            403, "WindowsPasswordName.ExceedLimit", "The length of the WindowsPasswordName exceeds the upper limit."
        )
    if COMMAND_OS[command_type] == "windows" and username.lower() not in ("", "system") and not name:
        raise ApiError(
            403, "WindowsPasswordName.Missed", "WindowsPasswordName must be specified when you create a Windows task."
        )
    return name


def _read_termination_mode(parameters: Parameters) -> str:
    mode = parameters.text("TerminationMode") or "Process"
    if mode not in ("Process", "ProcessTree"):
        raise ApiError(
            404, "InvalidTerminationMode.NotFound", "The specified parameter TerminationMode does not exist."
        )
    return mode


def _read_container(parameters: Parameters) -> tuple[str, str]:
    """Id and name of the container to run in; both empty for the host."""
    container_id, name = parameters.text("ContainerId"), parameters.text("ContainerName")
    if container_id and not _CONTAINER_ID.fullmatch(container_id):
        raise ApiError(400, "InvalidContainerId.Malformed", "The specified parameter ContainerId is not valid.")
    if name and not _CONTAINER_NAME.fullmatch(name):
        raise ApiError(400, "InvalidContainerName.Malformed", "The specified parameter ContainerName is not valid.")
    return container_id, name


def _read_repeat(parameters: Parameters) -> tuple[str, str]:
    """RepeatMode and Frequency: with a frequency it is Period, whatever the mode says."""
    mode, frequency = parameters.text("RepeatMode"), parameters.text("Frequency").strip()
    if mode not in ("", *_REPEAT_MODES):
        raise ApiError(404, "InvalidRepeatMode.NotFound", "The specified repeat mode does not exist.")
    if frequency:
        return "Period", frequency
    if mode == "Period" or (not mode and parameters.flag("Timed")):
        raise ApiError(400, "MissingParam.Frequency", "The frequency must be specified when you create a timed task.")
    return mode or "Once", ""
