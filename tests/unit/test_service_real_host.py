# SPDX-License-Identifier: GPL-3.0-or-later
"""Files, processes and programs of this computer."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._service.ancestry import lineage
from ansible_collections.cloudops.alibaba.plugins.module_utils._service.host import Done, RealHost

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")


def wait_until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_files(tmp_path: Path) -> None:
    host, path = RealHost(), tmp_path / "a"
    assert (host.read(str(path)), host.exists(str(path)), host.target(str(path))) == (None, False, None)
    assert host.names(str(path)) == []
    host.write(str(path), "text\n")
    assert host.read(str(path)) == b"text\n"
    assert path.stat().st_mode & 0o777 == 0o644
    (tmp_path / "link").symlink_to("a")
    assert host.target(str(tmp_path / "link")) == "a"
    assert host.names(str(tmp_path)) == ["a", "link"]


def test_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "xx")
    monkeypatch.delenv("PATH")
    script = "echo out; echo err >&2; echo $LC_ALL $LANGUAGE $PATH; pwd; read line || exit 3"
    done = RealHost().run(["/bin/sh", "-c", script], 60)
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert done == Done(3, f"out\nerr\nC {path}\n/\n")
    assert done.words(2).endswith(" /")
    none = RealHost().run(["/nope"], 60)
    assert none.status == 127 and none.output.startswith("/nope: ")
    assert RealHost().run(["/bin/sh", "-c", "exec sleep 60"], 0.1) == Done(124, "it had not ended after 0.1 s")


def test_a_service_that_holds_on_to_its_output_is_not_waited_for() -> None:
    done = RealHost().run(["/bin/sh", "-c", "sleep 60 & echo $!"], 60)
    os.kill(int(done.output), 9)


def test_our_own_lineage() -> None:
    processes = lineage(RealHost())
    assert [process.pid for process in processes[:2]] == [os.getpid(), os.getppid()]


def test_what_runs_after_a_process(tmp_path: Path) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        RealHost().run_after(process.pid, 0, ["/bin/sh", "-c", 'echo "$1" >"$2"', "sh", "a  word", str(tmp_path / "x")])
        # What runs in the meantime is one second long.
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        assert not (tmp_path / "x").exists()
    wait_until(lambda: (tmp_path / "x").exists() and (tmp_path / "x").read_text() == "a  word\n")


def test_what_runs_after_a_process_that_has_ended_already(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    RealHost().run_after(process.pid, 0, ["touch", str(tmp_path / "x")])
    wait_until((tmp_path / "x").exists)
