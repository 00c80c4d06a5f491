# SPDX-License-Identifier: GPL-3.0-or-later
"""How a file gets onto a machine with processes: a program there takes it, with the tools of the machine."""

import base64
from importlib import resources

from ecs_simulator.machines.base import SentFile

_PROGRAM = (resources.files("ecs_simulator.machines") / "programs" / "receive-file").read_text("utf-8")

# The agent's numbers.
_PROBLEMS = {
    2: "Chown",
    3: "Chmod",
    4: "CreateDirFailed",
    11: "FileExist",
    18: "FileGroupNotExist",
    19: "FileOwnerNotExist",
}


def problem(exit_code: int) -> str:
    """What the program's exit code says went wrong, in the agent's word."""
    return _PROBLEMS.get(exit_code, "FileCreateFail") if exit_code else ""


def receive_command(file: SentFile) -> list[str]:
    """The program and its arguments."""
    content = base64.b64encode(file.content).decode()
    overwrite = "true" if file.overwrite else "false"
    arguments = [file.folder, file.path, f"{file.mode:03o}", file.owner, file.group, overwrite, content]
    return ["sh", "-c", _PROGRAM, "receive-file", *arguments]
