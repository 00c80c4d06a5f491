# SPDX-License-Identifier: GPL-3.0-or-later
"""Assessing hosts: what is told comes true, and nothing is changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from end_to_end.clouds import UPDATES, Cloud, make_cloud
from end_to_end.test_role import patch, statuses

STEPS = [
    {"name": "os_updates"},
    {"name": "motd", "unless": "grep -qs ours /root/motd", "script": "echo ours >> /root/motd", "restart": "never"},
]


@pytest.fixture
def fleet(folder: Path) -> Iterator[Cloud]:
    """Hosts with an update that needs a restart, with one that needs none, and with nothing to do."""
    cloud = make_cloud(
        folder,
        {"name": "a", "updates": UPDATES},
        {"name": "b", "updates": [{"name": "curl", "from": "1.0", "to": "2.0"}]},
        {"name": "c"},
    )
    yield cloud
    cloud.stop()


def files(cloud: Cloud, name: str) -> dict[str, str]:
    """The files of a host with a sum of each, but for what an assessment leaves, and scratch of the stand-ins."""
    root = cloud.folder / "state" / "machines" / cloud.ids()[name] / "root"
    paths = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file() and not path.is_symlink()}
    ours = ("var/lib/cloudops.alibaba/assess/", "var/lib/cloudops.alibaba/lock", "var/lib/updates/wanted")
    return {
        key: hashlib.sha256(path.read_bytes()).hexdigest()
        for key, path in paths.items()
        if not key.startswith(ours) and "/aliyun" not in key
    }


def test_what_is_told_comes_true_and_nothing_is_changed(fleet: Cloud) -> None:
    # The stand-ins' own files come with their first use.
    patch(fleet, patch_hosts_batches=["100%"], patch_hosts_mode="assess")
    before = {name: files(fleet, name) for name in fleet.ids()}
    steps = {"patch_hosts_batches": ["100%"], "patch_hosts_steps": STEPS, "patch_hosts_run_id": "CHG-1"}
    outcome = patch(fleet, **steps, patch_hosts_mode="assess")
    assert outcome.status == 0, outcome.output
    assert {name: files(fleet, name) for name in fleet.ids()} == before
    assert fleet.audit(event="shutdown") == []
    assert set(statuses(outcome).values()) == {"assessed"}
    assert [outcome.recap(name)["changed"] for name in "abc"] == [0, 0, 0]
    told = outcome.result["hosts"]
    assert {name: host["restart_expected"] for name, host in told.items()} == {"a": "likely", "b": "no", "c": "no"}
    assert told["a"]["restart_expected_reason"] == "update of kernel"
    # The same run id: it has not begun.
    done = patch(fleet, **steps).result["hosts"]
    assert {name: host["status"] for name, host in done.items()} == {"a": "restarted", "b": "patched", "c": "patched"}
    assert {name: host["packages"] for name, host in told.items()} == {
        name: host["packages"] for name, host in done.items()
    }
    assert told["c"]["steps"] == {
        "os_updates": {"state": "done", "attempts": 0},
        "motd": {"state": "needed", "attempts": 0},
    }
