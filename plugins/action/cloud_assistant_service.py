# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cloud_assistant_service is one name for two modules, and the host's shell says which.

A .ps1 beside a .py of the same name would not do: ansible-core then takes the .ps1 on Linux, too.
"""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

_LINUX, _WINDOWS = "cloudops.alibaba.cloud_assistant_service", "cloudops.alibaba.win_cloud_assistant_service"


class ActionModule(ActionBase):
    """Runs the module for the host's operating system, on the host."""

    _supports_async = True
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        module = _WINDOWS if getattr(self._connection._shell, "_IS_WINDOWS", False) else _LINUX
        try:
            return result | self._execute_module(
                module_name=module, task_vars=task_vars, wrap_async=self._task.async_val
            )
        finally:
            if not self._task.async_val:
                self._remove_tmp_path(self._connection._shell.tmpdir)
