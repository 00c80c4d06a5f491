# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent says of a task that it cannot run, in the words of the real agent.

It calls a task invalid when a parameter does not fit the machine, and names the parameter; everything else is an error,
described as ``Category[.ErrnoPhrase][: description][: cause]`` in at most 255 bytes.
"""

import os
import re
from dataclasses import dataclass

from ecs_simulator.machines.base import (
    CannotStart,
    MachineError,
    NoHome,
    NoSpace,
    NoSuchFolder,
    NoSuchUser,
    ScriptExists,
)

_MAXIMUM_BYTES = 255


@dataclass(frozen=True)
class Invalid:
    """A parameter that does not fit, and what is wrong with it."""

    parameter: str
    value: str


@dataclass(frozen=True)
class Failed:
    """A task that could not be started: the category is what stands before the first colon."""

    category: str
    description: str


class NoContainers(MachineError):
    """A machine has no container runtime; the text is the parameter that asks for one."""


def errno_phrase(number: int) -> str:
    """The name that the agent gives an errno of Linux: its sentence without spaces, ``PermissionDenied``."""
    words = re.findall(r"[A-Za-z0-9]+", os.strerror(number).replace(".", ""))
    return "".join(word.capitalize() for word in words)


def explain(error: MachineError) -> Invalid | Failed:
    """What the agent reports when the machine does not run a script."""
    match error:
        case NoSuchUser():
            return Invalid("UsernameOrPasswordInvalid", f"UserInvalid_{error}")
        case NoHome():
            return Invalid("workingDirectory", "DefaultWorkingDirectoryNotAvailable: <nil>")
        case NoSuchFolder():
            return Invalid("workingDirectory", "WorkingDirectoryNotExist: <nil>")
        case NoContainers():
            return Invalid("ContainerConnectFailed", f"{error}: Failed to connect to container runtime")
        case ScriptExists():
            return _failed("ScriptFileExisted", f"Saving script to {error.path} failed: script file existed")
        case NoSpace():
            return _failed("NoEnoughSpace", str(error))
        case CannotStart(errno=None):
            return _failed("SystemDefaultShellNotFound", str(error))
        case CannotStart(errno=int() as number):
            return _failed(f"ExecuteScriptFailed.{errno_phrase(number)}", str(error))
    return _failed("ExecuteScriptFailed", str(error))


def _failed(category: str, text: str) -> Failed:
    description = f"{category}: {text}".encode()[:_MAXIMUM_BYTES]
    return Failed(category, description.decode("utf-8", "ignore"))
