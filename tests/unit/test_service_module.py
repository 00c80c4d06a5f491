# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's edge, and the Pythons that it has to work with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import vermin
from ansible.module_utils.testing import patch_module_args
from ansible_collections.cloudops.alibaba.plugins.module_utils._service.shapes import Wanted
from ansible_collections.cloudops.alibaba.plugins.modules import cloud_assistant_service

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
SHIPPED = [
    PLUGINS / "modules" / "cloud_assistant_service.py",
    PLUGINS / "module_utils" / "_waiting.py",
    *sorted((PLUGINS / "module_utils" / "_service").glob("*.py")),
]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_it_runs_on_the_oldest_python_that_ansible_core_manages(path: Path) -> None:
    """ansible-core 2.19 manages hosts with Python 3.8 and later, and the controller is not where this module runs."""
    _python2, python3 = vermin.detect(path.read_text(encoding="utf-8"))
    assert python3 is None or python3 <= (3, 8)


@pytest.mark.parametrize("failed", [False, True])
def test_the_edge(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failed: bool) -> None:
    asked: list[Any] = []

    def ensure(host: Any, clock: Any, wanted: Wanted, *, timeout_s: float, dry: bool) -> dict[str, Any]:
        asked.append((wanted, timeout_s, dry))
        return {"changed": True, "msg": "Words."} | ({"failed": True} if failed else {})

    monkeypatch.setattr(cloud_assistant_service, "ensure_service", ensure)
    arguments = {"state": "stopped", "enabled": False, "force": True, "_ansible_check_mode": True}
    with patch_module_args(arguments), pytest.raises(SystemExit) as end:
        cloud_assistant_service.main()
    assert asked == [(Wanted("stopped", False, True), 120, True)]
    result = json.loads(capsys.readouterr().out)
    assert (end.value.code, result.get("failed", False), result["msg"]) == (int(failed), failed, "Words.")
