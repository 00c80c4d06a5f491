# SPDX-License-Identifier: GPL-3.0-or-later
"""What several files say about the collection is the same in all of them."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from alibabacloud_ecs20140526 import models
from documentation.modules import MODULES, PREFIX
from documentation.permissions import PERMISSIONS
from end_to_end.clouds import ROOT

RUNTIME: dict[str, Any] = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))


def plugins(kind: str) -> list[str]:
    return sorted(path.stem for path in (ROOT / "plugins" / kind).glob("[!_]*.py"))


def test_the_action_group_has_all_modules_that_connect_to_the_api() -> None:
    connecting = [
        module.name
        for module in MODULES.values()
        if PREFIX + "_connection" in module.documentation.get("extends_documentation_fragment", [])
    ]
    assert RUNTIME["action_groups"]["ecs"] == connecting


def test_the_readme_names_the_permissions_of_all_modules_that_connect_to_the_api() -> None:
    assert list(PERMISSIONS) == [PREFIX + name for name in RUNTIME["action_groups"]["ecs"]]
    unknown = {
        action for actions in PERMISSIONS.values() for action in actions if not hasattr(models, f"{action}Request")
    }
    assert not unknown


def test_every_module_has_an_action_and_every_action_a_module() -> None:
    assert plugins("action") == plugins("modules")


def test_redirections_lead_somewhere() -> None:
    lost = [
        f"{kind} {name} -> {entry['redirect']}"
        for kind, entries in RUNTIME.get("plugin_routing", {}).items()
        for name, entry in entries.items()
        if "redirect" in entry and entry["redirect"].removeprefix(PREFIX) not in plugins(kind)
    ]
    assert not lost


def test_execution_environments_get_the_requirements_of_the_readme() -> None:
    environment = yaml.safe_load((ROOT / "meta" / "execution-environment.yml").read_text(encoding="utf-8"))
    requirements = environment["dependencies"]["python"]
    assert (ROOT / requirements).is_file()
    assert f"-r {requirements}" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "places",
    [
        pytest.param(
            {
                "galaxy.yml": r"^version: (\S+)",
                "extensions/simulator/pyproject.toml": r'^version = "(.+)"',
                "extensions/simulator/ecs_simulator/__init__.py": r'^__version__ = "(.+)"',
                "CHANGELOG.md": r"\A(?s:.*?)^## v?(\S+)",  # the newest stands first
            },
            id="version",
        ),
        pytest.param(
            {
                "meta/runtime.yml": r'^requires_ansible: ">=2\.(\d+)\.0"',
                "roles/patch_hosts/meta/main.yml": r'min_ansible_version: "2\.(\d+)"',
                "README.md": r"ansible-core 2\.(\d+)",
                "Makefile": r"ansible-core>=2\.(\d+)",
            },
            id="ansible-core",
        ),
        pytest.param(
            {
                "pyproject.toml": r'"(?:py3|3\.)(\d+)"',
                "extensions/simulator/pyproject.toml": r'^requires-python = ">=3\.(\d+)"',
                "Makefile": r"Python (?:from )?3\.(\d+)|version_info < \(3, (\d+)\)",
                "README.md": r"Python 3\.(\d+)",
                "extensions/simulator/README.md": r"Python 3\.(\d+)",
                "tests/config.yml": r'python_requires: ">=3\.(\d+)"',
            },
            id="python",
        ),
        pytest.param(
            {
                "requirements.txt": r"^alibabacloud_ecs20140526>=(\S+)",
                "plugins/doc_fragments/_connection.py": r"alibabacloud_ecs20140526 >= ([\d.]+)",
            },
            id="sdk",
        ),
        pytest.param(
            {
                "requirements.txt": r"^alibabacloud_tea_openapi>=(\S+)",
                "plugins/doc_fragments/_connection.py": r"alibabacloud_tea_openapi >= ([\d.]+)",
            },
            id="sdk-core",
        ),
    ],
)
def test_versions_agree(places: dict[str, str]) -> None:
    found = {
        path: {
            next(filter(None, match.groups())).replace("\\", "")  # generated Markdown escapes dots
            for match in re.finditer(pattern, (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
        }
        for path, pattern in places.items()
    }
    versions = set.union(*found.values())
    assert len(versions) == 1 and all(found.values()), found
