# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter patch_left_out; its documentation is in the YAML file beside it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ..plugin_utils._documents import read_document


def patch_left_out(folder: Any) -> str:
    """A pattern of the hosts that the report in a folder calls left out; raises AnsibleFilterError."""
    if not folder:
        return "patch_hosts_report_dir_is_not_set"  # Ansible names a pattern that matches nobody
    path = os.path.join(os.path.expanduser(str(folder)), "report.json")
    try:
        left_out = read_document(path, "left_out")["left_out"]
    except OSError as error:
        raise AnsibleFilterError(
            f"patch_hosts_report_dir: cannot read {path}: {error.strerror}. Give the folder with the report of the run."
        ) from None  # Ansible would tell the reason twice
    except ValueError:
        raise AnsibleFilterError(f"patch_hosts_report_dir: {path} is not the report of a patch run.") from None
    # Not an empty pattern, which Ansible refuses in words of its own.
    return ",".join(left_out) or "!all"


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"patch_left_out": patch_left_out}
