# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's table of settings is what the code says of them, and every setting is read from a fleet file."""

import ast
import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from ecs_simulator.errors import FleetError
from ecs_simulator.fleet_reader import Reader
from ecs_simulator.fleet_settings import Settings, read_settings

README = Path(__file__).parents[1] / "README.md"
HEADING = "| Setting | Default | |\n| --- | --- | --- |\n"
DEFAULTS = {setting.name: setting.default for setting in fields(Settings)}


def row(name: str, text: str) -> str:
    default = yaml.safe_dump(DEFAULTS[name]).removesuffix("...\n").strip()
    return f"| `{name}` | `{default}` | {' '.join(text.split()).replace('``', '`')} |\n"


def explained() -> dict[str, str]:
    """The text after each field of the class."""
    [the_class] = ast.parse(inspect.getsource(Settings)).body
    assert isinstance(the_class, ast.ClassDef)
    found = {}
    for field, text in zip(the_class.body, the_class.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            found[ast.unparse(field.target)] = str(text.value.value)
    return found


def test_the_table_in_the_readme_is_what_the_code_says() -> None:
    texts = explained()
    assert list(texts) == list(DEFAULTS), "each setting needs its text"
    table = HEADING + "".join(row(name, text) for name, text in texts.items())
    found = README.read_text(encoding="utf-8").partition(HEADING)[1:]
    assert "".join(found).partition("\n\n")[0] + "\n" == table, f"put this into the README:\n{table}"


OTHER: dict[type, Any] = {bool: lambda value: not value, str: lambda value: value + "x"}


@pytest.mark.parametrize("name", DEFAULTS)
def test_each_setting_is_read(name: str) -> None:
    default = DEFAULTS[name]
    other = OTHER.get(type(default), lambda value: value + 1)(default)
    assert getattr(read_settings(Reader({name: other})), name) == other
    with pytest.raises(FleetError, match=f"settings.{name} must be "):
        read_settings(Reader({name: []}, "settings"))
