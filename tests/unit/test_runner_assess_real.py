# SPDX-License-Identifier: GPL-3.0-or-later
"""Assessing with the real apt, dnf and zypper: it tells what the next run updates, and changes nothing."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.tests.unit import test_updates_apt, test_updates_dnf, test_updates_zypper
from ansible_collections.cloudops.alibaba.tests.unit.host_under_test import OS_UPDATES, HostUnderTest
from ansible_collections.cloudops.alibaba.tests.unit.real_apt import RealApt
from ansible_collections.cloudops.alibaba.tests.unit.real_rpms import RealRpms, built

# Fixtures.
host = test_updates_apt.host
apt = test_updates_apt.apt
dnf = test_updates_dnf.dnf
zypper = test_updates_zypper.zypper

# What package managers may refresh; dnf's cache and logs are those of the test.
_METADATA = ("var/lib/apt/lists/", "var/cache/", "var/log/", "tmp/")
# Memory that those who read a database share.
_READERS = ".sqlite-shm"


def tree(root: Path) -> dict[str, str]:
    """The files below a root folder, with a sum of their content."""
    files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    names = {str(path.relative_to(root)): path for path in files}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in names.items()
        if not name.startswith(_METADATA) and not name.endswith(_READERS)
    }


def assess_then_patch(host: HostUnderTest, system: RealApt | RealRpms, options: dict[str, Any]) -> list[str]:
    """Names of the packages that were foretold, and then updated to the very same versions."""
    before, installed = tree(system.root), system.installed
    told = host.continue_(OS_UPDATES | options, mode="assess", restart="never")
    assert told.said == (0, "done"), (host.base / "assess" / "r-1" / "log").read_text(encoding="utf-8")
    assert tree(system.root) == before
    assert system.installed == installed
    assert not host.run.exists()
    done = host.continue_(OS_UPDATES | options, restart="never")
    assert done.said == (0, "done"), (host.run / "log").read_text(encoding="utf-8")
    assert told.trailer.packages == done.trailer.packages
    assert told.trailer.packages_count == done.trailer.packages_count
    assert told.trailer.steps["os_updates"]["state"] == ("needed" if done.trailer.changed else "done")
    return [package["name"] for package in told.trailer.packages]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["app", "core"]),
        ({"include": "app nosuch"}, ["app"]),
        ({"exclude": "app"}, ["core"]),
        ({"include": "nosuch"}, []),
    ],
)
def test_with_apt(host: HostUnderTest, apt: RealApt, options: dict[str, str], names: list[str]) -> None:
    apt.run("apt-mark", "auto", "app")
    assert assess_then_patch(host, apt, options) == names


def test_with_apt_new_packages_come_along_and_are_none_that_are_updated(host: HostUnderTest, apt: RealApt) -> None:
    image = apt.build("linux-image-2", "2.0")
    apt.offer("stable", apt.build("app", "3.0", depends="linux-image-2"), apt.build("core", "3.0"), image)
    told = host.continue_(OS_UPDATES, mode="assess")
    assert (told.trailer.expected, told.trailer.expected_reason) == ("likely", "update of linux-image-2")
    assert assess_then_patch(host, apt, {}) == ["app", "core"]
    assert apt.installed["linux-image-2"] == "2.0"


def test_with_apt_what_a_power_cut_has_left_stays_as_it_is(host: HostUnderTest, apt: RealApt) -> None:
    apt.run("dpkg", "--unpack", str(apt.build("half", "1.0")))
    assert assess_then_patch(host, apt, {}) == ["app", "core"]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["app", "kernel"]),
        ({"updates": "security"}, ["app"]),
        ({"include": "k*"}, ["kernel"]),
        ({"exclude": "kernel*"}, ["app"]),
        ({"include": "nosuch"}, []),
    ],
)
def test_with_dnf(host: HostUnderTest, dnf: RealRpms, options: dict[str, str], names: list[str]) -> None:
    assert assess_then_patch(host, dnf, options) == names


def test_with_dnf_long_names_are_whole(host: HostUnderTest, dnf: RealRpms) -> None:
    name, version = "a-package-with-quite-a-long-name-for-a-table-of-eighty", "0.20260101.and.a.version.that.is.long"
    dnf.install(built(name, f"1.{version}"))
    dnf.offer(built(name, f"2.{version}"))
    assert assess_then_patch(host, dnf, {}) == [name, "app", "kernel"]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["app", "core"]),
        ({"updates": "security"}, ["core"]),
        ({"include": "app nosuch"}, ["app"]),
        ({"exclude": "co*"}, ["app"]),
        ({"include": "nosuch"}, []),
    ],
)
def test_with_zypper(host: HostUnderTest, zypper: RealRpms, options: dict[str, str], names: list[str]) -> None:
    assert assess_then_patch(host, zypper, options) == names


@pytest.mark.parametrize("manager", ["apt", "dnf", "zypper"])
def test_a_repository_that_cannot_be_read_is_a_failure(
    host: HostUnderTest, manager: str, request: pytest.FixtureRequest
) -> None:
    system: RealApt | RealRpms = request.getfixturevalue(manager)
    system.know("gone", "http://127.0.0.1:1/nosuch")
    answer = host.continue_(OS_UPDATES, mode="assess")
    assert answer.said == (1, "failed")
    assert "it is unknown whether there are updates" in answer.output
    assert "2.0" not in system.installed.values()


_MISSING = [name for name in ("apt-get", "dnf", "zypper", "rpmbuild", "createrepo_c") if not shutil.which(name)]
pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(bool(_MISSING), reason=f"there is no {', '.join(_MISSING)} here"),
    *[mark for mark in test_updates_apt.pytestmark if mark.name == "skipif" and "root" in mark.kwargs["reason"]],
]
