# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fault matrix is judged by finds what it is for."""

from __future__ import annotations

from typing import Any, cast

import pytest
from end_to_end.clouds import Cloud
from faults.rollout import Cell, Rollout, assert_only_the_batch_was_touched
from faults.table import WELL, Row

CELL = Cell(Row("a fault", {"fault": "power_loss"}, frozenset({("failed", "instance")})), "api", "at_end")
FIRST, SECOND, THIRD = HOSTS = CELL.plan.host_names()
GOOD = {"status": "restarted", "blame": None, "ok": True}
BAD = {"status": "failed", "blame": "instance", "ok": False}


class FakeCloud:
    """An audit log of ``(host, what)``, a second apart."""

    def __init__(self, *happened: tuple[str, str]) -> None:
        self._lines = [self._line(f"2026-01-01T00:00:{at:02d}", *one) for at, one in enumerate(happened)]

    def ids(self) -> dict[str, str]:
        return {host: f"i-{host}" for host in HOSTS}

    def audit(self, **wanted: str) -> list[dict[str, Any]]:
        return [line for line in self._lines if wanted.items() <= line.items()]

    @staticmethod
    def _line(time: str, host: str, what: str) -> dict[str, Any]:
        if what[0].isupper():
            return {"kind": "api", "time": time, "action": what, "instance_ids": [f"i-{host}"]}
        return {"kind": "machine", "time": time, "event": what, "instance_id": f"i-{host}", "cause": "power_loss"}


def rollout(*happened: tuple[str, str], **verdicts: dict[str, Any]) -> Rollout:
    of_hosts = {dict(zip(("first", "second", "third"), HOSTS))[name]: verdict for name, verdict in verdicts.items()}
    return Rollout(CELL, cast(Cloud, FakeCloud(*happened)), 0, "", of_hosts, 0.0)


def test_batches_one_after_the_other_are_right() -> None:
    happened = [(FIRST, "RunCommand"), (SECOND, "DescribeInstances"), (FIRST, "command_end"), (SECOND, "RunCommand")]
    # What the fault does is nobody's act.
    happened += [(FIRST, "shutdown"), (THIRD, "command_start")]
    assert_only_the_batch_was_touched(rollout(*happened, first=GOOD, second=GOOD, third=GOOD))


@pytest.mark.parametrize(
    "happened", [[(SECOND, "RunCommand"), (FIRST, "command_end")], [(FIRST, "RunCommand"), (THIRD, "RebootInstances")]]
)
def test_a_host_that_is_touched_out_of_turn_is_found(happened: list[tuple[str, str]]) -> None:
    with pytest.raises(AssertionError):
        assert_only_the_batch_was_touched(rollout(*happened, first=GOOD, second=GOOD))


def test_no_batch_is_expected_after_one_that_failed() -> None:
    stopped = rollout(first=BAD)
    assert [stopped.expected(host) for host in HOSTS] == [CELL.row.outcomes] + [frozenset({("not_reached", None)})] * 2
    assert stopped.outcome(SECOND) == ("not_reached", None)
    assert rollout(first=GOOD).expected(SECOND) == WELL
