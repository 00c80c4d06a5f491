# SPDX-License-Identifier: GPL-3.0-or-later
"""One name, and the host's shell says which module it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.loader import shell_loader
from ansible_collections.cloudops.alibaba.plugins.action.cloud_assistant_service import ActionModule


@pytest.mark.parametrize(
    ("shell", "module"),
    [
        ("sh", "cloud_assistant_service"),
        ("powershell", "win_cloud_assistant_service"),
        ("cmd", "win_cloud_assistant_service"),
    ],
)
@pytest.mark.parametrize("seconds", [0, 30])
def test_the_shell_says_which_module(monkeypatch: pytest.MonkeyPatch, shell: str, module: str, seconds: int) -> None:
    ran: list[dict[str, Any]] = []
    removed: list[Any] = []
    monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda self, tmp, task_vars: {})
    monkeypatch.setattr(ActionModule, "_execute_module", lambda self, **call: ran.append(call) or {"changed": True})
    monkeypatch.setattr(ActionModule, "_remove_tmp_path", lambda self, path: removed.append(path))
    action = ActionModule.__new__(ActionModule)
    action._task = SimpleNamespace(async_val=seconds)
    action._connection = SimpleNamespace(_shell=shell_loader.get(shell))
    assert action.run(None, {"a": 1}) == {"changed": True}
    assert ran == [{"module_name": f"cloudops.alibaba.{module}", "task_vars": {"a": 1}, "wrap_async": seconds}]
    # An asynchronous job still needs its folder.
    assert len(removed) == (0 if seconds else 1)
