# SPDX-License-Identifier: GPL-3.0-or-later
"""os_updates with the real zypper, on a root folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.cloudops.alibaba.tests.unit.host_under_test import (
    OS_UPDATES,
    HostUnderTest,
    host_with,
    until,
)
from ansible_collections.cloudops.alibaba.tests.unit.real_rpms import RealRpms, built

_MISSING = [name for name in ("zypper", "rpmbuild", "createrepo_c") if not shutil.which(name)]
pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(bool(_MISSING), reason=f"there is no {', '.join(_MISSING)} here"),
    pytest.mark.skipif(os.geteuid() != 0, reason="rpm installs for root only"),
]
RESTART = "<reboot_suggested>True</reboot_suggested>"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[HostUnderTest]:
    with host_with("dash", tmp_path) as host:
        yield host


@pytest.fixture
def zypper(host: HostUnderTest, tmp_path: Path) -> RealRpms:
    """app, core and held are installed in version 1.0, and 2.0 is to be had."""
    rpms = RealRpms(host, tmp_path)
    etc = rpms.root / "etc"
    (etc / "zypp").mkdir(parents=True)
    (etc / "zypp" / "repos.d").symlink_to(rpms.sources)
    (host.etc / "etc-zypp").symlink_to(etc / "zypp")
    (rpms.root / "run").mkdir()
    (host.etc / "run-reboot-needed").symlink_to(rpms.root / "run/reboot-needed")
    # What the runner names is named as seen from the root folder.
    (rpms.root / host.base.relative_to("/").parent).mkdir(parents=True)
    (rpms.root / host.base.relative_to("/")).symlink_to(host.base)
    host.program("zypper", f'exec /usr/bin/zypper --root {rpms.root} "$@"')
    host.distribution("suse")
    rpms.install(*(built(name, "1.0") for name in ("app", "core", "held")))
    rpms.offer(*(built(name, "2.0") for name in ("app", "core", "held")), security=("core", "2.0"), restart=RESTART)
    subprocess.run([host.programs / "zypper", "-n", "addlock", "held"], check=True, capture_output=True)
    return rpms


def test_all_is_updated_but_what_is_held(host: HostUnderTest, zypper: RealRpms) -> None:
    answer = host.continue_(OS_UPDATES, restart="never")
    assert answer.said == (0, "done"), (host.run / "log").read_text(encoding="utf-8")
    assert zypper.installed == {"app": "2.0", "core": "2.0", "held": "1.0"}
    assert answer.trailer.packages == (
        {"name": "app", "from": "1.0-1", "to": "2.0-1"},
        {"name": "core", "from": "1.0-1", "to": "2.0-1"},
    )
    shutil.rmtree(host.run)
    again = host.continue_(OS_UPDATES, restart="never")
    assert again.said == (0, "done")
    assert again.trailer.steps["os_updates"]["state"] == "unchanged"


@pytest.mark.parametrize(
    ("options", "installed"),
    [
        ({"updates": "security"}, {"app": "1.0", "core": "2.0"}),
        ({"include": "app nosuch"}, {"app": "2.0", "core": "1.0"}),
        ({"include": "c*"}, {"app": "1.0", "core": "2.0"}),
        ({"exclude": "co* nosuch"}, {"app": "2.0", "core": "1.0"}),
        ({"include": "nosuch"}, {"app": "1.0", "core": "1.0"}),
    ],
)
def test_security_updates_and_names(
    host: HostUnderTest, zypper: RealRpms, options: dict[str, str], installed: dict[str, str]
) -> None:
    answer = host.continue_(OS_UPDATES | options, restart="never")
    assert answer.said == (0, "done"), (host.run / "log").read_text(encoding="utf-8")
    assert zypper.installed == installed | {"held": "1.0"}
    assert answer.trailer.changed is ("2.0" in installed.values())
    locks = subprocess.run([host.programs / "zypper", "-n", "locks"], check=True, capture_output=True, text=True)
    assert "held" in locks.stdout
    assert "co*" not in locks.stdout


def test_a_security_patch_is_whole(host: HostUnderTest, zypper: RealRpms) -> None:
    answer = host.continue_(OS_UPDATES | {"updates": "security", "include": "core"})
    assert answer.said == (1, "failed")
    assert "zypper installs a security patch whole" in answer.output
    assert zypper.installed["core"] == "1.0"


def test_a_patch_that_asks_for_a_restart_gets_one(host: HostUnderTest, zypper: RealRpms) -> None:
    answer = host.continue_(OS_UPDATES | {"updates": "security"})
    assert answer.said == (194, "restart"), (host.run / "log").read_text(encoding="utf-8")
    assert answer.trailer.reason == "zypper:needs-rebooting"


def test_without_such_a_patch_there_is_none(host: HostUnderTest, zypper: RealRpms) -> None:
    answer = host.continue_(OS_UPDATES | {"include": "app"})
    assert answer.said == (0, "done")
    assert zypper.installed["app"] == "2.0"
    assert answer.trailer.evidence == "not_required"


@pytest.mark.parametrize("place", ["http://127.0.0.1:1/gone", "file://{folder}/gone"])
def test_a_repository_that_cannot_be_read_is_a_failure(
    host: HostUnderTest, zypper: RealRpms, tmp_path: Path, place: str
) -> None:
    zypper.know("gone", place.format(folder=tmp_path))
    answer = host.continue_(OS_UPDATES)
    assert answer.said == (1, "failed")
    assert "it is unknown whether there are updates" in answer.output
    assert zypper.installed["app"] == "1.0"


def test_the_lock_is_waited_for(host: HostUnderTest, zypper: RealRpms) -> None:
    host.runner_text = host.runner_text.replace("LOCK_PAUSE_S=5", "LOCK_PAUSE_S=0.1")
    lock = zypper.root / "run" / "zypp.pid"
    # Only another zypper counts, not anybody with a number that is left in the file.
    command = [f"{host.programs}/zypper", "--root", str(zypper.root), "shell"]
    with subprocess.Popen(
        command, executable="/usr/bin/zypper", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as other:
        until(lambda: lock.exists() and lock.read_text(encoding="utf-8").strip() == str(other.pid))
        process = host.start(OS_UPDATES, restart="never")
        log = host.run / "log"
        until(lambda: log.exists() and log.read_text(encoding="utf-8").count(str(other.pid)) > 1)
        assert process.poll() is None
        other.communicate(b"quit\n")
    output, _nothing = process.communicate()
    assert process.returncode == 0, output
    assert zypper.installed["app"] == "2.0"
