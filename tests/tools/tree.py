# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the checkout, for what must not run in it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def copy_tree(target: Path) -> None:
    """Copy all files that git does not ignore; what was made in an earlier copy and is ignored stays.

    The copy gets an empty repository of its own: the checkout's would ignore it, and need not be there.
    """
    subprocess.run(["git", "init", "-q", str(target)], check=True)
    for name in _files(target, target):
        (target / name).unlink()
    for name in _files(ROOT, target):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target / name)


def _files(folder: Path, repository: Path) -> list[str]:
    command = ["git", f"--git-dir={repository / '.git'}", f"--work-tree={folder}", "ls-files", "-z", "--others"]
    listed = subprocess.run([*command, "--exclude-standard"], cwd=folder, check=True, capture_output=True, text=True)
    return [name for name in listed.stdout.split("\0") if name]
