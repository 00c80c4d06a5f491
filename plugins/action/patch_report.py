# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""patch_report runs in Ansible's own process: it only reads variables, shows a table and writes a file."""

from __future__ import annotations

import os
import time
from typing import Any

from ..module_utils._patch.report import build_report, put_back, table, was_begun, with_put_back
from ..module_utils._sdk.shapes import format_time
from ..plugin_utils._documents import DocumentAction, read_document, write_document

_SPEC: dict[str, dict[str, Any]] = {
    "results": {"type": "dict", "required": True},
    "stopped": {"type": "dict"},
    "put_back": {"type": "bool", "default": False},
    "dest": {"type": "path"},
}


class ActionModule(DocumentAction):
    """Once for all hosts."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(_SPEC)
        results, folder = arguments["results"], arguments["dest"]
        before = _read(folder)
        if arguments["put_back"]:
            results = put_back(results)
        report = build_report(results, arguments["stopped"], before.get("left_out", ()))
        told = {key: report[key] for key in ("run_id", "counts", "failed_hosts", "left_out", "stopped")}
        result |= {"changed": False, **told}
        if before and not was_begun(report):
            folder = None  # that would be put in the place of a report that has something to tell
        if not arguments["put_back"]:
            return result | self._publish(table(report), report, "report", folder)
        if folder and not self._task.check_mode:
            document = with_put_back(before, report, format_time(time.time()) or "")
            write_document(os.path.join(folder, "report.json"), document)
        return result | self._publish(table(report), report, "report", folder and os.path.join(folder, "put_back"))


def _read(folder: str | None) -> dict[str, Any]:
    """The report that is in a folder; empty when there is none, or something else."""
    try:
        return read_document(os.path.join(folder, "report.json"), "left_out") if folder else {}
    except (OSError, ValueError):
        return {}
