# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a namespace machine: made once, kept between boots and between starts of the simulator."""

import contextlib
import os
import shutil
from pathlib import Path

from ecs_simulator.fleet_instances import InstanceSpec
from ecs_simulator.machines.base import MachineError
from ecs_simulator.machines.namespace.supervisor import NOBODY

_FOLDERS = {
    "etc": 0o755,
    "var/lib": 0o755,
    "var/log": 0o755,
    "var/tmp": 0o1777,
    "root": 0o700,
    "home": 0o755,
    "opt": 0o755,
    "srv": 0o755,
    "tmp": 0o1777,
    # Mount points, empty on disk.
    "usr": 0o755,
    "run": 0o755,
    "dev": 0o755,
    "proc": 0o555,
    "sys": 0o555,
}

_OS_RELEASE = """\
NAME="Alibaba Cloud Linux"
VERSION="3 (OpenAnolis Edition)"
ID="alinux"
ID_LIKE="rhel fedora centos anolis"
VERSION_ID="3"
PLATFORM_ID="platform:al8"
PRETTY_NAME="Alibaba Cloud Linux 3 (OpenAnolis Edition)"
"""


def make_tree(folder: Path, spec: InstanceSpec) -> None:
    """Make the machine's files below ``folder`` unless they are there.

    ``folder/root`` becomes the machine's ``/`` and ``folder/local`` its ``/usr/local``. They appear in one
    step: a simulator killed half-way leaves no half a machine. Raises :class:`MachineError` for a damaged one.
    """
    if os.path.lexists(folder):
        if not all((folder / name).is_dir() for name in ("root", "local")):
            raise MachineError(f"{folder} is damaged: remove it, and the machine is made anew")
        return
    building = folder.with_name(folder.name + ".new")
    shutil.rmtree(building, ignore_errors=True)
    for name, mode in _FOLDERS.items():
        path = building / "root" / name
        path.mkdir(parents=True)
        path.chmod(mode)
    for name in ("bin", "sbin", "share"):
        (building / "local" / name).mkdir(parents=True)
    _link_system_folders(building / "root")
    _write_etc(building / "root" / "etc", spec)
    (building / "root" / "var" / "run").symlink_to("/run")
    if os.geteuid() == 0:
        _give_to_nobody(building)
    building.rename(folder)


def _link_system_folders(root: Path) -> None:
    """``/bin`` and its like, as links into ``/usr`` where the host has them so."""
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if Path("/", name).is_symlink():
            (root / name).symlink_to(os.readlink(f"/{name}"))


def _write_etc(etc: Path, spec: InstanceSpec) -> None:
    hostname = spec.name
    files = {
        "os-release": _OS_RELEASE,
        "hostname": hostname + "\n",
        "hosts": f"127.0.0.1 localhost {hostname}\n",
        "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
        "group": "root:x:0:\nnobody:x:65534:\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
        "machine-id": f"{spec.id.encode().hex():0>32}"[-32:] + "\n",
        "resolv.conf": "",
        "fstab": "",
    }
    for name, text in files.items():
        (etc / name).write_text(text, encoding="utf-8")
    # Debian's awk, editor and others are links through here into /usr.
    if Path("/etc/alternatives").is_dir():
        shutil.copytree("/etc/alternatives", etc / "alternatives", symlinks=True)


def _give_to_nobody(folder: Path) -> None:
    with contextlib.suppress(OSError):  # a container may have no nobody; then root on the machine is its root
        os.chown(folder, NOBODY, NOBODY)
        for path, folders, files in os.walk(folder):
            for name in folders + files:
                os.chown(os.path.join(path, name), NOBODY, NOBODY, follow_symlinks=False)
