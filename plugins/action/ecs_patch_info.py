# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ecs_patch_info runs on the controller, once for a batch."""

from __future__ import annotations

import os
from typing import Any

from ..plugin_utils._batch import BatchAction


class ActionModule(BatchAction):
    """Once per batch."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        hooks = self._task.args.get("hooks")
        if isinstance(hooks, dict):
            self._task.args["hooks"] = {moment: self._find_hook(path) for moment, path in hooks.items()}
        # Which variables do not have.
        self._task.args.setdefault("serial", self._task.get_play().serial)
        return super().run(tmp, task_vars)

    def _find_hook(self, path: Any) -> Any:
        """An absolute path, of the file beside the playbook or else of the one in the working directory.

        Not where Ansible would look for a task file of ours: a hook may be called like one of the role's own.
        """
        if not isinstance(path, str) or not path:
            return path
        beside, here = (
            os.path.join(folder, os.path.expanduser(path)) for folder in (self._loader.get_basedir(), os.getcwd())
        )
        return beside if os.path.isfile(beside) else os.path.abspath(here)
