# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages: by PageNumber and PageSize, or by NextToken and MaxResults."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ecs_simulator.api.parameters import Parameters
from ecs_simulator.cloud.errors import ApiError, invalid

T = TypeVar("T")

DEFAULT_PAGE = 10


@dataclass(frozen=True)
class Page:
    """Where the asked-for page lies, and what a response says about it."""

    offset: int
    size: int
    number: int
    total: int
    by_token: bool = False

    def cut(self, rows: Sequence[T]) -> Sequence[T]:
        return rows[self.offset : self.offset + self.size]

    def fields(self) -> dict[str, Any]:
        end = self.offset + self.size
        return {
            "TotalCount": self.total,
            "PageNumber": self.number,
            "PageSize": self.size,
            "NextToken": _token(end) if end < self.total else "",
        }

    def uncounted_fields(self) -> dict[str, Any]:
        """The fields of an answer whose TotalCount is meaningless with NextToken (SDK docstrings): 0, so that nobody
        comes to rely on it."""
        return self.fields() | ({"TotalCount": 0} if self.by_token else {})


def read_page(
    parameters: Parameters, total: int, *, maximum: int, minimum: int = 1, default: int = DEFAULT_PAGE
) -> Page:
    """The page that a request asks for; ``default`` rows unless it says otherwise.

    A MaxResults below ``minimum`` or above ``maximum`` is that; a PageSize above ``maximum`` is refused.
    """
    token = parameters.text("NextToken")
    if token or parameters.text("MaxResults"):
        size = min(max(parameters.number("MaxResults", default), minimum), maximum)
        offset = _offset(token) if token else 0
        return Page(offset, size, offset // size + 1, total, by_token=True)
    size = parameters.number("PageSize", default)
    number = parameters.number("PageNumber", 1)
    if not 1 <= size <= maximum:
        raise invalid("PageSize")
    if number < 1:
        raise invalid("PageNumber")
    return Page((number - 1) * size, size, number, total)


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(f"offset:{offset}".encode()).decode()


def _offset(token: str) -> int:
    try:
        word, _colon, number = base64.urlsafe_b64decode(token).decode().partition(":")
        if word == "offset":
            return int(number)
    except (binascii.Error, ValueError):
        pass
    raise ApiError(400, "InvalidNextToken", "The specified NextToken is not valid.")
