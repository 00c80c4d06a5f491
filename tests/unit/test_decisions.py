# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do with a host after its answer."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.decisions import Move, decide
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.trailer import Trailer


def trailer(state: str, **more: Any) -> Trailer:
    values = {"method": "exit_code", "boot_id": "b", "reason": "because", "log": "/log"} | more
    return Trailer(run_id="r", state=state, **values)


def result(**more: Any) -> dict[str, Any]:
    values = {
        "status": "Success",
        "ok": True,
        "exit_code": 0,
        "output": "",
        "error_code": None,
        "error_info": None,
        "failure": None,
        "power_action": "none",
    }
    return values | more


def failed(kind: str, code: str | None = None, status: str | None = "Error", **more: Any) -> dict[str, Any]:
    return result(status=status, ok=False, failure=kind, error_code=code, error_info="why", exit_code=None, **more)


def test_a_command_that_ended_without_a_word_of_the_runner_says_what_to_do() -> None:
    """A scripted machine of the simulator without answers does so."""
    failure = decide(result(invoke_id="t-1"), None, first=True).failure
    assert failure
    assert failure.info == (
        "The end of the step runner's answer is missing or damaged, so it is not known how far the host is. Look at "
        "the output of invocation t-1, and whether the host can run scripts; then start the same command again with "
        "the same run id, which repeats nothing that has finished. It printed nothing."
    )


@pytest.mark.parametrize(
    ("heard", "said", "first", "move"),
    [
        # The host's own word.
        (result(), trailer("done"), True, Move.DONE),
        (result(), trailer("done", replayed=True), False, Move.DONE),
        (result(exit_code=194, power_action="restart"), trailer("restart"), True, Move.AWAIT_RESTART),
        (result(), trailer("restart", method="api"), True, Move.RESTART),
        (result(exit_code=1), trailer("failed"), True, Move.FAILED),
        (result(exit_code=78), trailer("refused"), True, Move.FAILED),
        (result(exit_code=76), trailer("late"), False, Move.FAILED),
        (result(exit_code=75), trailer("pending"), True, Move.ASK_AGAIN),
        (result(exit_code=75), trailer("busy"), False, Move.ASK_AGAIN),
        # Somebody else's keeper asked for the restart: nobody restarts on hearsay.
        (result(), trailer("restart", replayed=True), True, Move.ASK_AGAIN),
        (result(), trailer("restart", method="api", replayed=True), True, Move.ASK_AGAIN),
        # What somebody else's keeper was refused, or had no time for, says nothing about this delivery.
        (result(), trailer("refused", replayed=True), True, Move.ASK_AGAIN),
        (result(), trailer("late", replayed=True), False, Move.ASK_AGAIN),
        (result(), trailer("failed", replayed=True), True, Move.FAILED),
        # The runner was late between its keeper's end and its own.
        (result(exit_code=76), trailer("restart"), True, Move.FAILED),
        # No word of the host.
        (result(exit_code=194, power_action="restart"), None, True, Move.AWAIT_RESTART),
        (failed("instance", "InstanceRestarted"), None, True, Move.ASK_AGAIN),
        (failed("agent", "ClientRestarted"), None, True, Move.ASK_AGAIN),
        (failed("agent", "ClientNotResponse"), None, True, Move.ASK_AGAIN),
        (failed("lost", status=None), None, True, Move.ASK_AGAIN),
        (failed("not_delivered", status="Aborted"), None, True, Move.ASK_AGAIN),
        (failed("timeout", status="Timeout"), None, True, Move.ASK_AGAIN),
        (failed("input", status="Invalid"), None, True, Move.FAILED),
        (failed("stopped", status="Terminated"), None, False, Move.FAILED),
        (failed("instance", "InstanceReleased"), None, True, Move.FAILED),
        (failed("instance", "InstanceReleased"), None, False, Move.FAILED),
        # Never submitted: unfit at the first look, or while it boots.
        (failed("instance", status=None), None, True, Move.FAILED),
        (failed("agent", status=None), None, False, Move.ASK_AGAIN),
        (failed("input", "Forbidden.RAM", status=None), None, True, Move.FAILED),
        (failed("input", "Forbidden.RAM", status=None), None, False, Move.ASK_AGAIN),
        # The answer is damaged.
        (result(), None, True, Move.ASK_AGAIN),
        # The runner never ran, or was killed: the keeper may be at work then.
        (failed("script", status="Failed") | {"exit_code": 127, "output": "sh: not found"}, None, True, Move.FAILED),
        (failed("script", status="Failed") | {"exit_code": 78}, None, True, Move.FAILED),
        (failed("script", status="Failed") | {"exit_code": 137}, None, True, Move.ASK_AGAIN),
        (failed("script", status="Failed") | {"exit_code": -1}, None, True, Move.ASK_AGAIN),
        (failed("script", status="Failed") | {"exit_code": 143}, None, False, Move.ASK_AGAIN),
    ],
)
def test_the_next_move(heard: dict[str, Any], said: Trailer | None, first: bool, move: Move) -> None:
    decision = decide(heard, said, first=first)
    assert decision.move is move
    if move in (Move.FAILED, Move.ASK_AGAIN):
        assert decision.failure
        assert decision.failure.info


def test_a_failed_step_is_named_with_its_log() -> None:
    decision = decide(result(exit_code=1), trailer("failed", reason="step x failed"), first=True)
    assert decision.failure
    assert decision.failure.info == "It failed: step x failed. The log on the host is /log."
    assert decision.failure.kind == "script"


@pytest.mark.parametrize(("state", "exit_code", "blame"), [("failed", 1, "timeout"), ("refused", 78, "instance")])
def test_the_host_says_whose_fault_it_is(state: str, exit_code: int, blame: str) -> None:
    decision = decide(result(exit_code=exit_code), trailer(state, blame=blame), first=True)
    assert decision.failure
    assert decision.failure.kind == blame


def test_a_host_that_cannot_start_the_runner_is_to_blame() -> None:
    decision = decide(failed("script", status="Failed") | {"exit_code": 78, "output": "disk full"}, None, first=True)
    assert decision.failure
    assert decision.failure.kind == "instance"
