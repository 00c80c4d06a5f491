# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter patch_left_out; its documentation is in the YAML file beside it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import Any

from ansible import context
from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display

from ..plugin_utils._documents import read_document

_NOBODY = "!all"  # not an empty pattern, which Ansible refuses in words of its own


def patch_left_out(folder: Any) -> str:
    """A pattern of the hosts that the report in a folder calls left out, and a line that names them.

    Raises AnsibleFilterError, also when no folder is given; only whoever checks the syntax of a playbook need not.
    """
    if not folder:
        if context.CLIARGS.get("syntax"):
            return _NOBODY
        raise AnsibleFilterError(
            "patch_hosts_report_dir is not set: give the folder with the report of the run whose hosts are to be put "
            "back. Nothing was done."
        )
    path = os.path.join(os.path.expanduser(str(folder)), "report.json")
    try:
        left_out = read_document(path, "left_out")["left_out"]
    except OSError as error:
        raise AnsibleFilterError(
            f"patch_hosts_report_dir: cannot read {path}: {error.strerror}. Give the folder with the report of the run."
        ) from None  # Ansible would tell the reason twice
    except ValueError:
        raise AnsibleFilterError(f"patch_hosts_report_dir: {path} is not the report of a patch run.") from None
    _say(f"Left out of service by {path}: {', '.join(left_out) or 'nobody, so there is nothing to put back'}")
    return ",".join(left_out) or _NOBODY


@cache
def _say(line: str) -> None:
    """Once: Ansible asks for the hosts of each play, and more than once."""
    Display().display(f"\n{line}")


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"patch_left_out": patch_left_out}
