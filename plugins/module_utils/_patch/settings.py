# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What else a run is given, looked at before anything is done: the names of variables, the folder of the report."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from .._sdk.errors import BadInput

VARIABLES_SPEC: dict[str, dict[str, Any]] = {
    "given": {"type": "list", "elements": "str", "default": []},
    "known": {"type": "list", "elements": "str", "default": []},
}
_PREFIX = "patch_hosts_"


def check_variables(variables: Mapping[str, Sequence[str]]) -> None:
    """Raise :class:`BadInput` for names among ``given`` that are not ``known``, with what may have been meant."""
    known = variables.get("known") or []
    unknown = sorted(set(variables.get("given") or []).difference(known))
    if not unknown:
        return
    named = [name + _meant(name, known) for name in unknown]
    they_are = "This is no variable" if len(named) == 1 else "These are no variables"
    raise BadInput(
        f"{they_are} of the role patch_hosts: {', '.join(named)}. Mend the name; one of your own must begin otherwise. "
        "Nothing was done."
    )


def _meant(name: str, known: Sequence[str]) -> str:
    """The name that is most alike; that all begin with the name of the role makes none of them alike."""
    close = difflib.get_close_matches(name.removeprefix(_PREFIX), [one.removeprefix(_PREFIX) for one in known], n=1)
    return f" (do you mean {_PREFIX}{close[0]}?)" if close else ""


def check_report_dir(folder: str) -> None:
    """Raise :class:`BadInput` unless a file can be written into a folder, which need not be there yet."""
    path = os.path.abspath(folder)
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    if not os.path.isdir(path):
        why = f"{path} is not a folder"
    elif not os.access(path, os.W_OK | os.X_OK):
        why = f"{path} cannot be written into by this user"
    else:
        return
    raise BadInput(f"patch_hosts_report_dir: no report can be written into {folder}: {why}. Nothing was done.")
