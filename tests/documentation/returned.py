# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparing what a module returned with its RETURN block.

Of the block's texts four words count. A value may be null where its description says "null". A dict whose description
says "by instance id" (or invoke or command id) or "by its name" has a documented dict for each name. A dict or list
without ``contains`` that refers to a value of another module, as in
``RV(cloudops.alibaba.ecs_reboot#module:instances.receipt)``, is like that one. And a value that says nothing else under
``returned`` is always there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_TYPES = {"bool": bool, "dict": dict, "float": float, "int": int, "list": list, "str": str}
_ANSIBLES = {"changed", "deprecations", "diff", "exception", "failed", "invocation", "msg", "skipped", "warnings"}
_BY_NAME = re.compile(r"\bby ((instance|invoke|command) id|its name)\b")
_REFERENCE = re.compile(r"\bRV\(([a-z_.]+)#module:([a-z_.]+)\)")

Values = Mapping[str, Any]


class Returned:
    """The RETURN blocks of all modules, by full name."""

    def __init__(self, blocks: Mapping[str, Values]) -> None:
        self._blocks = blocks

    def differences(self, module: str, result: Mapping[str, Any]) -> list[str]:
        """What a result has that is not documented, and the other way round."""
        documented = self._blocks[module]
        own = {name: value for name, value in result.items() if name not in _ANSIBLES and "ansible_" not in name}
        if result.get("failed") and own.keys() <= {"refused"}:
            # Refused, by the module or by Ansible itself: there is nothing else to return.
            documented = {name: entry for name, entry in documented.items() if name == "refused"}
        return list(self._values(documented, own, module))

    def _values(self, documented: Values, values: Mapping[str, Any], where: str) -> Iterator[str]:
        for name, entry in documented.items():
            if name not in values and entry.get("returned", "always") == "always":
                yield f"{where}: {name} is documented and was not returned"
        for name, value in values.items():
            if name in documented:
                yield from self._value(documented[name], value, f"{where}.{name}")
            else:
                yield f"{where}: {name} was returned and is not documented"

    def _value(self, entry: Values, value: Any, where: str) -> Iterator[str]:
        description = _text(entry)
        if value is None:
            if not re.search(r"\bnull\b", description, re.IGNORECASE):
                yield f"{where} is null, and its description does not say that it may be"
        elif not isinstance(value, _TYPES[entry["type"]]) or (entry["type"] == "int" and isinstance(value, bool)):
            yield f"{where} is documented as {entry['type']} and is {value!r}"
        elif isinstance(value, list):
            for item in value:
                yield from self._value({**entry, "type": entry["elements"]}, item, f"{where}[]")
        elif isinstance(value, dict):
            yield from self._dict(entry, description, value, where)

    def _dict(self, entry: Values, description: str, value: Mapping[str, Any], where: str) -> Iterator[str]:
        contains = entry.get("contains")
        reference = _REFERENCE.search(description)
        if contains is None and reference:
            contains = self._find(*reference.groups())
        if contains is None:
            if any(isinstance(item, (dict, list)) for item in value.values()):
                yield f"{where} holds more than plain values, and contains does not say what"
        elif _BY_NAME.search(description):
            for item in value.values():
                yield from self._values(contains, item, f"{where}[]")
        else:
            yield from self._values(contains, value, where)

    def _find(self, module: str, path: str) -> Values:
        """``contains`` of another module's value."""
        values: Values = self._blocks[module]
        for name in path.split("."):
            values = values[name]["contains"]
        return values


def _text(entry: Values) -> str:
    description = entry["description"]
    return description if isinstance(description, str) else " ".join(description)
