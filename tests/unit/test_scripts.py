# SPDX-License-Identifier: GPL-3.0-or-later
"""Guards around scripts, run by real shells; and what PowerShell scripts are given, which no machine here can run."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._cloud_assistant.scripts import (
    GUARD_BROKEN,
    SKIPPED,
    is_skipped,
    with_guard,
    with_utf8_output,
)
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import BadInput

SHELLS = [shell for shell in ("dash", "bash", "busybox sh") if shutil.which(shell.split()[0])]


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A shell, which is also what ``sh`` is for the scripts."""
    words = request.param.split()
    (tmp_path / "sh").symlink_to(Path(shutil.which(words[0]) or ""))
    return str(tmp_path / "sh")


def run(shell: str, script: str, guard: str) -> tuple[int, str]:
    """How a guarded script ends, and all that it prints."""
    folder = Path(shell).parent
    path = folder / "script.sh"
    path.write_text(with_guard(script, "RunShellScript", guard), encoding="utf-8")
    done = subprocess.run(
        [shell, str(path)],
        cwd=folder,
        env={"PATH": f"{folder}:/usr/bin:/bin", "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    left = {file.name for file in folder.iterdir()} - {"sh", "script.sh", "done"}
    assert not left
    return done.returncode, done.stdout


@pytest.mark.parametrize("guard", ["true", "exit 0", "echo noise; echo noise >&2", "test 'a b' = \"a b\" # }"])
def test_what_is_done_is_skipped(shell: str, guard: str) -> None:
    status, output = run(shell, "echo ran; exit 3", guard)
    assert (status, output) == (0, SKIPPED + "\n")
    assert is_skipped(output)


@pytest.mark.parametrize("guard", ["false", "exit 2", "cat; false", "no-such-program", "if", "set -eu; cd /; exit 9"])
def test_what_is_not_done_runs_as_it_is(shell: str, guard: str) -> None:
    status, output = run(shell, "pwd\ntouch done\nexit 3", guard)
    assert (status, output) == (3, f"{Path(shell).parent}\n")
    assert not is_skipped(output)
    assert (Path(shell).parent / "done").exists()


def test_a_guard_that_is_killed_says_nothing(shell: str) -> None:
    status, output = run(shell, "echo ran", "kill -9 $$")
    assert status == GUARD_BROKEN
    assert "ran" not in output
    assert "came to no end" in output


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("#!/usr/bin/env python3\nimport sys\nprint(sys.argv[1:], '''it's \"$x\" `y`''')\nsys.exit(4)", (4, "[] it's")),
        ("#! /usr/bin/env -S python3 -I\nimport sys\nprint(sys.flags.isolated)", (0, "1\n")),
        ("#!/bin/sh\necho $0", (0, "script.sh")),
        ("#!/bin/sh -e\nfalse\necho on", (1, "")),
    ],
)
def test_the_interpreter_is_the_scripts_own(shell: str, script: str, expected: tuple[int, str]) -> None:
    status, output = run(shell, script, "false")
    assert status == expected[0]
    assert expected[1] in output


def test_an_empty_guard_is_refused() -> None:
    with pytest.raises(BadInput, match="unless is empty"):
        with_guard("echo", "RunShellScript", " ")


@pytest.mark.parametrize("kind", ["RunPowerShellScript", "RunBatScript"])
def test_on_windows_the_guard_is_a_powershell_of_its_own(kind: str) -> None:
    text = with_guard("hostname", kind, "Test-Path C:\\done")
    encoded = text.split("-EncodedCommand ")[1].split()[0]
    assert base64.b64decode(encoded).decode("utf-16-le") == "Test-Path C:\\done"
    assert SKIPPED in text
    assert text.endswith("\nhostname")
    with pytest.raises(BadInput, match="too long"):
        with_guard("hostname", kind, "x" * 3001)
    with pytest.raises(BadInput, match="cannot use parameters"):
        with_guard("hostname {{a}}", kind, "Test-Path {{a}}", parameters=True)


@pytest.mark.parametrize("script", ["hostname", "# param is a word\nhostname", "parameters", "<# param #> hostname"])
def test_powershell_prints_utf8(script: str) -> None:
    first, rest = with_utf8_output(script).split("\n", 1)
    assert "OutputEncoding" in first
    assert "$false" in first  # no byte order mark
    assert rest == script


@pytest.mark.parametrize(
    "script",
    ["param($a)", "# what it does\n\nParam ($a)", "<# help\n#>\n[CmdletBinding()]\nparam()", "using namespace System"],
)
def test_what_must_stand_first_stays_there(script: str) -> None:
    assert with_utf8_output(script) == script
