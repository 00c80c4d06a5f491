# SPDX-License-Identifier: GPL-3.0-or-later
"""os_updates with the real apt and dpkg, on a root folder of their own."""

from __future__ import annotations

import fcntl
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
from ansible_collections.cloudops.alibaba.tests.unit.real_apt import RealApt

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(not shutil.which("apt-get"), reason="there is no apt here"),
    pytest.mark.skipif(os.geteuid() != 0, reason="dpkg installs for root only"),
]
ASKS = 'touch "$DPKG_ROOT/run/reboot-required"'


@pytest.fixture
def host(tmp_path: Path) -> Iterator[HostUnderTest]:
    with host_with("dash", tmp_path) as host:
        yield host


@pytest.fixture
def apt(host: HostUnderTest, tmp_path: Path) -> RealApt:
    """app, core and held are installed in version 1.0, and 2.0 is to be had."""
    apt = RealApt(host, tmp_path)
    apt.install(apt.build("app", "1.0", conffile="old\n"), apt.build("core", "1.0"), apt.build("held", "1.0"))
    apt.offer(
        "stable",
        apt.build("app", "2.0", conffile="new\n"),
        apt.build("core", "2.0", postinst=ASKS),
        apt.build("held", "2.0"),
    )
    apt.run("apt-mark", "hold", "held")
    return apt


def test_all_is_updated_but_what_is_held(host: HostUnderTest, apt: RealApt) -> None:
    answer = host.continue_(OS_UPDATES)
    assert answer.said == (194, "restart"), answer.output
    assert apt.installed == {"app": "2.0", "core": "2.0", "held": "1.0"}
    assert answer.trailer.packages == (
        {"name": "app", "from": "1.0", "to": "2.0"},
        {"name": "core", "from": "1.0", "to": "2.0"},
    )
    assert answer.trailer.reason.endswith("reboot-required")
    # After it there is nothing to do.
    shutil.rmtree(host.run)
    (apt.root / "run/reboot-required").unlink()
    again = host.continue_(OS_UPDATES)
    assert again.said == (0, "done")
    assert again.trailer.steps["os_updates"]["state"] == "unchanged"


def test_a_changed_configuration_file_is_kept_without_a_question(host: HostUnderTest, apt: RealApt) -> None:
    mine = apt.root / "etc/app.conf"
    mine.write_text("mine\n", encoding="utf-8")
    assert host.continue_(OS_UPDATES, restart="never").said == (0, "done")
    assert apt.installed["app"] == "2.0"
    assert mine.read_text(encoding="utf-8") == "mine\n"
    assert mine.with_suffix(".conf.dpkg-dist").read_text(encoding="utf-8") == "new\n"


@pytest.mark.parametrize(
    ("options", "installed"),
    [
        ({"include": "app nosuch"}, {"app": "2.0", "core": "1.0"}),
        ({"include": "*o*"}, {"app": "1.0", "core": "2.0"}),
        ({"exclude": "c*"}, {"app": "2.0", "core": "1.0"}),
        ({"include": "*", "exclude": "app core"}, {"app": "1.0", "core": "1.0"}),
        ({"include": "nosuch"}, {"app": "1.0", "core": "1.0"}),
    ],
)
def test_packages_are_included_and_excluded_by_name(
    host: HostUnderTest, apt: RealApt, options: dict[str, str], installed: dict[str, str]
) -> None:
    apt.run("apt-mark", "auto", "app")
    answer = host.continue_(OS_UPDATES | options, restart="never")
    assert answer.said == (0, "done")
    assert apt.installed == installed | {"held": "1.0"}
    assert answer.trailer.changed is ("2.0" in installed.values())
    # Being named does not make a package one that was wished for.
    assert apt.run("apt-mark", "showauto").split() == ["app"]


def test_an_update_that_needs_an_excluded_one_is_not_made(host: HostUnderTest, apt: RealApt) -> None:
    apt.offer("stable", apt.build("app", "3.0", depends="core (>= 3.0)"), apt.build("core", "3.0"))
    answer = host.continue_(OS_UPDATES | {"exclude": "core"})
    assert answer.said == (1, "failed")
    assert "os_updates: the updates need that of core, which is excluded" in answer.output
    assert apt.installed == {"app": "1.0", "core": "1.0", "held": "1.0"}


