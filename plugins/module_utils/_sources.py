# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Reading scripts from files on the controller."""

from __future__ import annotations

from pathlib import Path

from ._sdk.errors import BadInput


def read_source(path: str, what: str) -> str:
    """The text of a file; raises :class:`BadInput` that begins with ``what`` was to be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadInput(f"{what}: cannot read {path}: {reason}.") from error
