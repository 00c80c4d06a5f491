# SPDX-License-Identifier: GPL-3.0-or-later
"""Each invariant finds the violation that it is for, and nothing in a run in which all went well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from random_runs import invariants
from random_runs.history import History, Note, Restart, Verdict, Word
from random_runs.invariants import violations
from random_runs.plan import StepPlan

A, B, C = "boot-a", "boot-b", "boot-c"
STEPS = {
    "bare": StepPlan("bare", "bare", "never", "none", 0, 0, 0, 1),
    "guarded": StepPlan("guarded", "guarded", "if_required", "exit_code", 0, 0, 0, 1),
    "rerun": StepPlan("rerun", "rerun", "never", "none", 0, 0, 0, 1),
    "maker": StepPlan("maker", "bare", "if_required", "evidence", 0, 0, 0, 1),
    "os_updates": StepPlan("os_updates", "os_updates", "if_required", "none", 0, 0, 0, 1),
}
RECEIPT = {"verdict": "restarted", "method": "exit_code", "boot_id_before": A, "boot_id_after": B}


def words(*texts: str, boot: int = 0, run_id: str = "R") -> list[Word]:
    return [Word(run_id, text, boot, 10.0 * boot + number) for number, text in enumerate(texts)]


def notes(*entries: str, run_id: str = "R") -> list[Note]:
    """``start bare boot-a`` and so on, a second apart."""
    split = [entry.split() for entry in entries]
    return [Note(word, run_id, step, boot, float(at)) for at, (word, step, boot) in enumerate(split)]


def verdict(*receipts: dict[str, Any], ok: bool = True, at: float = 100.0, **states: str) -> Verdict:
    steps = {name: {"state": state, "attempts": 1} for name, state in states.items()}
    content = {"ok": ok, "receipts": list(receipts), "restarted": bool(receipts), "steps": steps}
    return Verdict("R", at, content)


def history(**more: Any) -> History:
    """A run in which the step ``guarded`` restarts the host, and all is well; and what is different."""
    well: dict[str, Any] = {
        "host": "h",
        "boots": [A, B],
        "restarts": [Restart(0, True, 9.0)],
        "words": words("step guarded: attempt 1 starts", "step guarded: done", "state restart: step:guarded"),
        "notes": notes(f"start guarded {A}", f"end guarded {A}"),
        "verdicts": [verdict(RECEIPT, guarded="done")],
        "steps": STEPS,
    }
    return History(**(well | more))


def promises(found: History) -> set[str]:
    return {violation.promise for violation in violations(found)}


def test_all_is_well() -> None:
    assert violations(history()) == []


def test_a_power_cut_may_stand_for_a_restart() -> None:
    assert violations(history(restarts=[Restart(0, False, 9.0)])) == []


def test_a_restart_that_nobody_has_heard_of_yet() -> None:
    assert violations(history(verdicts=[verdict(ok=False, guarded="done")])) == []


@pytest.mark.parametrize(
    "receipt",
    [
        RECEIPT | {"boot_id_after": C},
        RECEIPT | {"boot_id_before": B, "boot_id_after": A},
        RECEIPT | {"boot_id_before": B, "boot_id_after": B},
    ],
)
def test_a_receipt_for_what_did_not_happen(receipt: dict[str, str]) -> None:
    assert invariants.FALSE_RESTARTED in promises(history(verdicts=[verdict(RECEIPT, receipt, guarded="done")]))


def test_two_receipts_for_one_request() -> None:
    second = RECEIPT | {"boot_id_after": C}
    found = history(boots=[A, B, C], verdicts=[verdict(RECEIPT, second, guarded="done")])
    assert invariants.FALSE_RESTARTED in promises(found)


def test_restarted_without_a_receipt() -> None:
    told = verdict(RECEIPT, guarded="done")
    lie = Verdict("R", told.at, {**told.content, "receipts": []})
    assert invariants.FALSE_RESTARTED in promises(history(verdicts=[lie, told]))


TWICE: dict[str, Any] = {"boots": [A, B, C], "restarts": [Restart(0, True, 9.0), Restart(1, True, 19.0)]}


def test_a_restart_that_nobody_asked_for() -> None:
    assert invariants.DOUBLE_RESTART in promises(history(**TWICE))


def test_a_restart_too_many_although_the_run_did_not_end_well() -> None:
    assert invariants.DOUBLE_RESTART in promises(history(**TWICE, verdicts=[verdict(RECEIPT, ok=False)]))


def test_a_second_restart_for_the_same_reason() -> None:
    again = words("state restart: step:guarded", boot=1)
    receipts = (RECEIPT, RECEIPT | {"boot_id_before": B, "boot_id_after": C})
    found = history(**TWICE, words=[*history().words, *again], verdicts=[verdict(*receipts, guarded="done")])
    assert promises(found) == {invariants.DOUBLE_RESTART}


@pytest.mark.parametrize("made_in", [(A,), (A, B)])
def test_a_file_that_asks_for_a_restart_again(made_in: Sequence[str]) -> None:
    """It is gone with the restart, so that a step of somebody, another run's too, must have made it anew."""
    asked = [word for boot in (0, 1) for word in words("state restart: /run/reboot-required", boot=boot)]
    made = [note for boot in made_in for note in notes(f"start maker {boot}", f"end maker {boot}", run_id=f"in {boot}")]
    receipts = (RECEIPT, RECEIPT | {"boot_id_before": B, "boot_id_after": C})
    found = history(**TWICE, words=asked, notes=made, verdicts=[verdict(*receipts)])
    assert promises(found) == (set() if B in made_in else {invariants.DOUBLE_RESTART})


