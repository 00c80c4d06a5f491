# SPDX-License-Identifier: GPL-3.0-or-later
"""How a Launcher starts a script's file.

It is a program with its arguments, and the file comes last, unless the launcher says where:
``python3 -u {{ACS::ScriptFileName|Ext(".py")}}`` (the SDK's example of a Launcher), which also says how the file's name
ends. The agent whose source is known has no launchers, so two things are the simulator's choice: what is filled in is
the file's whole path, which is right in every folder, and without ``Ext`` the name ends as the command's type says.
"""

import re

_FILE = re.compile(
    r"\{\{\s*ACS\s*::\s*ScriptFileName\s*(?:\|\s*Ext\s*\(\s*([\"'])(?P<ending>[A-Za-z0-9._-]*)\1\s*\)\s*)?\}\}",
    re.IGNORECASE,
)


def file_ending(launcher: str, default: str) -> str:
    """How the name of the script's file ends."""
    endings = [match["ending"] for match in _FILE.finditer(launcher) if match["ending"] is not None]
    return endings[0] if endings else default


def command_line(launcher: str, path: str) -> str:
    """What starts the script's file at that path. Not quoted, as in the real agent: a space in it is its end."""
    if not launcher:
        return path
    filled = _FILE.sub(lambda match: path, launcher)
    return f"{launcher} {path}" if filled == launcher else filled
