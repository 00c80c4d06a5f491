# SPDX-License-Identifier: GPL-3.0-or-later
"""Rewrite the tables of variables in the READMEs of all roles from their argument_specs: ``role_readme.py [--check]``.

A README has a place for each entry point of its role, and for each option that is a list of dicts:

    <!-- variables of main: begin -->
    <!-- variables of main: end -->
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]

Options = Mapping[str, Mapping[str, Any]]

_PLACE = re.compile(r"(<!-- variables of (\S+): begin -->\n).*?(<!-- variables of \2: end -->)", re.DOTALL)
# M(cloudops.alibaba.ecs_patch#module), V(auto), O(main:name=value), …
_MARKUP = re.compile(r"\b(?:C|E|M|O|P|RV|V)\(([^)#]*)(?:#\w+)?\)")


def main(arguments: list[str]) -> int:
    """Rewrite what is stale, or with ``--check`` only name it; returns the exit status."""
    problems = [problem for role in sorted((ROOT / "roles").iterdir()) for problem in _role(role, arguments)]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def _role(role: Path, arguments: list[str]) -> Iterator[str]:
    """Do it for a role; what is wrong with it."""
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    tables = dict(_tables(specs))
    readme = role / "README.md"
    old = readme.read_text(encoding="utf-8")
    places = [place[2] for place in _PLACE.finditer(old)]
    new = _PLACE.sub(lambda place: f"{place[1]}{tables.get(place[2])}{place[3]}", old)
    if sorted(places) != sorted(tables):
        yield f"{readme} has places for the variables of {', '.join(places)}, and not of {', '.join(tables)}"
    elif new != old and "--check" in arguments:
        yield f"{readme} is stale: run make docs"
    elif new != old:
        readme.write_text(new, encoding="utf-8")


def _tables(specs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The tables of a role by name: its entry points, and their options that are lists of dicts."""
    for name, entry in specs.items():
        yield name, _table(entry["options"])
        for option, spec in entry["options"].items():
            if spec.get("elements") == "dict":
                yield option, _table(spec["options"])


def _table(options: Options) -> str:
    rows = ["| Name | Default | What it is |", "| --- | --- | --- |"]
    rows += [f"| `{name}` | {_default(spec)} | {_description(spec)} |" for name, spec in _flat(options)]
    return "\n".join(rows) + "\n"


def _flat(options: Options, prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The options, and those inside dicts with dots in their names."""
    for name, spec in options.items():
        yield prefix + name, spec
        if spec["type"] == "dict":
            yield from _flat(spec.get("options", {}), f"{prefix}{name}.")


def _default(spec: Mapping[str, Any]) -> str:
    if spec.get("required"):
        return "required"
    default = spec.get("default")
    if default is None:
        return ""
    text = default if isinstance(default, str) else yaml.safe_dump(default, default_flow_style=True).splitlines()[0]
    return f"`{text}`" if text else '`""`'


def _description(spec: Mapping[str, Any]) -> str:
    description = spec["description"]
    text = description if isinstance(description, str) else " ".join(description)
    if "choices" in spec:
        text += f" One of {', '.join(f'`{choice}`' for choice in spec['choices'])}."
    return _MARKUP.sub(r"`\1`", text).replace("|", r"\|")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
