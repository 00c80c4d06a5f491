# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What a worker says when Ansible ends under it: once interrupted, Ansible shows nothing more that workers send it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


def _copy_of_errors() -> int | None:
    try:
        return os.dup(2)
    except OSError:
        return None  # closed: nobody listens


# A strategy loads an action's class, and with it this file, in the main process, before it starts a worker for the
# task; the worker then gives its own error output away. A copy, because a file that is opened twice is written over.
_ERRORS = _copy_of_errors()


class LastWords:
    """The line that a module has asked to show if it is interrupted; it is shown once."""

    def __init__(self) -> None:
        self.line = ""

    def say(self) -> None:
        """Show it on the error output of Ansible's main process."""
        line, self.line = self.line, ""
        if line and _ERRORS is not None:
            # Whoever read it may have gone too.
            with suppress(OSError):
                os.write(_ERRORS, f"    {line}\n".encode())

    @contextmanager
    def said_when_interrupted(self) -> Iterator[None]:
        """Say it before Ansible's own handler ends this worker, and the module with it."""

        def interrupted(number: int, frame: Any) -> None:
            self.say()
            if callable(before):
                before(number, frame)

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, interrupted)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
