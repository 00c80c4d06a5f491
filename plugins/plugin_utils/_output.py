# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Lines leave Ansible as they come, also when its output is a pipe or a file.

``Display`` writes into Python's buffer and leaves it to the system when that is flushed: for what is no terminal, when
8 KiB are full or the run is over. Who follows a run in CI, or with tee, would see a wait's progress after the wait.
"""

from __future__ import annotations

import io
import sys


def flush_each_line() -> None:
    """Of the process that prints, which is Ansible's main process."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
