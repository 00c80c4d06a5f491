# SPDX-License-Identifier: GPL-3.0-or-later
"""When a run stops before a batch: pure decisions."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._instances.failure import Failure
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.blames import BLAMES, blame_of
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.stop import read_conditions, stop_before
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import BadInput
from hypothesis import given
from hypothesis import strategies as st

NOON = 1_796_040_000.0


def reason(failed: list[str], *, batch: int = 2, batch_s: int = 0, **stop: Any) -> str | None:
    found = stop_before(read_conditions({"hosts": 10, **stop}), batch, failed, now=NOON, batch_s=batch_s)
    return found.reason if found else None


@pytest.mark.parametrize(
    ("most", "failed", "words"),
    [
        (None, ["script"] * 9, None),
        (0, [], None),
        (0, ["script"], "1 host failed (script), and none may"),
        ("0", ["lost", "agent"], "2 hosts failed (agent, lost), and none may"),
        (2, ["script"] * 2, None),
        ("19%", ["script"], None),
        ("19%", ["script", "health"], "2 hosts failed (health, script), and at most 1 may"),
        ({"offline": 2}, ["offline"] * 2, None),
        ({"offline": 2}, ["offline", "script"], "1 host failed (script), and none may"),
        ({"offline": "10%", "all": 5}, ["offline"] * 2, "2 hosts failed (offline), and at most 1 may"),
        (
            {"hook": 0, "all": 0},
            ["hook", "lost"],
            "1 host failed (lost), and none may; 1 host failed (hook), and none may",
        ),
    ],
)
def test_errors(most: Any, failed: list[str], words: str | None) -> None:
    assert reason(failed, max_errors=most) == words


def test_a_run_whose_first_hosts_were_refused_says_no_number() -> None:
    why = reason(["input"], batch=1, max_errors=0)
    assert why == "its first hosts were refused, for the reason in their rows"
    assert reason(["input"], batch=1, max_errors=1) is None


@given(st.lists(st.sampled_from(["script", "offline", "health"])), st.integers(0, 5), st.integers(0, 5))
def test_a_run_goes_on_only_within_every_budget(failed: list[str], most: int, offline: int) -> None:
    goes_on = reason(failed, max_errors={"all": most, "offline": offline}) is None
    away = failed.count("offline")
    assert goes_on == (away <= offline and len(failed) - away <= most)


def test_the_deadline_is_when_a_batch_has_ended() -> None:
    at = "2026-11-30T20:00:00+08:00"
    assert read_conditions({"deadline": at}).deadline == NOON
    assert reason([], deadline="2026-11-30T13:00:00Z", batch_s=3600) is None
    assert reason([], deadline="2026-11-30T13:00:00Z", batch_s=3601) == (
        "the deadline 2026-11-30T13:00:00Z is 60 min away, and a batch may take 60 min"
    )
    assert reason([], deadline=at, batch_s=60) == (
        "the deadline 2026-11-30T12:00:00Z is over, and a batch may take 60 s"
    )


def test_after_a_batch() -> None:
    assert reason([], batch=2, after_batch=2) is None
    assert reason([], batch=3, after_batch=2) == "it was to stop after batch 2"


@pytest.mark.parametrize(
    "stop",
    [
        {"max_errors": "many"},
        {"max_errors": 1.5},
        {"max_errors": -1},
        {"max_errors": "101%"},
        {"max_errors": {"nobody": 1}},
        {"max_errors": {"script": "x"}},
        {"deadline": "tomorrow"},
        {"deadline": "2026-11-30 20:00"},
        {"after_batch": 0},
    ],
)
def test_what_is_not_understood_is_refused(stop: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        read_conditions({"hosts": 10, **stop})


@pytest.mark.parametrize("blame", BLAMES)
def test_each_blame_has_a_budget_of_its_own(blame: str) -> None:
    assert reason([blame], max_errors={blame: 1}) is None
    assert reason([blame] * 2, max_errors={blame: 1}) == f"2 hosts failed ({blame}), and at most 1 may"


def test_blames() -> None:
    assert blame_of(None, asked=False) is None
    assert blame_of(Failure("agent", ""), asked=False) == "offline"
    assert blame_of(Failure("agent", ""), asked=True) == "agent"
    assert blame_of(Failure("input", ""), asked=False) == "input"
