# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what makes up a command; RunCommand, CreateCommand, ModifyCommand and InvokeCommand share it.

Limits and codes are those of the SDK's docstrings and of the error tables of Alibaba's API reference.
"""

import base64
import binascii
import json

from ecs_simulator.agent.task import Command
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError, invalid, missing
from ecs_simulator.cloud.placeholders import parameter_names

COMMAND_OS = {"RunShellScript": "linux", "RunBatScript": "windows", "RunPowerShellScript": "windows"}
# "The size of the Base64-encoded command content cannot exceed 24 KB", 18 KB when the command is kept.
MAXIMUM_CONTENT_BYTES = 24 * 1024
MAXIMUM_KEPT_CONTENT_BYTES = 18 * 1024
MINIMUM_TIMEOUT_S = 10
DEFAULT_TIMEOUT_S = 60
_MAXIMUM_LAUNCHER_BYTES = 1024
_MAXIMUM_TAGS = 20


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


def read_timeout(cloud: Cloud, parameters: Parameters, default: int = DEFAULT_TIMEOUT_S) -> int:
    timeout_s = parameters.number("Timeout", default)
    if timeout_s < MINIMUM_TIMEOUT_S:
        raise invalid("Timeout", f"must be at least {MINIMUM_TIMEOUT_S}")
    if timeout_s > cloud.fleet.settings.maximum_timeout_s:
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


def read_definition(cloud: Cloud, parameters: Parameters, *, base64_by_default: bool = False) -> Command:
    """A command as it is created, with a new id."""
    command = Command(
        id=cloud.ids.command(),
        type=read_type(parameters),
        content=read_content(parameters, base64_by_default=base64_by_default),
        timeout_s=read_timeout(cloud, parameters),
        name=read_name(parameters),
        description=read_description(parameters),
        working_dir=read_working_dir(parameters),
        launcher=read_launcher(parameters),
        enable_parameter=parameters.flag("EnableParameter"),
    )
    if command.enable_parameter:
        parameter_names(command.content)
    return command


def read_tags(parameters: Parameters) -> dict[str, str]:
    tags = parameters.tags()
    if len(tags) > _MAXIMUM_TAGS:
        raise ApiError(400, "NumberExceed.Tags", "The maximum number of Tags is exceeded.")
    return tags
