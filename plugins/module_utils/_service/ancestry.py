# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Whether we run in a command of the agent, whose result is lost when that agent ends.

The agent starts the commands itself, so it is an ancestor of theirs. A command whose agent has ended has another parent
and nothing to lose any more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .host import Host

_AGENT = "aliyun-service"


@dataclass(frozen=True)
class Process:
    """A process and the name that it goes by."""

    pid: int
    name: str


def lineage(host: Host) -> list[Process]:
    """We, our parent, its parent and so on."""
    processes: list[Process] = []
    pid = host.pid
    while pid > 0:
        # Names may hold anything, parentheses too.
        found = re.match(rb"\d+ \((.*)\) \S (\d+) ", host.read(f"/proc/{pid}/stat") or b"", re.DOTALL)
        if not found:
            break
        processes.append(Process(pid, found[1].decode("utf-8", "replace")))
        pid = int(found[2])
    return processes


def command_of(processes: list[Process], agent_pid: int | None) -> int | None:
    """The process that the agent has started and we come from; None if we come from no agent."""
    commands = [
        child.pid
        for child, parent in zip(processes, processes[1:])  # noqa: RUF007  # managed hosts have older Pythons
        if parent.pid == agent_pid or parent.name == _AGENT
    ]
    return commands[0] if commands else None
