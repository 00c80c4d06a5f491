# SPDX-License-Identifier: GPL-3.0-or-later
"""Control groups of one's own: systemd-nspawn makes its own below the one that it is started in, always of one name.

Without systemd on this computer nobody else keeps several hosts apart.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

_MOUNT = re.compile(r"\S+ \S+ \S+ (?P<root>\S+) (?P<place>\S+) .* - (?P<kind>cgroup2?) \S+ (?P<options>\S+)")
# Moves the shell that it is run with into the groups before it becomes another program.
ENTER = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"'


def make(name: str) -> list[Path]:
    """A group in each of the hierarchies that systemd uses."""
    groups = [place / name for place in ours()]
    for group in groups:
        group.mkdir()
    return groups


def remove(groups: list[Path]) -> None:
    """Remove groups, and those in them, once all in them has ended."""
    for group in groups:
        while any(path.read_text() for path in group.rglob("cgroup.procs")):
            time.sleep(0.05)
        for folder in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            folder.rmdir()
        group.rmdir()


def ours() -> list[Path]:
    """The groups that this process is in."""
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
