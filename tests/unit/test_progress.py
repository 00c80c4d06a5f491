# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress lines: new things only, not too often, and never in the way."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._progress import (
    INTERRUPTED,
    VARIABLE,
    Progress,
    count,
    duration,
)
from ansible_collections.cloudops.alibaba.tests.unit.fakes import FakeClock, Lines


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (119.4, "119 s"), (120, "2 min"), (7140, "119 min"), (7200, "2 h"), (9000, "2 h 30 min")],
)
def test_durations_read_well(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_one_is_no_plural() -> None:
    assert (count(1, "host"), count(2, "host"), count(0, "host")) == ("1 host", "2 hosts", "0 hosts")


def test_updates_come_when_they_are_new_and_at_most_every_ten_seconds() -> None:
    clock = FakeClock()
    progress = Lines(clock)
    for number in range(31):
        progress.update(f"{number // 7} of 5")
        clock.sleep(1)
    assert progress.lines == ["0 of 5", "1 of 5", "2 of 5", "4 of 5"]


def test_a_pipe_that_nobody_reads_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setenv(VARIABLE, str(pipe))
    Progress(FakeClock()).say("hello")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    Progress(FakeClock()).say("hello")
    assert os.read(reader, 100) == b"hello\n"
    os.close(reader)


def test_what_is_shown_when_interrupted_is_the_outermost_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setenv(VARIABLE, str(pipe))
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    progress = Progress(FakeClock())
    with suppress(ValueError), progress.when_interrupted("a restart goes on"):
        with progress.when_interrupted("a probe goes on"):
            pass
        raise ValueError
    lines = os.read(reader, 65536).decode().splitlines()
    os.close(reader)
    assert lines == [INTERRUPTED + line for line in [*["a restart goes on"] * 3, ""]]


def test_a_line_is_shown_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "pipe"))
    progress = Progress(FakeClock(), quiet=lambda line: line.replace("secret", "***"))
    progress.say("run secret")
    with progress.when_interrupted("start again as secret"):
        assert os.read(reader, 1000) == f"run ***\n{INTERRUPTED}start again as ***\n".encode()
    os.close(reader)
