# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""A run that is killed asks nothing more of hosts.

Since ansible-core 2.19 a worker leads a process group of its own (``WorkerProcess._detach``), which the modules are in
that it runs here. So neither ``kill -9`` of ansible-playbook nor of its process group reaches them: the module goes on.
"""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def ended_with_ansible(before_that: Callable[[], None]) -> Iterator[None]:
    """End this worker, and the module in it, when Ansible's main process is gone; on Linux, elsewhere nothing.

    ``before_that`` is called first: a main process that ends quickly leaves the worker no time to be interrupted.
    """
    ansible = _await_able()
    if ansible is None:
        yield
        return
    stop_read, stop_write = os.pipe()
    thread = threading.Thread(target=_end_with, args=(ansible, stop_read, before_that), daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.write(stop_write, b".")
        thread.join()
        for descriptor in (ansible, stop_read, stop_write):
            os.close(descriptor)


def _await_able() -> int | None:
    """A descriptor that is readable once Ansible's main process is gone."""
    ansible = multiprocessing.parent_process()
    # Whoever does not lead the group has others in it, and those are not ours to end.
    if ansible is None or ansible.pid is None or os.getpgrp() != os.getpid():
        return None
    try:
        return os.pidfd_open(ansible.pid)
    except ProcessLookupError:
        _end_group()  # it went before we looked
    except (AttributeError, OSError):
        pass  # not on Linux, or on an old one
    return None


def _end_with(ansible: int, stop: int, before_that: Callable[[], None]) -> None:
    readable, _writable, _errors = select.select([ansible, stop], [], [])
    if stop not in readable:
        before_that()
        _end_group()


def _end_group() -> None:
    # Not a signal that can be handled: a module that may say goodbye may also ask for something more.
    os.killpg(os.getpgrp(), signal.SIGKILL)
