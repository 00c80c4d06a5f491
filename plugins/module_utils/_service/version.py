# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""The version of the agent that runs, or would."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from .host import Host
from .shapes import Service

_PROGRAM = "aliyun-service"
_LINK = "/usr/sbin/" + _PROGRAM
_FOLDER = "/usr/local/share/aliyun-assist"
_VERSION_S = 10


def agent_version(host: Host, service: Service | None) -> str | None:
    """The version, or None if no program of the agent's name tells one."""
    for program in _programs(host, service):
        # Nothing is run only to see whether it might be the agent.
        if os.path.basename(program) == _PROGRAM and host.exists(program):
            done = host.run([program, "--version"], _VERSION_S)
            version = version_in(done.output)
            if version and not done.status:
                return version
    return None


def version_in(text: str) -> str | None:
    """A version such as 2.2.3.578 that is a line of its own."""
    found = re.search(r"^\s*(\d+(?:\.\d+){2,})\s*$", text, re.MULTILINE)
    return found and found[1]


def _programs(host: Host, service: Service | None) -> Iterator[str]:
    """Where the agent may be, the one that runs first."""
    if service and service.pid:
        yield host.target(f"/proc/{service.pid}/exe") or ""
    if service and service.program:
        yield service.program
    yield _LINK
    for name in sorted(host.names(_FOLDER), key=_numbers, reverse=True):
        yield f"{_FOLDER}/{name}/{_PROGRAM}"


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
