# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparison of results with RETURN blocks finds what it is there to find."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from documentation.returned import Returned

RETURNED = Returned(
    {
        "c.info": yaml.safe_load("""
            hosts:
              description: The hosts by instance id.
              returned: always
              type: dict
              contains:
                name: {description: Its name., type: str}
                code: {description: "Its code, or null.", type: int}
            ids: {description: The ids., returned: always, type: list, elements: str}
            counts: {description: How many., returned: always, type: dict}
            refused: {description: Whether it was refused., returned: when refused, type: bool}
        """),
        "c.wait": yaml.safe_load("""
            host: {description: "One, as in RV(c.info#module:hosts).", returned: always, type: dict}
        """),
    }
)
GOOD: dict[str, Any] = {
    "changed": False,
    "hosts": {"i-1": {"name": "a", "code": None}},
    "ids": ["i-1"],
    "counts": {"done": 1},
}


def test_what_is_documented_is_fine() -> None:
    assert RETURNED.differences("c.info", GOOD) == []
    assert RETURNED.differences("c.info", {"failed": True, "msg": "no", "refused": True}) == []
    assert RETURNED.differences("c.wait", {"host": {"name": "a", "code": 1}}) == []


@pytest.mark.parametrize(
    ("more", "difference"),
    [
        ({"extra": 1}, "c.info: extra was returned and is not documented"),
        ({"hosts": {"i-1": {"code": 1}}}, "c.info.hosts[]: name is documented and was not returned"),
        ({"hosts": {"i-1": {"name": "a", "code": 1, "x": 1}}}, "c.info.hosts[]: x was returned and is not documented"),
        ({"hosts": {"i-1": {"name": "a", "code": "1"}}}, "c.info.hosts[].code is documented as int and is '1'"),
        ({"hosts": {"i-1": {"name": "a", "code": True}}}, "c.info.hosts[].code is documented as int and is True"),
        (
            {"hosts": {"i-1": {"name": None, "code": 1}}},
            "c.info.hosts[].name is null, and its description does not say that it may be",
        ),
        ({"ids": [1]}, "c.info.ids[] is documented as str and is 1"),
        ({"counts": {"a": {}}}, "c.info.counts holds more than plain values, and contains does not say what"),
    ],
)
def test_what_is_not_documented_is_named(more: dict[str, Any], difference: str) -> None:
    assert RETURNED.differences("c.info", GOOD | more) == [difference]


def test_what_is_missing_is_named() -> None:
    assert RETURNED.differences("c.info", {"failed": True, "hosts": {}, "ids": []}) == [
        "c.info: counts is documented and was not returned"
    ]


def test_a_reference_to_another_module_counts() -> None:
    assert RETURNED.differences("c.wait", {"host": {"name": "a"}}) == [
        "c.wait.host: code is documented and was not returned"
    ]
