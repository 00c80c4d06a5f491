# SPDX-License-Identifier: GPL-3.0-or-later
"""Code blocks of Markdown files, and what becomes of each.

A block of ``sh`` runs, and one of ``text`` only shows something. For what else there is, a comment on the line before
it says what it is; readers of the page do not see it.

    <!-- file: inventory.yml -->             it is this file, for the blocks that run
    <!-- not run: needs a real account -->   it is not run, for this reason
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"(```+|~~~+)(.*)")
_MARK = re.compile(r"<!-- (file|not run): (\S.*) -->")
_FATES = {"sh": "run", "text": "show"}


@dataclass(frozen=True)
class Block:
    """A fenced block; ``words`` are the file's name, or why it is not run."""

    line: int
    text: str
    fate: str | None
    """One of run, show, file and not run; None is what no block may have."""
    words: str = ""


def read_blocks(path: Path) -> Iterator[Block]:
    """The blocks of a file, indented ones too: their language is not known, and so neither is their fate."""
    lines = ["", *path.read_text(encoding="utf-8").splitlines()]
    number = 1
    while number < len(lines):
        first = number
        fence = _FENCE.fullmatch(lines[first])
        if fence:
            number = lines.index(fence[1], first + 1)
            text = "\n".join(lines[first + 1 : number])
            mark = _MARK.fullmatch(lines[first - 1])
            yield Block(first, text, mark[1], mark[2]) if mark else Block(first, text, _FATES.get(fence[2]))
        elif lines[first].startswith("    ") and not lines[first - 1]:
            yield Block(first, lines[first], None)
        number += 1
