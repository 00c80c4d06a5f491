# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the checkout, for what must not run in it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def copy_tree(target: Path) -> None:
    """Copy what git knows or would add; what was made in an earlier copy (ignored by git) stays."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    # Or the copy would belong to the checkout's git, which ignores it.
    subprocess.run(["git", "init", "-q", str(target)], check=True)
    for name in _names(command, target):
        (target / name).unlink(missing_ok=True)
    for name in _names(command, ROOT):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


def _names(command: list[str], folder: Path) -> list[str]:
    listed = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    return [name for name in listed.split("\0") if name]
