# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes values out of a fleet file's mappings; says what is wrong with them in one sentence that names the key."""

import difflib
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, NoReturn

from ecs_simulator.errors import FleetError

_MISSING = object()
_KINDS = {
    bool: "true or false",
    date: "a date",
    datetime: "a time",
    dict: "a mapping",
    float: "a number",
    int: "a whole number",
    list: "a list",
    str: "text",
    type(None): "empty",
}


class Reader:
    """Takes known keys out of a mapping and refuses what is left. ``where`` is the mapping's place in the file."""

    def __init__(self, value: Any, where: str = "", *, whole: str = "the fleet file") -> None:
        if not isinstance(value, dict):
            raise FleetError(f"{where or whole} must be a mapping, and is {_kind_of(value)}")
        # YAML reads the key `on` as true.
        self._values = {"on" if key is True else key: of_key for key, of_key in value.items()}
        self._where = where
        self._known: list[str] = []

    def keys(self) -> list[str]:
        return [str(key) for key in self._values]

    def take(self, key: str, kind: type, default: Any = _MISSING, *, wanted: str = "") -> Any:
        """The value of ``key`` as ``kind``; ``wanted`` says in words what that is."""
        wanted = wanted or _KINDS[kind]
        self._known.append(key)
        if key not in self._values:
            if default is _MISSING:
                self.fail(key, "is needed and missing")
            return default
        value = self._values.pop(key)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if kind is str and isinstance(value, (int, float, date)):
            # YAML has already made 8.10 into 8.1, and Off into false: what was meant is lost.
            self.fail(key, f"must be {wanted}, and YAML reads it as {_kind_of(value)}: put it in quotes")
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.fail(key, f"must be {wanted}, and is {_kind_of(value)}")
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: Any = _MISSING) -> str:
        wanted = f"one of {', '.join(choices)}"
        value: str = self.take(key, str, default, wanted=wanted)
        if value not in choices:
            self.fail(key, f"must be {wanted}, not {value!r}{did_you_mean(value, choices)}")
        return value

    def holds(self, key: str, kind: type = object) -> bool:
        """Whether there is a value, of that kind, at ``key``."""
        self._known.append(key)
        return key in self._values and isinstance(self._values[key], kind)

    def reader(self, key: str) -> "Reader":
        """The mapping at ``key``; an empty one is as good as none."""
        self._known.append(key)
        value = self._values.pop(key, None)
        return Reader({} if value is None else value, self._place(key))

    def readers(self, key: str) -> "list[Reader]":
        """The mappings of the list at ``key``; an empty one is as good as none."""
        if self._values.get(key, _MISSING) is None:
            del self._values[key]
        values = self.take(key, list, [])
        return [Reader(value, f"{self._place(key)}[{index}]") for index, value in enumerate(values)]

    def finish(self) -> None:
        """Refuse keys that nobody took."""
        for key in self._values:
            nearest = difflib.get_close_matches(str(key), self._known, n=1, cutoff=0.0)
            self.fail(str(key), f"is not a known key; did you mean {nearest[0]!r}?")

    def fail(self, key: str, what: str) -> NoReturn:
        """Refuse the file: ``what`` goes on where the key's place ends."""
        raise FleetError(f"{self._place(key)} {what}")

    def _place(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where else key


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown value: the known one next to it, if any is near."""
    nearest = difflib.get_close_matches(value, list(known), n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""


def _kind_of(value: Any) -> str:
    return _KINDS.get(type(value), type(value).__name__)
