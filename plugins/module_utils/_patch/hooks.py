# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""The task files of the user's that the role runs for each host on the controller."""

from __future__ import annotations

import os
from collections.abc import Mapping

from .._sdk.errors import BadInput

HOOKS = ("before", "health", "after")


def check_hooks(hooks: Mapping[str, str | None], mode: str) -> dict[str, str]:
    """Those that run, by their moment; raises :class:`BadInput` when one is not there.

    ``mode`` is patch, assess (then none runs) or put_back: that begins with a host that has been taken out.
    """
    moments = {"patch": HOOKS, "assess": (), "put_back": ("health", "after")}[mode]
    given = {moment: path for moment, path in hooks.items() if path and moment in moments}
    if mode == "put_back" and "after" not in given:
        raise BadInput(
            "patch_hosts_hooks.after is not set, and it is what puts a host back: give the hooks of the run. "
            "Nothing was done."
        )
    for moment, path in given.items():
        if not os.path.isfile(path):
            raise BadInput(
                f"patch_hosts_hooks.{moment}: there is no file {path} on the controller. A relative path is looked for "
                "beside the playbook and in the working directory. Nothing was done."
            )
    return given
