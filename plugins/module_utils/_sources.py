# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Reading files on the controller."""

from __future__ import annotations

from pathlib import Path

from ._sdk.errors import BadInput


def read_source(path: str, what: str) -> str:
    """The text of a file; raises :class:`BadInput` that begins with ``what`` was to be read."""
    try:
        return read_bytes(path, what).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{what}: cannot read {path}: it is not UTF-8.") from error


def read_bytes(path: str, what: str) -> bytes:
    """What is in a file, text or not; the same holds for errors."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise BadInput(f"{what}: cannot read {path}: {error.strerror}.") from error
