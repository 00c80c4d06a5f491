# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""The task files of the user's that the role runs for each host on the controller."""

from __future__ import annotations

import os
from collections.abc import Mapping

from .._sdk.errors import BadInput

HOOKS = ("before", "health", "after")


def check_hooks(hooks: Mapping[str, str | None]) -> dict[str, str]:
    """Those that are given, by their moment; raises :class:`BadInput` when one is not there."""
    given = {moment: path for moment, path in hooks.items() if path}
    for moment, path in given.items():
        if not os.path.isfile(path):
            raise BadInput(
                f"hooks.{moment}: there is no file {path} on the controller. A relative path is looked for beside the "
                "playbook and in the working directory."
            )
    return given
