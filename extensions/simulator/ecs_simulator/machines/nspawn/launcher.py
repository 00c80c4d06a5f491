# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs systemd-nspawn so that nothing is left of it, however it or the simulator ends.

Run as ``python -I -S launcher.py NAME COMMAND…``: the command gets control groups, a mount and a pid namespace of its
own. When it ends, or the launcher's standard input does, which is the simulator's end, all that came from the command
is killed by the kernel, and the groups are removed. Exits as the command does.

systemd-nspawn makes its groups below the one that it is started in, always of one name; without systemd on this
computer nobody else keeps several machines apart.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path

_MOUNT = re.compile(r"\S+ \S+ \S+ (?P<root>\S+) (?P<place>\S+) .* - (?P<kind>cgroup2?) \S+ (?P<options>\S+)")
# Moves itself into the groups before it becomes another program.
_ENTER = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"'
# Where systemd-nspawn keeps what is to be seen of its machines: not on this computer.
_PROPAGATED = "/run/systemd/nspawn"
_HIDE = f'mkdir -p {_PROPAGATED}; mount -t tmpfs tmpfs {_PROPAGATED}; exec "$@"'
_APART = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
PROGRAMS = ("mount", "nsenter", "setpriv", "systemd-nspawn", "unshare")
"""What has to be there."""


def our_groups() -> list[Path]:
    """The groups that this process is in, of the hierarchies that systemd uses."""
    mounts = [found for line in _lines("mountinfo") if (found := _MOUNT.fullmatch(line))]
    places = []
    for line in _lines("cgroup"):
        _number, controllers, path = line.split(":", 2)
        for mount in mounts:
            here = mount["kind"] == "cgroup2" if not controllers else controllers in mount["options"].split(",")
            if controllers in ("", "name=systemd") and here:
                places.append(Path(mount["place"]) / Path(path).relative_to(mount["root"]))
    return places


def _lines(name: str) -> list[str]:
    return Path("/proc/self", name).read_text(encoding="utf-8").splitlines()


def _remove(groups: list[Path]) -> None:
    """Remove groups, and those in them, once all in them has ended."""
    for group in groups:
        while any(path.read_text() for path in group.rglob("cgroup.procs")):
            time.sleep(0.02)
        for folder in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            folder.rmdir()
        group.rmdir()


def main() -> int:
    """See the module's docstring."""
    name, *command = sys.argv[1:]
    groups = [place / name for place in our_groups()]
    try:
        for group in groups:
            group.mkdir()
        enter = ["sh", "-euc", _ENTER, "sh", *map(str, groups), "--"]
        process = subprocess.Popen([*enter, *_APART, "sh", "-euc", _HIDE, "sh", *command], stdin=subprocess.DEVNULL)
        end = os.pidfd_open(process.pid)
        while True:
            readable, _writable, _errors = select.select([end, 0], [], [])
            if end in readable:
                break
            if not os.read(0, 4096):
                process.kill()
                break
        status = process.wait()
    finally:
        _remove([group for group in groups if group.exists()])
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
