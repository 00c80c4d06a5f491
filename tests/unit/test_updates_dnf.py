# SPDX-License-Identifier: GPL-3.0-or-later
"""os_updates with the real dnf, on a root folder of its own."""

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

_MISSING = [name for name in ("dnf", "rpmbuild", "createrepo_c") if not shutil.which(name)]
pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(bool(_MISSING), reason=f"there is no {', '.join(_MISSING)} here"),
    pytest.mark.skipif(os.geteuid() != 0, reason="rpm installs for root only"),
]
_PACKAGES = "usr/lib/python3/dist-packages"
_PLUGIN = f"{_PACKAGES}/dnf-plugins/needs_restarting.py"
# Debian's dnf-plugins-core cannot be installed beside zypper: .ci/run unpacks it here.
_UNPACKED = "/usr/local/share/dnf-plugins-core"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[HostUnderTest]:
    with host_with("dash", tmp_path) as host:
        yield host


@pytest.fixture
def dnf(host: HostUnderTest, tmp_path: Path) -> RealRpms:
    """app, kernel and held are installed in version 1.0, and 2.0 is to be had."""
    rpms = RealRpms(host, tmp_path)
    config = tmp_path / "dnf.conf"
    config.write_text("[main]\nexcludepkgs=held\n", encoding="utf-8")
    options = f"--installroot={rpms.root} --releasever=8 --config={config} --setopt=reposdir={rpms.sources}"
    options += f" --setopt=cachedir={tmp_path}/cache --setopt=persistdir={tmp_path}/persist --setopt=logdir={tmp_path}"
    options += f" --setopt=tsflags=nocontexts --setopt=pluginpath={tmp_path}/plugins"
    host.program("dnf", f'PYTHONPATH={_UNPACKED}/{_PACKAGES} exec /usr/bin/dnf {options} "$@"')
    (tmp_path / "plugins").mkdir()
    rpms.install(*(built(name, "1.0") for name in ("app", "kernel", "held")))
    rpms.offer(*(built(name, "2.0") for name in ("app", "kernel", "held")), security=("app", "2.0"))
    return rpms


def test_all_is_updated_but_what_is_held(host: HostUnderTest, dnf: RealRpms) -> None:
    answer = host.continue_(OS_UPDATES)
    assert answer.said == (0, "done"), (host.run / "log").read_text(encoding="utf-8")
    assert dnf.installed == {"app": "2.0", "kernel": "2.0", "held": "1.0"}
    assert answer.trailer.packages == (
        {"name": "app", "from": "1.0-1", "to": "2.0-1"},
        {"name": "kernel", "from": "1.0-1", "to": "2.0-1"},
    )
    # Without its plugin dnf cannot tell whether a restart is required.
    assert answer.trailer.evidence == "unknown"
    shutil.rmtree(host.run)
    again = host.continue_(OS_UPDATES)
    assert again.said == (0, "done")
    assert again.trailer.steps["os_updates"]["state"] == "unchanged"


@pytest.mark.parametrize(
    ("options", "installed"),
    [
        ({"updates": "security"}, {"app": "2.0", "kernel": "1.0"}),
        ({"updates": "security", "exclude": "app"}, {"app": "1.0", "kernel": "1.0"}),
        ({"include": "app nosuch"}, {"app": "2.0", "kernel": "1.0"}),
        ({"include": "k*"}, {"app": "1.0", "kernel": "2.0"}),
        ({"exclude": "kernel* nosuch"}, {"app": "2.0", "kernel": "1.0"}),
        ({"include": "nosuch"}, {"app": "1.0", "kernel": "1.0"}),
    ],
)
def test_security_updates_and_names(
    host: HostUnderTest, dnf: RealRpms, options: dict[str, str], installed: dict[str, str]
) -> None:
    answer = host.continue_(OS_UPDATES | options)
    assert answer.said == (0, "done"), (host.run / "log").read_text(encoding="utf-8")
    assert dnf.installed == installed | {"held": "1.0"}
    assert answer.trailer.changed is ("2.0" in installed.values())


def test_a_list_that_dnf_keeps_is_not_believed(host: HostUnderTest, dnf: RealRpms) -> None:
    assert host.continue_(OS_UPDATES).said == (0, "done")
    dnf.offer(built("app", "3.0"))
    shutil.rmtree(host.run)
    assert host.continue_(OS_UPDATES).trailer.changed
    assert dnf.installed["app"] == "3.0"


def test_a_repository_that_cannot_be_read_is_a_failure(host: HostUnderTest, dnf: RealRpms) -> None:
    """Also one that dnf is told to skip then, as this one is."""
    dnf.know("gone", "file:///nosuch")
    answer = host.continue_(OS_UPDATES)
    assert answer.said == (1, "failed")
    assert "it is unknown whether there are updates" in answer.output
    assert dnf.installed["app"] == "1.0"


@pytest.fixture
def plugin(dnf: RealRpms, tmp_path: Path) -> None:
    """dnf's plugin needs-restarting."""
    for root in ("/", _UNPACKED):
        if (Path(root) / _PLUGIN).exists():
            shutil.copy(Path(root) / _PLUGIN, tmp_path / "plugins")
            return
    pytest.skip("there is no needs-restarting plugin of dnf here")


@pytest.mark.usefixtures("plugin")
def test_the_plugin_tells_that_a_restart_is_required(host: HostUnderTest) -> None:
    answer = host.continue_(OS_UPDATES)
    assert answer.said == (194, "restart")
    assert answer.trailer.evidence == "required"
    assert answer.trailer.reason == "needs-restarting:kernel"


@pytest.mark.usefixtures("plugin")
def test_the_plugin_tells_that_none_is_required(host: HostUnderTest, dnf: RealRpms) -> None:
    dnf.remove("kernel")
    answer = host.continue_(OS_UPDATES)
    assert answer.said == (0, "done")
    assert answer.trailer.evidence == "not_required"


def test_the_lock_is_waited_for(host: HostUnderTest, dnf: RealRpms, tmp_path: Path) -> None:
    host.runner_text = host.runner_text.replace("LOCK_PAUSE_S=5", "LOCK_PAUSE_S=0.1")
    (tmp_path / "cache").mkdir()
    lock = tmp_path / "cache" / "metadata_lock.pid"
    other = subprocess.Popen(["sleep", "600"])
    lock.write_text(str(other.pid), encoding="utf-8")
    process = host.start(OS_UPDATES)
    log = host.run / "log"
    until(lambda: log.exists() and log.read_text(encoding="utf-8").count(str(other.pid)) > 1)
    assert process.poll() is None
    other.kill()
    other.wait()
    output, _nothing = process.communicate()
    assert process.returncode == 0, output
    assert dnf.installed["app"] == "2.0"
