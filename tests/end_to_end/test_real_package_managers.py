# SPDX-License-Identifier: GPL-3.0-or-later
"""A patch run over machines with a real systemd and real package managers; one of the three must restart."""

from __future__ import annotations

import base64
import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.tests.unit import real_apt, real_rpms
from ecs_simulator.machines.nspawn import rootfs
from ecs_simulator.machines.nspawn.machine import why_not
from end_to_end.clouds import ROOT, Cloud, make_cloud

ROOTFS = rootfs.find(None) or ROOT / ".ansible" / "rootfs"


def _unavailable() -> str:
    with tempfile.TemporaryDirectory() as folder:
        reason = why_not(ROOTFS, Path(folder))
    return f"{reason} (make simulator-rootfs)" if reason else ""


pytestmark = [pytest.mark.once, pytest.mark.skipif(bool(_unavailable()), reason=_unavailable())]
HOSTS = ("a", "b", "c")
# All hosts have app, and only b has what asks for a restart.
_PREPARE = """
set -e
base64 -d >/tmp/srv.tgz <<'END'
{archive}
END
tar -xzf /tmp/srv.tgz -C /srv
[ "$(hostname)" = b ] || rm /srv/old/{wants_restart}*
{script}
"""
_APT = """
mkdir /usr/share/update-notifier
touch /usr/share/update-notifier/notify-reboot-required
dpkg --install /srv/old/*
echo 'deb [trusted=yes] file:/srv/new ./' >/etc/apt/sources.list
"""
_RPM = """
rm /etc/os-release
printf 'ID={id}\\n' >/etc/os-release
# Where rpm is at home, and zypper looks; Debian's rpm has its packages in a folder of root's.
mkdir -p {sources} /etc/rpm
echo '%_dbpath /var/lib/rpm' >/etc/rpm/macros.distribution
rpm --install --force-debian --nodeps /srv/old/*
printf '[here]\\nname=here\\nbaseurl=file:///srv/new\\nenabled=1\\ngpgcheck=0\\n' >{sources}/here.repo
"""
_RPM_QUERY = "rpm --query --all --queryformat '%{NAME} %{VERSION}\\n'"
RESTART = "<reboot_suggested>True</reboot_suggested>"


def _debs(folder: Path) -> None:
    (folder / "old").mkdir()
    for name in ("app", "core"):
        shutil.copy(real_apt.build(folder / "build" / "1", name, "1.0"), folder / "old")
    # As linux-image and its like do it on Debian and Ubuntu.
    asks = 'touch /run/reboot-required; echo "$DPKG_MAINTSCRIPT_PACKAGE" >>/run/reboot-required.pkgs'
    new = [real_apt.build(folder / "build" / "2", "app", "2.0")]
    new.append(real_apt.build(folder / "build" / "2", "core", "2.0", postinst=asks))
    real_apt.make_repository(folder / "new", *new)
    shutil.rmtree(folder / "build")


def _rpms(folder: Path, wants_restart: str) -> None:
    (folder / "old").mkdir()
    for name in ("app", wants_restart):
        file, content = real_rpms.built(name, "1.0")
        (folder / "old" / file).write_bytes(content)
    advisories = [real_rpms.advisory("app", "2.0"), real_rpms.advisory(wants_restart, "2.0", restart=RESTART)]
    new = [real_rpms.built(name, "2.0") for name in ("app", wants_restart)]
    real_rpms.make_repository(folder / "new", *new, advisories=advisories)


MANAGERS: dict[str, tuple[str, Callable[[Path], None], str, str, dict[str, str], str]] = {
    "apt": ("core", _debs, _APT, "dpkg-query --show app core 2>/dev/null", {}, "/run/reboot-required"),
    "dnf": (
        "kernel",
        lambda folder: _rpms(folder, "kernel"),
        _RPM.format(id="alinux", sources="/etc/yum.repos.d"),
        _RPM_QUERY,
        {},
        "needs-restarting:kernel",
    ),
    # Only of its patches does zypper say that they want a restart.
    "zypper": (
        "core",
        lambda folder: _rpms(folder, "core"),
        _RPM.format(id="opensuse-leap\\nID_LIKE=suse", sources="/etc/zypp/repos.d"),
        _RPM_QUERY,
        {"updates": "security"},
        "zypper:needs-rebooting",
    ),
}


def _archive(folder: Path) -> str:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(folder, arcname=".")
    return base64.encodebytes(packed.getvalue()).decode()


def run(cloud: Cloud, script: str) -> dict[str, str]:
    """What a script prints on each host."""
    ids = cloud.ids()
    task = {"cloudops.alibaba.ecs_run_command": {"instance_ids": list(ids.values()), "content": script}}
    result = cloud.play([task]).result
    assert not result.get("failed"), result
    return {name: result["instances"][id_]["output"] for name, id_ in ids.items()}


@pytest.mark.parametrize("manager", MANAGERS)
def test_three_hosts_are_patched_and_one_restarts(manager: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wants_restart, make, prepare, query, options, reason = MANAGERS[manager]
    for program in ("dpkg-deb",) if manager == "apt" else ("rpmbuild", "createrepo_c"):
        if not shutil.which(program):
            pytest.skip(f"there is no {program} here, so there are no packages")
    (folder / "srv").mkdir()
    make(folder / "srv")
    monkeypatch.setenv(rootfs.VARIABLE, str(ROOTFS))
    cloud = make_cloud(folder, *({"name": name, "machine": "nspawn", "boot_s": 0} for name in HOSTS))
    try:
        run(
            cloud,
            _PREPARE.format(archive=_archive(folder / "srv"), wants_restart=wants_restart, script=prepare),
        )
        variables: dict[str, Any] = {
            "patch_hosts_report_dir": str(folder / "report"),
            "patch_hosts_batches": ["100%"],
            "patch_hosts_steps": [{"name": "os_updates", **options}],
        }
        outcome = cloud.playbook(ROOT / "playbooks" / "patch.yml", "-e", json.dumps(variables))
        assert outcome.status == 0, outcome.output
        hosts = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))["hosts"]
        statuses = {name: host["status"] for name, host in hosts.items()}
        assert statuses == {"a": "patched", "b": "restarted", "c": "patched"}, outcome.output
        updated = {name: sorted(package["name"] for package in host["packages"]) for name, host in hosts.items()}
        assert updated == {"a": ["app"], "b": ["app", wants_restart], "c": ["app"]}
        # The receipt has what the machines themselves say, and the simulator.
        said = run(cloud, f"cat /proc/sys/kernel/random/boot_id; {query} | grep -c '2.0'")
        boots = {
            name: [line["boot_id"] for line in cloud.audit(event="boot", instance_id=id_)]
            for name, id_ in cloud.ids().items()
        }
        assert {name: len(ids) for name, ids in boots.items()} == {"a": 1, "b": 2, "c": 1}
        assert said == {name: f"{boots[name][-1]}\n{2 if name == 'b' else 1}\n" for name in HOSTS}
        (receipt,) = hosts["b"]["receipts"]
        assert receipt["verdict"] == "restarted"
        assert [receipt["boot_id_before"], receipt["boot_id_after"]] == boots["b"]
        assert f"reason: {reason}" in receipt["evidence"]
    finally:
        cloud.stop()
