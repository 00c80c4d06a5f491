# SPDX-License-Identifier: GPL-3.0-or-later
"""What an nspawn machine has of its own: made once, kept between boots and between starts of the simulator.

``folder/upper`` is what differs from the rootfs that all machines share (overlayfs), ``folder/root`` where both are
mounted, for the machine alone.
"""

import os
import shutil
from pathlib import Path

from ecs_simulator.fleet_instances import InstanceSpec
from ecs_simulator.fleet_settings import Settings
from ecs_simulator.machines.base import MachineError
from ecs_simulator.machines.nspawn.rootfs import build_id

UNIT = "aliyun.service"
# As the real agent's installer writes it, but for the Type: with notify a start has succeeded when the agent is online.
_UNIT = """\
[Unit]
Description=Aliyun Assist
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
ExecStart={program}
EnvironmentFile=-/etc/sysconfig/aliyun
KillMode=process
Restart=on-failure
RestartSec={restart_s:g}

[Install]
WantedBy=multi-user.target
"""
# What systemd itself has to say is not for the audit log.
_SYSTEM_CONF = """\
[Manager]
LogLevel=warning
DefaultTimeoutStopSec={grace_s:g}
"""


def agent_program(spec: InstanceSpec) -> str:
    """Where the agent's program is on the machine."""
    return f"/usr/local/share/aliyun-assist/{spec.agent.version}/aliyun-service"


def make_tree(folder: Path, spec: InstanceSpec, settings: Settings, rootfs: Path) -> None:
    """Make the machine's files below ``folder`` unless they are there.

    They appear in one step: a simulator killed half-way leaves no half a machine. Raises :class:`MachineError` for a
    damaged one, and for one that was made for another rootfs.
    """
    if os.path.lexists(folder):
        if not all((folder / name).is_dir() for name in ("upper", "work", "root", "agent")):
            raise MachineError(f"{folder} is damaged: remove it, and the machine is made anew")
        if (folder / "rootfs").read_text(encoding="ascii") != build_id(rootfs):
            raise MachineError(f"{folder} was made for another rootfs: remove it, and the machine is made anew")
        return
    building = folder.with_name(folder.name + ".new")
    shutil.rmtree(building, ignore_errors=True)
    for name in ("upper", "work", "root", "agent"):
        (building / name).mkdir(parents=True)
    (building / "agent").chmod(0o700)
    (building / "rootfs").write_text(build_id(rootfs), encoding="ascii")
    _write_etc(building / "upper" / "etc", spec, settings)
    building.rename(folder)


def _write_etc(etc: Path, spec: InstanceSpec, settings: Settings) -> None:
    unit = _UNIT.format(program=agent_program(spec), restart_s=settings.agent_restart_s)
    files = {
        "hostname": spec.name + "\n",
        "hosts": f"127.0.0.1 localhost {spec.name}\n",
        # With a machine id it is not the first boot, which would enable all that is installed.
        "machine-id": f"{spec.id.encode().hex():0>32}"[-32:] + "\n",
        f"systemd/system/{UNIT}": unit,
        "systemd/system.conf.d/simulator.conf": _SYSTEM_CONF.format(grace_s=settings.stop_grace_s),
    }
    for name, text in files.items():
        path = etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if spec.agent.running:
        wanted = etc / "systemd" / "system" / "multi-user.target.wants"
        wanted.mkdir()
        (wanted / UNIT).symlink_to(f"/etc/systemd/system/{UNIT}")
