# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Running a module once for a whole batch of hosts."""

from __future__ import annotations

import os
from typing import Any

from ._controller import ControllerAction

# roles/patch_hosts/files, where the step runners are.
_RUNNER_DIR = os.path.join(os.path.dirname(__file__), *[os.pardir] * 2, "roles", "patch_hosts", "files")


class BatchAction(ControllerAction):
    """Linear runs it once and registers the result for all hosts (with ``run_once: true`` on the task).

    Strategies without batches (free, host_pinned) refuse such an action before anything happens.
    """

    BYPASS_HOST_LOOP = True


class PatchAction(BatchAction):
    """A batch action that needs the step runners."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        self._task.args.setdefault("runner_dir", os.path.normpath(_RUNNER_DIR))
        return super().run(tmp, task_vars)
