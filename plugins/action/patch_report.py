# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""patch_report runs in Ansible's own process: it only reads variables, shows a table and writes a file."""

from __future__ import annotations

import os
from typing import Any

from ..module_utils._patch.report import build_report, table
from ..plugin_utils._documents import DocumentAction, read_document


class ActionModule(DocumentAction):
    """Once for all hosts."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(
            {"results": {"type": "dict", "required": True}, "stopped": {"type": "dict"}, "dest": {"type": "path"}}
        )
        report = build_report(arguments["results"], arguments["stopped"], _left_out_before(arguments["dest"]))
        told = {key: report[key] for key in ("run_id", "counts", "failed_hosts", "left_out", "stopped")}
        return result | {"changed": False, **told} | self._publish(table(report), report, "report", arguments["dest"])


def _left_out_before(folder: str | None) -> list[str]:
    """The hosts that the report in a folder calls left out; none when there is no report, or something else."""
    try:
        return list(read_document(os.path.join(folder, "report.json"), "left_out")["left_out"]) if folder else []
    except (OSError, ValueError):
        return []
