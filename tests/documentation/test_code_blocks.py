# SPDX-License-Identifier: GPL-3.0-or-later
"""The code blocks of all Markdown files run against the simulator, or say why they do not."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from documentation.code_blocks import read_blocks
from end_to_end.clouds import BIN, ROOT, Cloud

DOCUMENTS = {
    str(path.relative_to(ROOT)): list(read_blocks(path))
    for pattern in ("*.md", "docs/**/*.md", "extensions/*/*.md", "roles/*/*.md")
    for path in sorted(ROOT.glob(pattern))
}
COMMANDS = {name: [block for block in blocks if block.fate == "run"] for name, blocks in DOCUMENTS.items()}
FILES = {name: [block for block in blocks if block.fate == "file"] for name, blocks in DOCUMENTS.items()}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_block_runs_or_says_why_not(document: str) -> None:
    lost = [f"{document}:{block.line}: {block.text}" for block in DOCUMENTS[document] if not block.fate]
    assert not lost, "\n".join(["neither sh nor text, and no comment before it says what it is:", *lost])
    unused = [
        f"{document}:{file.line}: no block that runs, and no file, uses {file.words}"
        for file in FILES[document]
        if not any(file.words in user.text for user in COMMANDS[document] + FILES[document])
    ]
    assert not unused, "\n".join(unused)


@pytest.mark.parametrize("document", [name for name, blocks in COMMANDS.items() if blocks])
def test_the_blocks_run(cloud: Cloud, tmp_path: Path, document: str) -> None:
    """In a copy of the repository, one after the other, with the variables of the simulator."""
    clone = tmp_path / "clone"
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(".*", "__pycache__", "*.egg-info"))
    # What `make venv` leaves.
    (clone / ".venv").symlink_to(BIN.parent)
    (clone / ".ansible").symlink_to(ROOT / ".ansible")
    for file in FILES[document]:
        (clone / file.words).write_text(file.text, encoding="utf-8")
    environment = cloud.environment | {
        "PATH": f"{BIN}{os.pathsep}{cloud.environment['PATH']}",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    if document == "README.md":
        # It tells how the collection is installed; the others take that for done.
        del environment["ANSIBLE_COLLECTIONS_PATH"]
    for block in COMMANDS[document]:
        done = subprocess.run(
            ["sh", "-euc", block.text],
            cwd=clone,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{document}:{block.line}: {block.text}\n{done.stdout}"
