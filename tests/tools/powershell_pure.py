# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a little PowerShell without a PowerShell: functions that only calculate.

It walks the syntax tree and knows what such functions need: assignments, loops, ``if``, ``return``, arithmetic,
comparisons, operators on bits, some members of strings and arrays. Whatever else a function contains is refused, so
that nobody believes a test that has left something out. A number that is no Int64 any more is an error.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from tools.powershell import nodes, parse, text_of
from tree_sitter import Node

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "-band": operator.and_,
    "-bxor": operator.xor,
    "-shl": operator.lshift,
    "-shr": operator.rshift,
    "-lt": operator.lt,
    "-gt": operator.gt,
    "-ge": operator.ge,
    "-eq": operator.eq,
    "-ne": operator.ne,
    "-or": lambda left, right: left or right,
    "-split": str.split,
}
_METHODS: dict[str, Callable[..., Any]] = {
    "IndexOf": str.index,
    "Replace": str.replace,
    "Substring": lambda text, start, length: text[start : start + length],
}
# What has a child and is understood by its text.
_LEAVES = ("variable", "integer_literal", "string_literal")


class _Return(Exception):
    pass


class _Continue(Exception):
    pass


class Pure:
    """The functions of a script, to be called with values.

    ``variables`` are the script's own, ``stubs`` what commands return that do more than calculate.
    """

    def __init__(
        self, script: str, variables: Mapping[str, Any] | None = None, stubs: Mapping[str, Any] | None = None
    ) -> None:
        self._stubs = dict(stubs or {})
        self._functions = {
            text_of(node.named_children[0]): node for node in nodes(parse(script)) if node.type == "function_statement"
        }
        self._variables = dict(variables or {})

    def call(self, name: str, *arguments: Any) -> Any:
        """What a function returns."""
        block = next(child for child in self._functions[name].named_children if child.type == "script_block")
        parameters = [text_of(node.named_children[-1]) for node in nodes(block) if node.type == "script_parameter"]
        values = self._variables | dict(zip(parameters, arguments, strict=True))
        try:
            self._run(next(child for child in block.named_children if child.type == "script_block_body"), values)
        except _Return as result:
            return result.args[0]
        return None

    def _run(self, node: Node, values: dict[str, Any]) -> None:
        parts = [child for child in node.named_children if child.type != "comment"]
        match node.type:
            case "script_block_body" | "statement_list" | "statement_block" | "for_initializer" | "for_iterator":
                for part in parts:
                    self._run(part, values)
            case "for_statement":
                start, condition, step, body = parts
                self._run(start, values)
                while self._value(condition.named_children[0], values):
                    self._loop(body, values)
                    self._run(step, values)
            case "while_statement":
                while self._value(parts[0].named_children[0], values):
                    self._loop(parts[1], values)
            case "foreach_statement":
                for value in self._value(parts[1], values):
                    values[text_of(parts[0])] = value
                    self._loop(parts[2], values)
            case "if_statement" if len(parts) == 2:
                if self._value(parts[0], values):
                    self._run(parts[1], values)
            case "flow_control_statement" if text_of(node) == "continue":
                raise _Continue
            case "flow_control_statement" if text_of(node).startswith("return "):
                raise _Return(self._value(parts[0], values))
            case _:
                self._value(node, values)

    def _loop(self, body: Node, values: dict[str, Any]) -> None:
        try:
            self._run(body, values)
        except _Continue:
            return

    def _value(self, node: Node, values: dict[str, Any]) -> Any:
        while node.child_count == 1 and node.type not in _LEAVES:
            node = node.children[0]
        result = self._value_of(node, values)
        if isinstance(result, int) and not -(2**63) <= result < 2**63:
            raise OverflowError(f"{text_of(node)} is {result}")
        return result

    def _value_of(self, node: Node, values: dict[str, Any]) -> Any:
        parts, text = node.named_children, text_of(node)
        match node.type:
            case "assignment_expression":
                self._assign(node, values)
                return None
            case "variable":
                return values[text]
            case "integer_literal":
                return int(text)
            case "string_literal" if text.startswith("'") or not re.search("[$`]", text):
                return text[1:-1]
            case "post_increment_expression":
                values[text_of(parts[0])] += 1
                return None
            case "element_access":
                return self._value(parts[0], values)[self._value(parts[1], values)]
            case "member_access" if text_of(parts[1]) == "Length":
                return len(self._value(parts[0], values))
            case "invokation_expression":
                arguments = [self._value(part, values) for part in parts[2].named_children[0].named_children]
                return _METHODS[text_of(parts[1])](self._value(parts[0], values), *arguments)
            case "cast_expression" if text_of(parts[0]) == "[int64]":
                return int(self._value(parts[1], values))
            case "member_access" if isinstance(self._value(parts[0], values), dict):
                return self._value(parts[0], values)[text_of(parts[1])]
            case "command" if text_of(parts[0]) in self._stubs:
                return self._stubs[text_of(parts[0])]
            case "command" if text.startswith("New-Object 'int64[]' "):
                return [0] * int(text.split(" ")[-1])
        if len(node.children) == 3 and len(parts) >= 2:
            left, sign, right = node.children
            if text_of(sign) == "-creplace":
                while right.named_child_count == 1:
                    right = right.named_children[0]
                pattern, new = (self._value(part, values) for part in right.named_children)
                return re.sub(pattern, new, self._value(left, values))
            return _OPERATORS[text_of(sign)](self._value(left, values), self._value(right, values))
        if len(parts) == 1 and "".join(text_of(child) for child in node.children if not child.is_named) in ("", "()"):
            return self._value(parts[0], values)
        raise NotImplementedError(f"{node.type}: {text}")

    def _assign(self, node: Node, values: dict[str, Any]) -> None:
        left, sign, right = node.named_children
        names = [text_of(part) for part in nodes(left) if part.type == "variable" and part.named_child_count == 0]
        if "," in text_of(left):
            values |= dict(zip(names, self._value(right, values), strict=True))
            return
        name = text_of(next(part for part in nodes(left) if part.type == "variable" and part.named_child_count == 0))
        value = self._value(right, values)
        if any(part.type == "element_access" for part in nodes(left)):
            access = next(part for part in nodes(left) if part.type == "element_access")
            values[name][self._value(access.named_children[1], values)] = value
        elif text_of(sign) == "+=":
            values[name] += value
        else:
            values[name] = value
