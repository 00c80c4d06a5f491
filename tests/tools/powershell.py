# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be known of PowerShell without a PowerShell: whether it parses, and the options of a module.

Run as a program it stands in for ``pwsh`` in the two calls of ansible-test: of PSScriptAnalyzer it does the syntax
only, and of modules it reads the argument specification, which has to be a literal, so that validate-modules compares
it with the documentation.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

_PARSER = Parser(Language(tree_sitter_powershell.language()))
_WORDS = {"$true": True, "$false": False, "$null": None}


def parse(text: str) -> Node:
    """The syntax tree of a script."""
    return _PARSER.parse(text.encode()).root_node


def nodes(node: Node) -> Iterator[Node]:
    """A node and all below it, in the order of the text."""
    yield node
    for child in node.children:
        yield from nodes(child)


def text_of(node: Node) -> str:
    return (node.text or b"").decode()


def syntax_errors(text: str) -> list[tuple[int, int, str]]:
    """Line, column and text of whatever is no PowerShell."""
    wrong = [node for node in nodes(parse(text)) if node.is_error or node.is_missing]
    return [(node.start_point[0] + 1, node.start_point[1] + 1, text_of(node)[:80]) for node in wrong]


def argument_spec(text: str) -> dict[str, Any]:
    """The hash table that a module assigns to ``$spec``."""
    for node in nodes(parse(text)):
        if node.type == "assignment_expression" and text_of(node).partition("=")[0].strip() == "$spec":
            spec: dict[str, Any] = _value(
                next(child for child in nodes(node) if child.type == "hash_literal_expression")
            )
            return spec
    raise ValueError("There is no $spec.")


def _value(node: Node) -> Any:
    """A literal: a hash table, an array, a string, a number, or a word such as $true."""
    if node.type == "hash_literal_expression":
        entries = [child for body in node.children for child in body.children if child.type == "hash_entry"]
        return {text_of(entry.named_children[0]).strip("'\""): _value(entry.named_children[-1]) for entry in entries}
    if node.type == "array_literal_expression" and node.named_child_count > 1:
        return [_value(child) for child in node.named_children]
    if node.named_child_count == 1 and node.type not in ("string_literal", "variable"):
        return _value(node.named_children[0])
    text = text_of(node)
    if node.type == "string_literal":
        return text[1:-1]
    return _WORDS[text.lower()] if node.type == "variable" else int(text)


def main(script: str, *arguments: str) -> None:
    """Stand in for ``pwsh SCRIPT ARGUMENTS``."""
    name = Path(script).name
    if name == "ps_argspec.ps1":
        path = Path(json.loads(arguments[0])["module_path"])
        print(json.dumps(argument_spec(path.read_text(encoding="utf-8"))))
    elif name == "pslint.ps1":
        errors = [
            (path, error) for path in arguments for error in syntax_errors(Path(path).read_text(encoding="utf-8"))
        ]
        keys = ("RuleName", "Severity", "ScriptPath", "Line", "Column", "Message")
        print(json.dumps([dict(zip(keys, ("Syntax", 3, path, *error))) for path, error in errors]))
    elif name != "sanity.pslint.ps1":
        sys.exit(f"{script} needs a real PowerShell.")


if __name__ == "__main__":
    main(*sys.argv[1:])
