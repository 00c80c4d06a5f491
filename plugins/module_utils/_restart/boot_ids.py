# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Asking instances for their boot id, or on Windows for the time of their boot, through a command."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from .._cloud_assistant.command import Command
from .._cloud_assistant.submit import CommandApi, Submission, submit
from .._cloud_assistant.wait import wait_for
from .._instances.failure import Failure
from .._progress import Progress, duration
from .._sdk.limits import DELIVERY_S
from .._waiting import Clock, Deadline
from .receipts import BOOT_ID, BOOT_TIME

_TIMEOUT_S = 60
# How long asking may take, which no option changes.
_PROBE_S = _TIMEOUT_S + DELIVERY_S
# Inside an OS container the boot id is the host's, unless it is mounted over.
_SHELL = """\
#!/bin/sh
file=/proc/sys/kernel/random/boot_id
if { [ -e /run/.containerenv ] || [ -e /.dockerenv ]; } && ! grep -q " $file " /proc/self/mounts; then
  echo "NONCE container"
else
  echo "NONCE $(cat "$file")"
fi
"""
# The format "o" is the same in every culture.
_POWERSHELL = """\
$ErrorActionPreference = 'Stop'
$booted = (Get-CimInstance -ClassName Win32_OperatingSystem).LastBootUpTime.ToUniversalTime().ToString('o')
Write-Output "NONCE $($booted)"
"""
_SCRIPTS = {"linux": ("RunShellScript", _SHELL), "windows": ("RunPowerShellScript", _POWERSHELL)}


@dataclass(frozen=True)
class Probe:
    """What asking one instance brought: its boot id, or why not."""

    boot_id: str | None
    failure: Failure | None = None


def probe_boot_ids(
    api: CommandApi, platforms: Mapping[str, str], *, clock: Clock, progress: Progress
) -> dict[str, Probe]:
    """The boot id of each instance, for which its platform is given.

    The answer carries a nonce: output of anything else is not taken for one.
    """
    nonce = uuid.uuid4().hex
    submission = Submission()
    for platform, (kind, script) in _SCRIPTS.items():
        ids = [instance_id for instance_id, one in platforms.items() if one == platform]
        content = script.replace("NONCE", nonce)
        command = Command(content=content, type=kind, timeout_s=_TIMEOUT_S, name="cloudops-boot-id")
        if ids:
            submission.add(submit(api, command, ids))
    results = wait_for(
        submission.invocations,
        deadline=Deadline(clock, _PROBE_S),
        clock=clock,
        progress=progress,
        bound="to tell their boot ids; a limit of its own, beside timeout",
    )
    probes = {instance_id: Probe(None, failure) for instance_id, failure in submission.failures.items()}
    for instance_id, result in results.items():
        late = f"The instance did not tell its boot id within {duration(_PROBE_S)}, a limit that no option changes."
        info = late if result["timed_out"] else result["error_info"]
        probes[instance_id] = read_probe(nonce, result["output"], info)
    return probes


def read_probe(nonce: str, output: str, error_info: str | None) -> Probe:
    """The boot id, or the time of the boot, in a command's output."""
    match = re.search(rf"^{nonce} ({BOOT_ID.pattern}|{BOOT_TIME.pattern})\r?$", output, re.MULTILINE)
    if match:
        return Probe(match[1])
    return Probe(None, Failure("agent", error_info or "The instance did not tell its boot id."))
