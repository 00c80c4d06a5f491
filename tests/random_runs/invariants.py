# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold on a host, whatever went wrong. Each invariant is a pure function: a history in, violations out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .history import History, Word

FALSE_RESTARTED = "false restarted"
DOUBLE_RESTART = "double restarts"
FINISHED_TWICE = "finished steps run twice"
INTERRUPTED_AGAIN = "interrupted steps run again"
TWO_AT_WORK = "two steps at work at once"
FALSE_DONE = "false done"
AFTER_VERDICT = "events after the last verdict"

Found = Iterator[str]


@dataclass(frozen=True)
class Violation:
    """A promise that was broken on a host."""

    promise: str
    host: str
    what: str


def violations(history: History) -> list[Violation]:
    """All that is wrong with a history."""
    return [Violation(promise, history.host, what) for promise, invariant in INVARIANTS for what in invariant(history)]


def receipts_tell_of_real_restarts(history: History) -> Found:
    """Each ``restarted`` names two boots that there were, one after the other, and proves one request."""
    proven: set[tuple[str, str]] = set()
    for run_id, _method, before, after in sorted(history.receipts):
        if before not in history.boots or after not in history.boots:
            yield f"{run_id} has a receipt with a boot that never was: {before} to {after}"
        elif history.boots.index(before) >= history.boots.index(after):
            yield f"{run_id} has a receipt for a restart that did not happen: {before} to {after}"
        if (run_id, before) in proven:
            yield f"{run_id} has two receipts for its request in boot {before}"
        proven.add((run_id, before))
    for verdict in history.verdicts:
        if verdict.content["restarted"] != bool(verdict.receipts):
            yield f"{verdict.run_id} says restarted: {verdict.content['restarted']}, and has {verdict.receipts}"


def restarts_have_receipts(history: History) -> Found:
    """No more restarts than receipts, but for those that a run without a good end has asked for last."""
    ours = sum(restart.ours for restart in history.restarts)
    open_requests = sum(not verdict.content["ok"] for verdict in history.last_verdicts.values())
    open_requests += sum(run_id not in history.last_verdicts for run_id in {word.run_id for word in history.words})
    if ours > len(history.receipts) + open_requests:
        yield f"there were {ours} restarts, and {len(history.receipts)} receipts"


def restarts_were_asked_for(history: History) -> Found:
    """For each restart a request of its own: of this boot, or a RebootInstances that was late for a power cut."""
    late_ones = 0
    for restart in history.restarts:
        requests = {word.run_id for word in _requests(history) if word.boot == restart.boot}
        if restart.ours and not requests and not late_ones:
            yield f"boot {history.boots[restart.boot]} was restarted, and no run had asked for it in that boot"
        elif restart.ours and not requests:
            late_ones -= 1
        elif not restart.ours and history.by_api:
            late_ones += bool(requests)


def reasons_are_good_for_one_restart(history: History) -> Found:
    """What a run was restarted for once, it is not restarted for again.

    A file that asks for a restart is gone with each, so that somebody's step must have made it anew.
    """
    restarted_in: dict[tuple[str, str], int] = {}
    by_us = {restart.boot for restart in history.restarts if restart.ours}
    makers = {step.name for step in history.steps.values() if step.wish == "evidence"}
    for word in _requests(history):
        boot_id, reason = history.boots[word.boot], word.text.removeprefix("state restart: ")
        if "/" in reason and not any(note.boot_id == boot_id and note.step in makers for note in history.notes):
            yield f"{word.run_id} asked in boot {boot_id} for a restart because of {reason}, which nobody had made"
        # Who is not heard asks again, in the same boot.
        again = "/" not in reason and restarted_in.setdefault((word.run_id, reason), word.boot) != word.boot
        if again and word.boot in by_us:
            yield f"{word.run_id} was restarted again for the same reason, {reason}, in boot {boot_id}"


