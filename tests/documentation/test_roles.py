# SPDX-License-Identifier: GPL-3.0-or-later
"""A role's README, its argument_specs and its defaults say the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from end_to_end.clouds import ROOT
from tools.role_readme import main


def test_the_tables_of_the_readmes_are_those_of_the_argument_specs(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--check"])
    assert status == 0, capsys.readouterr().out


@pytest.mark.parametrize("role", sorted((ROOT / "roles").iterdir()), ids=lambda role: role.name)
def test_the_defaults_are_those_of_the_argument_specs(role: Path) -> None:
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text(encoding="utf-8"))
    options = [option for entry in specs.values() for option in entry["options"].items()]
    unknown = [name for name in defaults if name not in dict(options)]
    assert not unknown
    differing = [name for name, option in options if option.get("default") != defaults.get(name)]
    assert not differing