def test_who_is_not_heard_asks_again() -> None:
    asked = words("state restart: step:guarded", "state restart: step:guarded")
    assert violations(history(words=[*history().words, *asked])) == []


def test_a_restart_that_was_late_for_a_power_cut() -> None:
    """RebootInstances may reach a host that has lost its power since it asked: once, and by that method only."""
    late: dict[str, Any] = {"boots": [A, B, C], "restarts": [Restart(0, False, 9.0), Restart(1, True, 19.0)]}
    assert violations(history(**late, by_api=True)) == []
    assert promises(history(**late)) == {invariants.DOUBLE_RESTART}


@pytest.mark.parametrize("end", ["done", "skipped", "unchanged"])
def test_a_finished_step_that_starts_again(end: str) -> None:
    again = words("step rerun: attempt 1 starts", f"step rerun: {end}", "step rerun: attempt 1 starts", boot=1)
    found = history(words=[*history().words, *again])
    assert promises(found) == {invariants.FINISHED_TWICE}


@pytest.mark.parametrize(("step", "broken"), [("bare", True), ("guarded", True), ("rerun", False)])
def test_a_step_that_begins_again_after_its_end(step: str, broken: bool) -> None:
    """Nobody has recorded the end, so that a step may begin again which says that it may."""
    again = notes(f"start {step} {B}", f"end {step} {B}", f"start {step} {B}", f"end {step} {B}")
    found = history(notes=[*history().notes, *again])
    assert (invariants.FINISHED_TWICE in promises(found)) == broken


@pytest.mark.parametrize(("step", "broken"), [("bare", True), ("guarded", False), ("rerun", False)])
def test_an_interrupted_step_that_begins_again(step: str, broken: bool) -> None:
    entries = [*notes(f"start {step} {A}", f"start {step} {B}", f"end {step} {B}"), *history().notes]
    found = history(notes=entries, verdicts=[verdict(RECEIPT)])
    assert (invariants.INTERRUPTED_AGAIN in promises(found)) == broken


def test_a_failed_step_may_begin_again() -> None:
    entries: Sequence[Note] = notes(f"start bare {A}", f"failed bare {A}", f"start bare {A}", f"end bare {A}")
    assert violations(history(notes=[*entries, *history().notes])) == []


def test_two_steps_at_work() -> None:
    other = notes(f"start bare {A}", f"end bare {A}", run_id="other")
    first = notes(f"start guarded {A}", f"end guarded {A}")
    found = history(notes=[first[0], other[0], other[1], first[1]])
    assert promises(found) == {invariants.TWO_AT_WORK}


def test_done_without_an_end() -> None:
    assert promises(history(notes=notes(f"start guarded {A}"))) == {invariants.FALSE_DONE}


@pytest.mark.parametrize(("step", "state"), [("os_updates", "done"), ("os_updates", "unchanged"), ("bare", "skipped")])
def test_a_step_that_another_run_has_done(step: str, state: str) -> None:
    """Its own run never began it, and yet says that there is nothing to do."""
    theirs = words(f"step {step}: attempt 1 starts", f"step {step}: done", run_id="other")
    told = verdict(RECEIPT, guarded="done", **{step: state})
    found = history(words=[*history().words, *theirs], verdicts=[told])
    assert promises(found) == {invariants.FALSE_DONE}


def test_done_without_the_restart_that_it_wants() -> None:
    found = history(boots=[A], restarts=[], verdicts=[verdict(guarded="done")])
    assert promises(found) == {invariants.FALSE_DONE}
    assert violations(history(boots=[A], restarts=[], verdicts=[verdict(guarded="done")], may_restart=False)) == []


def test_a_good_end_with_a_step_that_is_pending() -> None:
    assert promises(history(verdicts=[verdict(RECEIPT, guarded="done", bare="pending")])) == {invariants.FALSE_DONE}


def test_a_restart_after_the_verdict() -> None:
    assert promises(history(verdicts=[verdict(RECEIPT, guarded="done", at=8.0)])) == {invariants.AFTER_VERDICT}


def test_a_step_after_the_verdict() -> None:
    late = [Note("start", "R", "bare", B, 101.0), Note("end", "R", "bare", B, 102.0)]
    assert promises(history(notes=[*history().notes, *late])) == {invariants.AFTER_VERDICT}
