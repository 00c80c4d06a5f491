# SPDX-License-Identifier: GPL-3.0-or-later
"""A request of the RPC style, taken apart; what is no such request is refused here."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from ecs_simulator.cloud.errors import ApiError

_FORM = "application/x-www-form-urlencoded"
# More than any action takes: 100 instances and 20 tags are 140.
_MAXIMUM_PARAMETERS = 2000
# Old and new SDKs send every parameter in the request line. The longest request is a SendFile: 32 KB of content, two
# times 20 tags of 128 characters in key and value; percent-encoding makes 3 bytes of one, and up to 12 of a character.
_MAXIMUM_QUERY_BYTES = 256 * 1024


@dataclass(frozen=True)
class Request:
    """What a client sent. The parameters may stand in the query, in a form, or in both."""

    method: str
    path: str
    headers: Mapping[str, str]
    """By lower case name."""
    query: Mapping[str, str]
    form: Mapping[str, str]
    body: bytes

    @property
    def parameters(self) -> dict[str, str]:
        return {**self.query, **self.form}


def parse_request(method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Request:
    """Take a request apart. ``query`` is as it stands in the request line."""
    if len(query) > _MAXIMUM_QUERY_BYTES:
        raise ApiError(414, "RequestUriTooLarge", "The request line is too long.")
    lower = {name.lower(): value for name, value in headers.items()}
    is_form = lower.get("content-type", "").partition(";")[0].strip().lower() == _FORM
    try:
        for value in lower.values():
            value.encode()  # bytes that are no text come as surrogates
        return Request(method, path, lower, _pairs(query), _pairs(body.decode()) if is_form else {}, body)
    except UnicodeError:
        raise ApiError(400, "InvalidParameter", "The request is not UTF-8.") from None


def _pairs(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAXIMUM_PARAMETERS)
    except UnicodeError:
        raise
    except ValueError:
        raise ApiError(400, "InvalidParameter", "The request has too many parameters.") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ApiError(400, "InvalidParameter", "The request has a parameter twice.")
    return found
