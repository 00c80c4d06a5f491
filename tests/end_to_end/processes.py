# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a simulator and its machines, seen from outside."""

from __future__ import annotations

import time
from pathlib import Path

# Far less than what is waited for takes, and enough for a loaded machine.
GONE_S = 60


def command_of(pid: int) -> bytes:
    """The command line of a process; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def host_of(pid: int) -> str:
    """The simulated host that a process is on."""
    try:
        return Path(f"/proc/{pid}/root/etc/hostname").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def with_home(home: Path) -> set[int]:
    """The processes with this home in their environment, whatever their parents and sessions; the dead have none."""
    found = set()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = environment.read_bytes().split(b"\0")
        except OSError:
            continue
        if f"HOME={home}".encode() in variables:
            found.add(int(environment.parent.name))
    return found


def await_nobody(home: Path) -> None:
    """Until no process has this home any more."""
    end = time.monotonic() + GONE_S
    while left := with_home(home):
        assert time.monotonic() < end, f"{left} go on"
        time.sleep(0.05)


def is_below(pid: int, root: int) -> bool:
    """Whether a process descends from another, sessions and namespaces notwithstanding."""
    while pid > 1 and pid != root:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        except OSError:
            return False
        pid = int(stat.rpartition(")")[2].split()[1])
    return pid == root


def descendants(root: int) -> list[int]:
    """All processes below one, those in other sessions and namespaces included."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {root})
