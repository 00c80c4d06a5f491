# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What is put around a script: a guard that may skip it, and what makes PowerShell print UTF-8.

Both travel in the script's own text, so that there is one command for a whole batch however the guard decides.
"""

from __future__ import annotations

import base64
import re
import shlex
import uuid

from .._sdk.errors import BadInput

# All that a skipped script prints.
SKIPPED = "cloudops.alibaba: skipped, because unless holds"
# The exit code of a script whose guard came to no end: it is unknown whether there is something to do.
GUARD_BROKEN = 125

# Alibaba's page on encodings: before Windows Server 2022 output in another encoding arrives garbled. The encoding is
# one without a byte order mark, and without a console there is nothing to set.
_POWERSHELL_UTF8 = "try { [Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false } catch { }\n"
# What must stand first in a PowerShell script: a prologue before it breaks the script.
_STANDS_FIRST = re.compile(r"(using\s|param\b|begin\b|process\b|end\b|\[\s*CmdletBinding\b)", re.IGNORECASE)
_POWERSHELL_COMMENTS = re.compile(r"(\s+|#(?!>)[^\n]*(\n|$)|<#.*?#>)*", re.DOTALL)
# cmd.exe takes command lines of 8,191 characters.
_COMMAND_LINE_CHARACTERS = 8000


def is_skipped(output: str) -> bool:
    """Whether a script was skipped by its guard: it printed nothing else."""
    return output.strip() == SKIPPED


def with_guard(script: str, script_type: str, guard: str, *, parameters: bool = False) -> str:
    """A script that runs only if its guard does not end with 0."""
    if not guard.strip():
        raise BadInput("unless is empty: leave it out, or say when there is nothing to do.")
    if script_type == "RunShellScript":
        return _guarded_shell(script, guard)
    encoded = base64.b64encode(guard.encode("utf-16-le")).decode()
    if len(encoded) > _COMMAND_LINE_CHARACTERS:
        raise BadInput(
            "unless is too long: on Windows it can have 3,000 characters. Look at the machine in the script."
        )
    if parameters and "{{" in guard:
        raise BadInput("On Windows unless cannot use parameters: they are put into the script's text alone.")
    call = f"powershell.exe -NoProfile -NonInteractive -EncodedCommand {encoded}"
    if script_type == "RunBatScript":
        return f"@{call} >nul 2>&1 <nul\r\n@if not errorlevel 1 (\r\n@echo {SKIPPED}\r\n@exit /b 0\r\n)\r\n{script}"
    return f"{call} *> $null\nif ($LASTEXITCODE -eq 0) {{ Write-Output '{SKIPPED}'; exit 0 }}\n{script}"


def with_utf8_output(script: str) -> str:
    """A PowerShell script that prints UTF-8; one that begins with what must stand first is left as it is."""
    comments = _POWERSHELL_COMMENTS.match(script)
    if _STANDS_FIRST.match(script, comments.end() if comments else 0):
        return script
    return _POWERSHELL_UTF8 + script


def _guarded_shell(script: str, guard: str) -> str:
    """The guard has a shell of its own, which reads it whole before it begins: what it does to its input, its folder
    or its options does not reach the script. A guard that a signal ends has said nothing.
    """
    end = f"CLOUDOPS_{uuid.uuid4().hex}"
    return f"""\
#!/bin/sh
sh -s >/dev/null 2>&1 <<'{end}'
{{
{guard}
}} </dev/null
{end}
case $? in
  0) echo '{SKIPPED}'; exit 0 ;;
  129 | 1[3-9]? | 2??) echo 'cloudops.alibaba: unless came to no end' >&2; exit {GUARD_BROKEN} ;;
esac
{_shell_body(script, end)}"""


def _shell_body(script: str, end: str) -> str:
    """The script itself where sh runs it, else its text in a file for the interpreter that it names.

    The kernel takes what follows the interpreter as one argument, and so does this.
    """
    first, _newline, _rest = script.partition("\n")
    shebang = re.fullmatch(r"#!\s*(\S+)(?:[ \t]+(.*?))?\s*", first)
    if not shebang or (shebang[1] in ("/bin/sh", "/usr/bin/sh") and not shebang[2]):
        return script
    interpreter = " ".join(shlex.quote(word) for word in shebang.groups() if word)
    return f"""\
cloudops_script=$(mktemp) || exit {GUARD_BROKEN}
trap 'rm -f "$cloudops_script"' EXIT
cat >"$cloudops_script" <<'{end}'
{script}
{end}
{interpreter} "$cloudops_script"
"""
