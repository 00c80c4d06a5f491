# SPDX-License-Identifier: GPL-3.0-or-later
"""Placeholders in commands."""

from ecs_simulator.cloud.errors import ApiError
from ecs_simulator.cloud.placeholders import (
    built_in_names,
    check_passed,
    fill_built_in,
    fill_custom,
    parameter_names,
    wants_store,
)
from hypothesis import given
from hypothesis import strategies as st

PIECE = st.sampled_from(
    [
        b"{{",
        b"}}",
        b"{",
        b"}",
        b" ",
        b"\n",
        b"name",
        b"Name",
        b"-",
        b"ACS::",
        b"acs ::",
        b"RegionId",
        b"oos:",
        b"\xff",
        b"x" * 65,
    ]
)


def test_names_are_the_same_whatever_their_case() -> None:
    content = b"{{ Name }} {{name}} {{other}} {{ACS::RegionId}} {{oos-secret:password}}"
    assert parameter_names(content) == ["Name", "other"]
    assert built_in_names(content) == {"RegionId"}
    assert wants_store(content)
    assert fill_custom(content, {"NAME": "a"}) == b"a a  {{ACS::RegionId}} {{oos-secret:password}}"


def test_what_is_filled_in_is_not_filled_in_again() -> None:
    assert fill_custom(b"{{a}}", {"a": "{{b}}", "b": "c"}) == b"{{b}}"
    assert fill_built_in(b"{{ ACS :: RegionId }}", {"RegionId": "{{ACS::RegionId}}"}) == b"{{ACS::RegionId}}"


@given(
    st.lists(PIECE, max_size=20).map(b"".join), st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=12)
)
def test_whatever_is_sent_is_filled_in_or_refused(content: bytes, passed: dict[str, str]) -> None:
    try:
        names = parameter_names(content)
        check_passed(names, passed)
    except ApiError:
        return
    filled = fill_custom(content, dict.fromkeys(names, "x"))
    assert (filled == content) == (not names)
    if built_in_names(filled) <= {"RegionId"}:
        fill_built_in(filled, {"RegionId": "cn-hangzhou"})
