# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of the collection and what they say about themselves."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from end_to_end.clouds import ROOT

PREFIX = "cloudops.alibaba."


@dataclass(frozen=True)
class Module:
    """A module's name and its three blocks of documentation."""

    name: str
    documentation: dict[str, Any]
    examples: list[dict[str, Any]]
    returns: dict[str, Any]

    def __str__(self) -> str:
        return self.name


def _read(path: Path) -> Module:
    """Read the blocks without importing the module."""
    blocks: dict[str, Any] = {}
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            (target,) = statement.targets
            blocks[ast.unparse(target)] = yaml.safe_load(statement.value.value)
    return Module(path.stem, blocks["DOCUMENTATION"], blocks["EXAMPLES"], blocks["RETURN"])


# They run on the hosts that tasks are for, where they may start and stop things; the others run on the controller.
ON_HOSTS = {PREFIX + "cloud_assistant_service"}
MODULES = {PREFIX + path.stem: _read(path) for path in sorted((ROOT / "plugins" / "modules").glob("*.py"))}
