# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused besides the work itself: names of variables, folders, hooks, a health check that checks nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.health import HEALTH_SPEC, read_health
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.hooks import check_hooks
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.settings import check_report_dir, check_variables
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import BadInput

KNOWN = ["patch_hosts_restart_method", "patch_hosts_restart", "patch_hosts_hooks"]


def test_known_variables_pass() -> None:
    check_variables({"given": ["patch_hosts_restart"], "known": KNOWN})
    check_variables({})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            ["patch_hosts_restart", "patch_hosts_restart_methd"],
            "This is no variable of the role patch_hosts: patch_hosts_restart_methd (do you mean "
            "patch_hosts_restart_method?).",
        ),
        # That it begins as all of them do makes it like none of them.
        (["patch_hosts_zzz"], "of the role patch_hosts: patch_hosts_zzz. Mend the name"),
        (
            ["patch_hosts_hook", "patch_hosts_b"],
            "These are no variables of the role patch_hosts: patch_hosts_b, patch_hosts_hook (do you mean "
            "patch_hosts_hooks?).",
        ),
    ],
)
def test_misspelt_variables_are_refused_with_what_was_meant(given: list[str], words: str) -> None:
    with pytest.raises(BadInput) as caught:
        check_variables({"given": given, "known": KNOWN})
    assert words in str(caught.value)


def test_the_folder_of_a_report_need_not_be_there(tmp_path: Path) -> None:
    check_report_dir(str(tmp_path))
    check_report_dir(str(tmp_path / "a" / "b"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_folder_for_a_report(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for folder, why in ((file, file), (file / "a", file), (tmp_path / "dangling", tmp_path / "dangling")):
        with pytest.raises(BadInput) as caught:
            check_report_dir(str(folder))
        assert str(caught.value) == (
            f"patch_hosts_report_dir: no report can be written into {folder}: {why} is not a folder. Nothing was done."
        )


def test_a_folder_that_may_not_be_written_into_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root, as whom tests may run, may write anywhere.
    monkeypatch.setattr(os, "access", lambda path, _mode: path != str(tmp_path))
    with pytest.raises(BadInput, match=f"{tmp_path} cannot be written into by this user"):
        check_report_dir(str(tmp_path / "a"))


def test_hooks_by_what_is_done(tmp_path: Path) -> None:
    hooks = {moment: str(tmp_path / f"{moment}.yml") for moment in ("before", "health", "after")}
    for path in hooks.values():
        Path(path).touch()
    assert check_hooks(hooks, "patch") == hooks
    assert check_hooks(hooks, "assess") == {}
    assert set(check_hooks(hooks, "put_back")) == {"health", "after"}
    with pytest.raises(BadInput, match=r"^patch_hosts_hooks\.after is not set"):
        check_hooks(hooks | {"after": ""}, "put_back")
    with pytest.raises(BadInput, match=r"^patch_hosts_hooks\.before: there is no file /nowhere"):
        check_hooks({"before": "/nowhere"}, "patch")


@pytest.mark.parametrize("script", ["", " \n"])
def test_a_health_check_that_checks_nothing_is_refused(script: str) -> None:
    value = {key: spec.get("default") for key, spec in HEALTH_SPEC.items()}
    with pytest.raises(BadInput, match="has nothing to look at: give it a script, or same"):
        read_health(value, script)
    assert read_health(value | {"same": "warn"}, script).wanted
    assert not read_health(None, "").wanted
