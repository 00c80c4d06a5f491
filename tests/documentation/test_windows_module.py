# SPDX-License-Identifier: GPL-3.0-or-later
"""The Windows side of cloud_assistant_service, as far as it can be known without Windows: that it parses, and that its
options, results and documentation are those of the Linux side.
"""

from __future__ import annotations

import re
import runpy
from typing import Any

import pytest
import yaml
from documentation.modules import MODULES, PREFIX
from end_to_end.clouds import ROOT

LINUX, WINDOWS = "cloud_assistant_service", "win_cloud_assistant_service"
POWERSHELL = runpy.run_path(str(ROOT / "tests" / "tools" / "powershell.py"))
SCRIPTS = sorted(path for folder in ("plugins", "roles") for path in (ROOT / folder).rglob("*.ps1"))
SCRIPT = (ROOT / "plugins" / "modules" / f"{WINDOWS}.ps1").read_text(encoding="utf-8")
SIDECAR: dict[str, Any] = yaml.safe_load((ROOT / "plugins" / "modules" / f"{WINDOWS}.yml").read_text(encoding="utf-8"))
OPTIONS: dict[str, Any] = yaml.safe_load(
    runpy.run_path(str(ROOT / "plugins" / "doc_fragments" / "_service.py"))["ModuleDocFragment"].DOCUMENTATION
)["options"]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_the_script_is_powershell(path: Any) -> None:
    assert POWERSHELL["syntax_errors"](path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("wrong", ["if ($x { 'a' }", "$x = @{ a = 1", "if ($x) { 1 } }", "$x = 'a"])
def test_what_is_no_powershell_is_found(wrong: str) -> None:
    assert POWERSHELL["syntax_errors"](f"$ok = 1\n{wrong}\n")


def test_the_options_are_those_that_are_documented_for_both() -> None:
    spec = POWERSHELL["argument_spec"](SCRIPT)
    assert spec["supports_check_mode"] is True
    documented = {
        name: {key: option[key] for key in ("type", "choices", "default") if key in option}
        for name, option in OPTIONS.items()
    }
    assert spec["options"] == documented


def test_it_returns_what_the_linux_side_returns() -> None:
    returned = set(re.findall(r"\$module\.Result\.(\w+) =", SCRIPT)) - {"changed", "msg"}
    assert returned == set(SIDECAR["RETURN"]) == set(MODULES[PREFIX + LINUX].returns)
    types = {name: entry["type"] for name, entry in MODULES[PREFIX + LINUX].returns.items()}
    assert {name: entry["type"] for name, entry in SIDECAR["RETURN"].items()} == types


def test_the_states_are_those_of_the_linux_side() -> None:
    states = set(re.findall(r"'(started|stopped|starting|stopping|absent)'", SCRIPT))
    (documented,) = [MODULES[PREFIX + LINUX].returns["state"]["description"]]
    assert states | {"failed"} == set(re.findall(r"V\((\w+)\)", documented[0]))


def test_the_examples_use_the_options() -> None:
    for task in yaml.safe_load(SIDECAR["EXAMPLES"]):
        assert task[PREFIX + WINDOWS].keys() <= OPTIONS.keys()


def test_the_documentation_says_that_it_has_not_run_on_windows() -> None:
    assert "has not run on a real Windows yet" in " ".join(SIDECAR["DOCUMENTATION"]["description"])
    assert "has not run on a real Windows" in " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
