# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what makes up a command and how it runs; RunCommand, CreateCommand, ModifyCommand and InvokeCommand share it.

Limits and codes are those of the SDK's docstrings and of the error tables of Alibaba's API reference.
"""

import base64
import binascii
import json
import re

from ecs_simulator.api.parameters import Parameters
from ecs_simulator.cloud.errors import ApiError, invalid, missing

COMMAND_OS = {"RunShellScript": "linux", "RunBatScript": "windows", "RunPowerShellScript": "windows"}
# "The size of the Base64-encoded command content cannot exceed 24 KB", 18 KB when the command is kept.
MAXIMUM_CONTENT_BYTES = 24 * 1024
MAXIMUM_KEPT_CONTENT_BYTES = 18 * 1024
MINIMUM_TIMEOUT_S = 10
DEFAULT_TIMEOUT_S = 60
_MAXIMUM_LAUNCHER_BYTES = 1024
_MAXIMUM_USER_LENGTH = 255
_CONTAINER_ID = re.compile(r"((docker|containerd|cri-o)://)?[0-9a-fA-F]{64}")
_CONTAINER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_REPEAT_MODES = ("Once", "Period", "NextRebootOnly", "EveryReboot", "DryRun")


def read_type(parameters: Parameters) -> str:
    command_type = parameters.required("Type")
    if command_type not in COMMAND_OS:
        raise ApiError(404, "InvalidCmdType.NotFound", "The specified command type does not exist.")
    return command_type


def read_name(parameters: Parameters, default: str = "") -> str:
    name = parameters.text("Name", default)
    if len(name) > 128:
        raise ApiError(403, "CmdName.ExceedLimit", "The length of the command name exceeds the upper limit.")
    return name


def read_description(parameters: Parameters, default: str = "") -> str:
    description = parameters.text("Description", default)
    if len(description) > 512:
        raise ApiError(403, "CmdDesc.ExceedLimit", "The length of the command description exceeds the upper limit.")
    return description


def read_working_dir(parameters: Parameters, default: str = "") -> str:
    working_dir = parameters.text("WorkingDir", default)
    if len(working_dir) > 200:
        raise invalid("WorkingDir")
    return working_dir


def read_timeout(parameters: Parameters, default: int = DEFAULT_TIMEOUT_S, *, maximum_s: int) -> int:
    timeout_s = parameters.number("Timeout", default)
    if timeout_s < MINIMUM_TIMEOUT_S:
        raise invalid("Timeout", f"must be at least {MINIMUM_TIMEOUT_S}")
    if timeout_s > maximum_s:
        raise ApiError(403, "InvalidTimeout.ExceedLimit", "The specified parameter Timeout exceeds the upper limit.")
    return timeout_s


def read_launcher(parameters: Parameters, default: str = "") -> str:
    launcher = parameters.text("Launcher", default)
    if len(launcher.encode()) > _MAXIMUM_LAUNCHER_BYTES:
        raise ApiError(
            403,
            "InvalidLauncher.LengthLimitExceeded",
            "The length of the parameter Launcher exceeds the limit of 1 KB characters.",
        )
    return launcher


def read_content(parameters: Parameters, *, base64_by_default: bool = False) -> bytes:
    """RunCommand takes plain text unless told otherwise, CreateCommand Base64; what else is said counts as nothing."""
    text = parameters.text("CommandContent")
    if not text:
        raise missing("CommandContent")
    encoding = parameters.text("ContentEncoding").lower()
    if encoding == "base64" or (base64_by_default and encoding != "plaintext"):
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            if base64_by_default:
                raise ApiError(400, "CmdContent.DecodeError", "The CommandContent can not be base64 decoded.") from None
            raise invalid("CommandContent", "is not valid") from None
    return text.encode()


def check_content_size(content: bytes, passed: dict[str, str], maximum: int) -> None:
    """Command and parameters count together, in Base64."""
    extra = json.dumps(passed).encode() if passed else b""
    if len(base64.b64encode(content)) + len(base64.b64encode(extra)) > maximum:
        raise ApiError(403, "CmdContent.ExceedLimit", "The maximum length of a command is exceeded.")


def read_passed(parameters: Parameters) -> dict[str, str]:
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


def read_username(parameters: Parameters) -> str:
    username = parameters.text("Username")
    if len(username) > _MAXIMUM_USER_LENGTH:
        raise ApiError(403, "Username.ExceedLimit", "The length of the username exceeds the upper limit.")
    return username


def read_windows_password_name(parameters: Parameters, command_type: str, username: str) -> str:
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


def read_termination_mode(parameters: Parameters) -> str:
    mode = parameters.text("TerminationMode") or "Process"
    if mode not in ("Process", "ProcessTree"):
        raise ApiError(
            404, "InvalidTerminationMode.NotFound", "The specified parameter TerminationMode does not exist."
        )
    return mode


def read_container(parameters: Parameters) -> tuple[str, str]:
    """Id and name of the container to run in; both empty for the host."""
    container_id, name = parameters.text("ContainerId"), parameters.text("ContainerName")
    if container_id and not _CONTAINER_ID.fullmatch(container_id):
        raise ApiError(400, "InvalidContainerId.Malformed", "The specified parameter ContainerId is not valid.")
    if name and not _CONTAINER_NAME.fullmatch(name):
        raise ApiError(400, "InvalidContainerName.Malformed", "The specified parameter ContainerName is not valid.")
    return container_id, name


def read_repeat(parameters: Parameters) -> tuple[str, str]:
    """RepeatMode and Frequency: with a frequency it is Period, whatever the mode says."""
    mode, frequency = parameters.text("RepeatMode"), parameters.text("Frequency").strip()
    if mode not in ("", *_REPEAT_MODES):
        raise ApiError(404, "InvalidRepeatMode.NotFound", "The specified repeat mode does not exist.")
    if frequency:
        return "Period", frequency
    if mode == "Period" or (not mode and parameters.flag("Timed")):
        raise ApiError(400, "MissingParam.Frequency", "The frequency must be specified when you create a timed task.")
    return mode or "Once", ""
