# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of the API that the README's table of permissions names for each module."""

from __future__ import annotations

import re

from documentation.modules import PREFIX
from end_to_end.clouds import ROOT

_TABLE = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Permissions")[2].partition("\n## ")[0]

PERMISSIONS: dict[str, set[str]] = {
    PREFIX + module: set(re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", actions))
    for module, actions in re.findall(r"^\| `(\w+)` \| (.*) \|$", _TABLE, re.MULTILINE)
}
