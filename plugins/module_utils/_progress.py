# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Progress lines of a wait, from the module to the action plugin that shows them.

The action plugin names a pipe in the environment. Without one (``async``, or a module run by hand) progress goes
nowhere. Lines hold ids, counts and times, never contents; a secret that was given in place of an id is taken out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ._waiting import Clock

VARIABLE = "CLOUDOPS_ALIBABA_PROGRESS"
# Begins a line that is kept for an interruption; such a line alone means that there is nothing to say any more.
INTERRUPTED = "\x1a"
LEAST_PAUSE_S = 10.0


class Progress:
    """Says something when it is new, at most every ten seconds; ``quiet`` takes secrets out of a line."""

    def __init__(self, clock: Clock, *, enabled: bool = True, quiet: Callable[[str], str] = str) -> None:
        self._clock = clock
        self._quiet = quiet
        self._pipe = os.environ.get(VARIABLE) if enabled else None
        self._last_line = ""
        self._last_time: float | None = None
        self._when_interrupted = ""

    def say(self, line: str) -> None:
        """Show a line now."""
        self._last_line, self._last_time = line, self._clock.monotonic()
        self._write(line)

    @contextmanager
    def when_interrupted(self, line: str) -> Iterator[None]:
        """While this lasts, the line is what is shown when somebody ends Ansible with Ctrl-C.

        Inside another one it says nothing: what that one is about matters more.
        """
        before = self._when_interrupted
        self._when_interrupted = before or line
        self._write(INTERRUPTED + self._when_interrupted)
        try:
            yield
        finally:
            self._when_interrupted = before
            self._write(INTERRUPTED + before)

    def _write(self, line: str) -> None:
        if self._pipe:
            try:
                descriptor = os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)
                try:
                    os.write(descriptor, self._quiet(line).encode() + b"\n")
                finally:
                    os.close(descriptor)
            except OSError:
                self._pipe = None  # nobody reads any more: progress is a courtesy

    def update(self, line: str) -> None:
        """Show a line if it says something new and the last one is old enough."""
        if line == self._last_line:
            return
        if self._last_time is not None and self._clock.monotonic() - self._last_time < LEAST_PAUSE_S:
            return
        self.say(line)


def count(number: int, noun: str) -> str:
    """``1 instance``, ``2 instances``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``2 h``, ``2 h 30 min``."""
    if seconds < 120:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    rest = f" {minutes % 60} min" if minutes % 60 else ""
    return f"{minutes // 60} h{rest}"
