# SPDX-License-Identifier: GPL-3.0-or-later
"""The Debian that all nspawn machines share: made once by mmdebstrap, and never written to by a machine."""

import hashlib
import os
import shutil
import subprocess
import uuid
from pathlib import Path

from ecs_simulator.errors import SimulatorError

VARIABLE = "ECS_SIMULATOR_ROOTFS"
SUITE = "bookworm"
_BUILD_ID = "etc/ecs-simulator-rootfs"
# Python is what the agent's service is written in; the other package managers are there to be tested with.
_PACKAGES = (
    "dbus",
    "dnf",
    "procps",
    "python3",
    "python3-dateutil",
    "rpm",
    "systemd",
    "systemd-sysv",
    "util-linux",
    "zypper",
)
# What would do things by itself, or ask.
_MASKED = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "console-getty.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty.target",
    "systemd-firstboot.service",
    "systemd-networkd-wait-online.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
)
# dnf's plugins cannot be installed beside zypper, because each brings a needs-restarting: one of them is taken out.
_PLUGINS = """
cd "$1/tmp"
chroot "$1" sh -ec 'cd /tmp; apt-get -q download dnf-plugins-core'
dpkg-deb --extract dnf-plugins-core_*.deb plugins
from=plugins/usr/lib/python3/dist-packages to=$1/usr/lib/python3/dist-packages
cp -r "$from/dnfpluginscore" "$to"
mkdir "$to/dnf-plugins"
cp "$from/dnf-plugins/needs_restarting.py" "$to/dnf-plugins"
rm -r plugins *.deb
"""
_QUIET = """
for unit in UNITS; do ln -sf /dev/null "$1/etc/systemd/system/$unit"; done
# A machine has no network, so no repository that it could read either.
rm -f "$1/etc/apt/sources.list" "$1"/etc/apt/sources.list.d/*
: >"$1/etc/resolv.conf"
""".replace("UNITS", " ".join(_MASKED))


def find(named: Path | None) -> Path | None:
    """The rootfs that was named, by an argument or in the environment."""
    variable = os.environ.get(VARIABLE)
    return named or (Path(variable) if variable else None)


def build_id(rootfs: Path) -> str:
    """Tells one rootfs from another; raises :class:`OSError` when it is none."""
    return (rootfs / _BUILD_ID).read_text(encoding="ascii")


def recipe() -> str:
    """Changes when a rootfs is to be made anew."""
    return hashlib.sha256(repr([SUITE, _PACKAGES, _PLUGINS, _QUIET]).encode()).hexdigest()[:16]


def is_current(rootfs: Path) -> bool:
    """Whether a folder is a rootfs of this version of the simulator."""
    try:
        return build_id(rootfs).startswith(recipe())
    except OSError:
        return False


def build(rootfs: Path) -> None:
    """Make a rootfs in a folder, which appears when it is whole; what is there is replaced."""
    if not shutil.which("mmdebstrap"):
        raise SimulatorError("a rootfs is made by mmdebstrap, which is not here (Debian: apt-get install mmdebstrap)")
    if os.geteuid():
        raise SimulatorError("a rootfs is made by root: its files belong to several users")
    building = rootfs.absolute().with_name(rootfs.name + ".new")
    building.parent.mkdir(parents=True, exist_ok=True)
    _remove(building)
    # What mmdebstrap says comes to whoever has started this.
    done = subprocess.run(_command(building), stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        _remove(building)
        raise SimulatorError(f"mmdebstrap has failed with status {done.returncode}: no rootfs has been made")
    (building / _BUILD_ID).write_text(f"{recipe()} {uuid.uuid4()}\n", encoding="ascii")
    _remove(rootfs)
    building.rename(rootfs)


def _command(target: Path) -> list[str]:
    left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "info", "locale", "man")]
    return [
        *("mmdebstrap", "--mode=root", "--variant=apt", "--format=directory", f"--include={','.join(_PACKAGES)}"),
        *left_out,
        *(f"--customize-hook={text}" for text in (_PLUGINS, _QUIET)),
        *(SUITE, str(target)),
    ]


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
