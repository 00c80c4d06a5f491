# SPDX-License-Identifier: GPL-3.0-or-later
"""When a worker ends with Ansible's main process. Here a process that sleeps stands for that."""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from ansible_collections.cloudops.alibaba.plugins.plugin_utils._orphans import ended_with_ansible
from ansible_collections.cloudops.alibaba.plugins.plugin_utils._output import flush_each_line

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")


class Killed:
    """What would be sent to a process group."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.calls: list[tuple[int, int] | str] = []

    def said(self) -> None:
        """What is done before."""
        self.calls.append("said")

    def __call__(self, group: int, number: int) -> None:
        self.calls.append((group, number))
        self.event.set()


@pytest.fixture
def main() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def killed(main: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> Killed:
    killed = Killed()
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: SimpleNamespace(pid=main.pid))
    monkeypatch.setattr(os, "getpgrp", os.getpid)
    monkeypatch.setattr(os, "killpg", killed)
    return killed


def test_a_worker_ends_when_ansible_does(main: subprocess.Popen[bytes], killed: Killed) -> None:
    with ended_with_ansible(killed.said):
        assert not killed.calls
        main.kill()
        assert killed.event.wait(60)
    assert killed.calls == ["said", (os.getpid(), signal.SIGKILL)]


def test_ansible_was_gone_before(main: subprocess.Popen[bytes], killed: Killed) -> None:
    main.kill()
    main.wait()
    with ended_with_ansible(killed.said):
        pass
    assert killed.calls == [(os.getpid(), signal.SIGKILL)]


def test_nothing_ends_when_the_module_does_and_nothing_stays_open(killed: Killed) -> None:
    before = sorted(os.listdir("/proc/self/fd")), threading.active_count()
    with ended_with_ansible(killed.said):
        assert threading.active_count() == before[1] + 1
    assert (sorted(os.listdir("/proc/self/fd")), threading.active_count()) == before
    assert not killed.calls


@pytest.mark.parametrize("why", ["no worker", "others in the group", "no such call"])
def test_what_cannot_be_watched_or_ended_is_left_alone(
    why: str, main: subprocess.Popen[bytes], killed: Killed, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why == "no worker":
        monkeypatch.setattr(multiprocessing, "parent_process", lambda: None)
    elif why == "others in the group":
        monkeypatch.setattr(os, "getpgrp", os.getppid)
    else:
        monkeypatch.delattr(os, "pidfd_open")
    threads = threading.active_count()
    with ended_with_ansible(killed.said):
        main.kill()
        main.wait()
        assert threading.active_count() == threads
    assert not killed.calls


def test_each_line_is_flushed(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8"))  # type: ignore[arg-type]
    print("before")
    assert raw.getvalue() == b""
    flush_each_line()
    print("after")
    assert raw.getvalue() == b"before\nafter\n"


def test_an_output_without_a_buffer_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    flush_each_line()
