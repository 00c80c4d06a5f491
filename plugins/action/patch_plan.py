# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""patch_plan runs in Ansible's own process: it reads variables and files, shows a table and writes a file."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils._patch.plan import Expectation, build_plan, plan_table
from ..module_utils._sdk.errors import BadInput
from ..module_utils._sdk.shapes import format_time
from ..plugin_utils._documents import DocumentAction, read_document

_SPEC: dict[str, dict[str, Any]] = {
    "results": {"type": "dict", "required": True},
    "batches": {"type": "list", "elements": "raw", "required": True},
    "targets": {"type": "str", "required": True},
    "members": {"type": "list", "elements": "str", "required": True},
    "max_unavailable": {"type": "dict", "default": {}},
    "patch_time": {"type": "int", "default": 300},
    "restart_time": {"type": "int", "default": 180},
    "earlier_report": {"type": "path"},
    "dest": {"type": "path"},
}


class ActionModule(DocumentAction):
    """Once for all hosts."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(_SPEC)
        earlier = _earlier(arguments["earlier_report"])
        try:
            plan = build_plan(
                arguments["results"],
                sizes=arguments["batches"],
                targets=arguments["targets"],
                members=arguments["members"],
                made_at=format_time(time.time()) or "",
                expectation=Expectation(arguments["patch_time"], arguments["restart_time"], earlier),
                max_unavailable=arguments["max_unavailable"],
            )
        except BadInput as error:
            raise AnsibleActionFail(str(error)) from error
        expected = dict(plan["expected"])
        times = zip(plan["batches"], expected.pop("batches_s"), strict=True)
        batches = [{"hosts": batch, "expected_s": seconds} for batch, seconds in times]
        result |= {"changed": False, "batches": batches, "expected": expected}
        return result | self._publish(plan_table(plan), plan, "plan", arguments["dest"])


def _earlier(path: str | None) -> dict[str, Any]:
    """The verdicts of an earlier run's report."""
    if not path:
        return {}
    try:
        hosts: dict[str, Any] = read_document(path, "hosts")["hosts"]
    except OSError as error:
        raise AnsibleActionFail(f"earlier_report: cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise AnsibleActionFail(f"earlier_report: {path} is no report of a run.") from error
    return hosts