def finished_steps_stay_finished(history: History) -> Found:
    """A step that a keeper has recorded as finished never starts again in its run."""
    finished: set[tuple[str, str]] = set()
    for word in history.words:
        said = re.fullmatch(r"step (\S+): (done|unchanged|skipped|attempt \d+ starts)", word.text)
        if said and not said[2].startswith("attempt"):
            finished.add((word.run_id, said[1]))
        elif said and (word.run_id, said[1]) in finished:
            yield f"{word.run_id}: step {said[1]} started again after it had finished"
    ended: set[tuple[str, str]] = set()
    for note in history.notes:
        if note.word == "end":
            ended.add((note.run_id, note.step))
        elif note.word == "start" and (note.run_id, note.step) in ended and history.steps[note.step].kind != "rerun":
            yield f"{note.run_id}: {history.steps[note.step].kind} step {note.step} ran again after its end"


def interrupted_steps_need_leave(history: History) -> Found:
    """A step that began and did not come to an end begins again only with a guard, or with ``rerun``."""
    begun: set[tuple[str, str]] = set()
    for note in history.notes:
        key = note.run_id, note.step
        if note.word != "start":
            begun.discard(key)
        elif key in begun and history.steps[note.step].kind == "bare":
            yield f"{note.run_id}: bare step {note.step} was interrupted, and began again"
        else:
            begun.add(key)


def one_step_at_a_time(history: History) -> Found:
    """In a boot nothing begins while something else has not ended."""
    at_work = None
    for note in history.notes:
        if note.word == "start":
            if at_work and at_work.boot_id == note.boot_id:
                yield f"{note.run_id}: {note.step} began while {at_work.run_id}: {at_work.step} was at work"
            at_work = note
        else:
            at_work = None


def done_is_done(history: History) -> Found:
    """Who says that a step is done, or need not be, has it from this very run; and the restart it wanted came after."""
    for run_id, verdict in history.last_verdicts.items():
        if not verdict.content["ok"]:
            continue
        for name, told in verdict.content["steps"].items():
            step = history.steps[name]
            if told["state"] == "pending":
                yield f"{run_id} ended well, and its step {name} is pending"
            if told["state"] == "skipped" and not _began(history, run_id, name):
                yield f"{run_id} skipped step {name}, which had never begun in it"
            if step.kind == "os_updates" and not _began(history, run_id, name):
                yield f"{run_id} says that step {name} is {told['state']}, and it never began"
            if told["state"] != "done" or step.kind == "os_updates":
                continue
            ends = [note for note in history.notes if (note.word, note.run_id, note.step) == ("end", run_id, name)]
            if not ends:
                yield f"{run_id} says that step {name} is done, and it never came to its end"
            elif step.wants_restart and history.may_restart and ends[-1].boot_id == history.boots[-1]:
                yield f"{run_id} ended well without the restart that step {name} wants"


def nothing_after_the_verdict(history: History) -> Found:
    """Once every controller has said its last word, no step begins and no restart."""
    if not history.verdicts:
        return
    last = max(verdict.at for verdict in history.verdicts)
    for restart in history.restarts:
        if restart.ours and restart.at > last:
            yield f"boot {history.boots[restart.boot]} was restarted {restart.at - last:.1f} s later"
    for note in history.notes:
        if note.word == "start" and note.at > last:
            yield f"{note.run_id}: step {note.step} began {note.at - last:.1f} s later"


def _began(history: History, run_id: str, step: str) -> bool:
    starts = re.compile(rf"step {step}: attempt \d+ starts")
    return any(word.run_id == run_id and starts.fullmatch(word.text) for word in history.words)


def _requests(history: History) -> list[Word]:
    return [word for word in history.words if word.text.startswith("state restart: ")]


INVARIANTS: tuple[tuple[str, Callable[[History], Found]], ...] = (
    (FALSE_RESTARTED, receipts_tell_of_real_restarts),
    (DOUBLE_RESTART, restarts_have_receipts),
    (DOUBLE_RESTART, restarts_were_asked_for),
    (DOUBLE_RESTART, reasons_are_good_for_one_restart),
    (FINISHED_TWICE, finished_steps_stay_finished),
    (INTERRUPTED_AGAIN, interrupted_steps_need_leave),
    (TWO_AT_WORK, one_step_at_a_time),
    (FALSE_DONE, done_is_done),
    (AFTER_VERDICT, nothing_after_the_verdict),
)