def test_security_updates_are_those_of_the_security_suite(host: HostUnderTest, apt: RealApt) -> None:
    """Also where a later version is to be had elsewhere."""
    apt.offer("stable-security", apt.build("core", "1.1"), label="Debian-Security")
    answer = host.continue_(OS_UPDATES | {"updates": "security"})
    assert answer.said == (0, "done")
    assert apt.installed == {"app": "1.0", "core": "1.1", "held": "1.0"}
    assert answer.trailer.packages == ({"name": "core", "from": "1.0", "to": "1.1"},)


def test_without_a_security_suite_nobody_knows(host: HostUnderTest, apt: RealApt) -> None:
    answer = host.continue_(OS_UPDATES | {"updates": "security"})
    assert answer.said == (1, "failed")
    assert "it is unknown whether there are updates" in answer.output


# The first of them apt-get update calls a failure, and the second not.
@pytest.mark.parametrize("address", ["file:/nosuch", "http://127.0.0.1:1/nosuch"])
def test_a_repository_that_cannot_be_read_is_a_failure(host: HostUnderTest, apt: RealApt, address: str) -> None:
    apt.know("gone", address)
    answer = host.continue_(OS_UPDATES)
    assert answer.said == (1, "failed")
    assert "it is unknown whether there are updates" in answer.output
    assert apt.installed["app"] == "1.0"


def test_what_a_power_cut_has_left_is_finished(host: HostUnderTest, apt: RealApt) -> None:
    apt.run("dpkg", "--unpack", str(apt.build("half", "1.0")))
    assert host.continue_(OS_UPDATES, restart="never").said == (0, "done")
    assert "half" not in apt.run("dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package}\\n").replace("ii  half", "")


def test_what_a_failed_update_has_changed_is_told(host: HostUnderTest, apt: RealApt) -> None:
    once = 'if [ ! -e "$DPKG_ROOT/once" ]; then touch "$DPKG_ROOT/once"; exit 1; fi'
    apt.offer("stable", apt.build("app", "3.0"), apt.build("core", "3.0", postinst=once))
    assert host.continue_(OS_UPDATES, restart="never").said == (1, "failed")
    answer = host.continue_(OS_UPDATES, restart="never")
    assert answer.said == (0, "done")
    assert {row["name"]: row["to"] for row in answer.trailer.packages} == {"app": "3.0", "core": "3.0"}


# dpkg's own lock, and the one of the lists.
@pytest.mark.parametrize("lock", ["var/lib/dpkg/lock-frontend", "var/lib/apt/lists/lock"])
def test_the_lock_is_waited_for(host: HostUnderTest, apt: RealApt, lock: str) -> None:
    host.runner_text = host.runner_text.replace("LOCK_PAUSE_S=5", "LOCK_PAUSE_S=0.1")
    with (apt.root / lock).open("w") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        process = host.start(OS_UPDATES, restart="never")
        log = host.run / "log"
        until(lambda: log.exists() and log.read_text(encoding="utf-8").count("lock") > 3)
        assert process.poll() is None
    output, _nothing = process.communicate()
    assert process.returncode == 0, output
    assert apt.installed["app"] == "2.0"


def test_the_lock_is_not_waited_for_without_end(host: HostUnderTest, apt: RealApt) -> None:
    host.runner_text = host.runner_text.replace("LOCK_PATIENCE_S=600", "LOCK_PATIENCE_S=0")
    with (apt.root / "var/lib/apt/lists/lock").open("w") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        answer = host.continue_(OS_UPDATES)
    assert answer.said == (1, "failed")
    assert "os_updates: somebody else has held the package manager's lock for 0 s" in answer.output


def test_this_computers_packages_are_not_touched(apt: RealApt) -> None:
    """Of the tests themselves."""
    asked = subprocess.run(["dpkg-query", "-W", "core"], capture_output=True, text=True, check=False)
    assert asked.returncode == 1
    assert apt.installed["core"] == "1.0"
