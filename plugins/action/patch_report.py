# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""patch_report runs in Ansible's own process: it only reads variables, shows a table and writes a file."""

from __future__ import annotations

import os
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._patch.report import build_report, table
from ..plugin_utils._documents import read_document, write_document

display = Display()


class ActionModule(ActionBase):
    """Once for all hosts."""

    BYPASS_HOST_LOOP = True
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(
            {"results": {"type": "dict", "required": True}, "stopped": {"type": "dict"}, "dest": {"type": "path"}}
        )
        report = build_report(arguments["results"], arguments["stopped"], _left_out_before(arguments["dest"]))
        for line in ["", *table(report), ""]:
            display.display(line)
        result |= {
            "changed": False,
            **{key: report[key] for key in ("run_id", "counts", "failed_hosts", "left_out", "stopped")},
        }
        if arguments["dest"]:
            result["report"] = os.path.join(arguments["dest"], "report.json")
            if not self._task.check_mode:
                write_document(result["report"], report)
        return result


def _left_out_before(folder: str | None) -> list[str]:
    """The hosts that the report in a folder calls left out; none when there is no report, or something else."""
    try:
        return list(read_document(os.path.join(folder, "report.json"), "left_out")["left_out"]) if folder else []
    except (OSError, ValueError):
        return []
