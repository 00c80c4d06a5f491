# SPDX-License-Identifier: GPL-3.0-or-later
"""What a controller knows of a restart that was asked for: the receipt says no more than that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.requests import Request, after_answer
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.trailer import Trailer
from ansible_collections.cloudops.alibaba.plugins.module_utils._restart.receipts import judge

OLD = "11111111-1111-4111-8111-111111111111"
NEW = "22222222-2222-4222-8222-222222222222"
AT = "2026-01-01T00:00:00Z"
LATER = "2026-01-01T00:05:00Z"


def result(exit_code: int = 0, power_action: str = "none") -> dict[str, Any]:
    return {"exit_code": exit_code, "power_action": power_action, "finished_at": AT}


def trailer(state: str, **more: Any) -> Trailer:
    return replace(Trailer("r-1", state, "exit_code", OLD, "kernel", "/log"), **more)


BY_EXIT_CODE = after_answer(None, result(194), trailer("restart"), ours=True)
BY_API = after_answer(None, result(), trailer("restart", method="api"), ours=True)
SENT = BY_API and BY_API.sent_at(LATER)
PROOF = judge(method="exit_code", before=OLD, after=NEW, requested_at=AT, proven_at=LATER)


def fate(request: Request | None) -> tuple[str, str, str | None, str | None] | None:
    if request is None:
        return None
    receipt = request.receipt()
    assert receipt.proven_at is None
    assert receipt.boot_id_after in (None, receipt.boot_id_before)
    return receipt.verdict, receipt.method, receipt.boot_id_before, receipt.requested_at


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (BY_EXIT_CODE, ("unknown", "exit_code", OLD, AT)),
        (BY_API, ("not_restarted", "api", OLD, AT)),
        (SENT, ("unknown", "api", OLD, LATER)),
        (Request("exit_code", "", None), ("unknown", "exit_code", None, None)),
    ],
)
def test_what_nobody_has_seen_is_unknown_unless_nobody_has_sent_it(request_: Request, expected: tuple[Any]) -> None:
    assert fate(request_) == expected


def test_the_receipt_tells_the_reason_and_whether_anybody_acted() -> None:
    assert BY_EXIT_CODE and BY_API
    assert BY_EXIT_CODE.receipt().evidence[1:] == ("reason: kernel",)
    assert BY_API.receipt().evidence[1:] == ("nobody has carried the request out", "reason: kernel")


def test_a_host_whose_time_was_over_was_not_restarted() -> None:
    assert fate(after_answer(None, result(76), trailer("restart"), ours=True)) == (
        "not_restarted",
        "exit_code",
        OLD,
        AT,
    )


@pytest.mark.parametrize(("replayed", "ours"), [(True, True), (False, False)])
def test_what_was_told_to_somebody_else_may_be_sent_by_them(replayed: bool, ours: bool) -> None:
    said = trailer("restart", method="api", replayed=replayed)
    assert fate(after_answer(None, result(), said, ours=ours)) == ("unknown", "api", OLD, AT)


def test_the_old_boot_asks_again_after_reboot_instances() -> None:
    again = after_answer(SENT, result(), trailer("restart", method="api", again=True), ours=True)
    assert fate(again) == ("not_restarted", "api", OLD, LATER)


@pytest.mark.parametrize("said", [None, trailer("pending"), trailer("busy", whole=False), trailer("late")])
def test_other_words_leave_it_open(said: Trailer | None) -> None:
    assert after_answer(SENT, result(75), said, ours=True) is SENT
    assert after_answer(None, result(75), said, ours=True) is None


@pytest.mark.parametrize("said", [trailer("done"), trailer("failed", boot_id=NEW, restarts=(PROOF,))])
def test_what_the_host_has_settled_is_not_open(said: Trailer) -> None:
    assert after_answer(BY_EXIT_CODE, result(), said, ours=True) is None


def test_the_receipt_of_an_earlier_restart_settles_nothing() -> None:
    request = Request("exit_code", NEW, AT)
    assert after_answer(request, result(), trailer("failed", restarts=(PROOF,)), ours=True) is request


def test_a_restart_by_the_agent_counts_without_the_words() -> None:
    heard = after_answer(None, result(194, "restart"), None, ours=True)
    assert fate(heard) == ("unknown", "exit_code", None, AT)
    assert after_answer(heard, result(), trailer("failed", boot_id=NEW, restarts=(PROOF,)), ours=True) is None
