# SPDX-License-Identifier: GPL-3.0-or-later
"""What two jobs at once are judged by finds what it is for."""

from __future__ import annotations

from typing import Any

import pytest
from faults.availability import most_unavailable, shared_hosts

UP = ["a agent_up", "b agent_up", "c agent_up"]
ONE_ON_A = [
    "a RunCommand one",
    "a command_start one",
    "a command_end one",
    "a agent_down",
    "a shutdown guest",
    "a agent_up",
    "a RunCommand one",
    "a command_start one",
    "a command_end one",
]
TWO_ON_B = [line.replace("a ", "b ", 1).replace("one", "two") for line in ONE_ON_A]
TWO_ON_A = [line.replace("one", "two") for line in ONE_ON_A]


def line(words: str) -> dict[str, Any]:
    """A line of the audit log: ``host what``, and whose command it is, or what the shutdown comes from."""
    host, what, *more = words.split()
    if what == "RunCommand":
        return {"action": what, "instance_ids": [host], "caller": more[0], "invoke_id": more[0]}
    return {"instance_id": host, "event": what, "invoke_id": "".join(more), "cause": "".join(more)}


def log(*parts: list[str]) -> list[dict[str, Any]]:
    return [line(words) for part in parts for words in part]


def test_one_after_the_other_is_one() -> None:
    for lines in log(UP, ONE_ON_A, TWO_ON_B), log(UP, ONE_ON_A, TWO_ON_A):
        assert most_unavailable(lines) == 1
        assert not shared_hosts(lines)


@pytest.mark.parametrize("moment", range(1, len(ONE_ON_A)))
def test_a_run_that_begins_while_another_is_at_work_is_found(moment: int) -> None:
    """Between its commands, and in its restart, the first run is at work too."""
    first, rest = ONE_ON_A[:moment], ONE_ON_A[moment:]
    assert most_unavailable(log(UP, first, TWO_ON_B, rest)) == 2
    assert shared_hosts(log(UP, first, TWO_ON_A, rest)) == {"a"}


def test_the_restart_that_a_dead_run_has_asked_for_counts() -> None:
    """It asked for that and died: the host is its work until it is up again."""
    down, up = ONE_ON_A[:5], ONE_ON_A[5:6]
    assert most_unavailable(log(UP, down, TWO_ON_B, up)) == 2
    assert most_unavailable(log(UP, down, up, TWO_ON_B)) == 1
    assert most_unavailable(log(UP, down, TWO_ON_B)) == 2


def test_a_host_that_is_down_by_itself_counts() -> None:
    cut = ["c shutdown power_loss"]
    assert most_unavailable(log(UP, cut, ONE_ON_A)) == 2
    assert most_unavailable(log(UP, cut, ["c agent_up"], ONE_ON_A)) == 1
    assert most_unavailable(log(UP, ONE_ON_A, cut, ["c agent_up"])) == 1
