# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the parameters of an RPC request: ``InstanceId.1``, ``Tag.2.Key``, numbers and booleans as text."""

import re
from collections.abc import Mapping

from ecs_simulator.cloud.errors import ApiError, invalid, missing


class Parameters:
    """The query of one request; every reader refuses what the API refuses."""

    def __init__(self, query: Mapping[str, str]) -> None:
        self._query = query

    def as_dict(self) -> dict[str, str]:
        """All parameters as they came."""
        return dict(self._query)

    def text(self, name: str, default: str = "") -> str:
        return self._query.get(name, default)

    def required(self, name: str) -> str:
        value = self._query.get(name, "")
        if not value:
            raise missing(name)
        return value

    def number(self, name: str, default: int) -> int:
        text = self._query.get(name, "")
        if not text:
            return default
        if not re.fullmatch(r"-?[0-9]{1,18}", text):
            raise invalid(name)
        return int(text)

    def flag(self, name: str, default: bool = False) -> bool:
        text = self._query.get(name, "").lower()
        if text not in ("", "true", "false"):
            raise invalid(name)
        return text == "true" if text else default

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        value = self._query.get(name, "") or default
        if value not in choices:
            raise invalid(name, f"must be one of {', '.join(choices)}")
        return value

    def numbered(self, name: str) -> list[str]:
        """``name.1``, ``name.2`` … in the order of their numbers."""
        return [self._query[f"{name}.{number}"] for number in self._numbers(name, r"")]

    def tags(self, name: str = "Tag") -> dict[str, str]:
        """``name.N.Key`` and ``name.N.Value``."""
        found = {}
        for number in self._numbers(name, r"\.Key"):
            key = self._query[f"{name}.{number}.Key"]
            if not key:
                raise ApiError(400, "InvalidTagKey.Malformed", "The specified Tag.n.Key is not valid.")
            found[key] = self._query.get(f"{name}.{number}.Value", "")
        return found

    def _numbers(self, name: str, suffix: str) -> list[int]:
        pattern = re.compile(re.escape(name) + r"\.([1-9][0-9]{0,5})" + suffix)
        return sorted(int(match[1]) for match in map(pattern.fullmatch, self._query) if match)
