# SPDX-License-Identifier: GPL-3.0-or-later
"""What a campaign has to say: the figures, and of a run that broke a promise all that a reader needs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pprint import pformat

from .history import History, seconds
from .invariants import INVARIANTS
from .run import Outcome


def told(outcome: Outcome) -> str:
    """A line, or the whole story when a promise was broken."""
    if outcome.violations:
        return _story(outcome)
    verdicts = ", ".join(
        f"{run_id} {verdict.content['status']}"
        for history in outcome.histories
        for run_id, verdict in history.last_verdicts.items()
    )
    return f"seed {outcome.plan.seed}: {outcome.controllers} controllers, {outcome.seconds:.0f} s: {verdicts}"


def _story(outcome: Outcome) -> str:
    """Seed, plan, and the history of each host."""
    lines = [f"=== seed {outcome.plan.seed} (again: make test-random RUNS=1 SEED={outcome.plan.seed})"]
    lines += [f"!!! {violation.host}: {violation.promise}: {violation.what}" for violation in outcome.violations]
    lines.append(pformat(outcome.plan, width=118))
    for history in outcome.histories:
        lines += story_of(history)
    return "\n".join(lines)


def story_of(history: History) -> list[str]:
    """All that happened on a host, in its order."""
    events = sorted(_events(history), key=lambda event: event[0])
    return [f"--- {history.host}", *(f"{_clock(at)} {text}" for at, text in events)]


def _events(history: History) -> Iterator[tuple[float, str]]:
    for line in history.lines:
        if not str(line.get("action", "")).startswith("Describe"):
            kept = {key: value for key, value in line.items() if key not in ("time", "instance_id", "caller")}
            yield seconds(line["time"]), json.dumps(kept, ensure_ascii=False)
    for note in history.notes:
        yield note.at, f"ledger: {note.word} {note.run_id} {note.step} in boot {note.boot_id}"
    for verdict in history.verdicts:
        told = ("status", "failure", "error_info", "restarted", "steps", "receipts", "cycles", "invoke_ids")
        words = {key: verdict.content[key] for key in told}
        yield verdict.at, f"verdict of {verdict.run_id}: {words}"


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%H:%M:%S.%f")[:-3]


def figures(outcomes: Sequence[Outcome]) -> str:
    """The end of a campaign."""
    histories = [history for outcome in outcomes for history in outcome.histories]
    last = Counter(
        "ok" if verdict.content["ok"] else verdict.content["status"]
        for history in histories
        for verdict in history.last_verdicts.values()
    )
    on_the_way = sum(verdict.content["status"] == "unknown" for history in histories for verdict in history.verdicts)
    fired: Counter[str] = sum((outcome.fired for outcome in outcomes), Counter())
    broken = Counter(violation.promise for outcome in outcomes for violation in outcome.violations)
    promises = dict.fromkeys(promise for promise, _invariant in INVARIANTS)
    return "\n".join(
        (
            f"runs {len(outcomes)} on {len(histories)} hosts, {sum(outcome.controllers for outcome in outcomes)} "
            f"controllers, {sum(len(history.notes) for history in histories)} lines of ledger",
            f"a run took {sum(outcome.seconds for outcome in outcomes) / max(1, len(outcomes)):.0f} s, the longest "
            f"{max((outcome.seconds for outcome in outcomes), default=0):.0f} s",
            f"restarts proven {sum(len(history.receipts) for history in histories)} "
            f"(machines went down {sum(len(history.restarts) for history in histories)} times)",
            f"last verdicts: {_counts(last)}; unknown on the way {on_the_way}",
            f"faults fired: {_counts(fired)}",
            ", ".join(f"{promise} {broken[promise]}" for promise in promises),
        )
    )


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{key} {number}" for key, number in sorted(counts.items())) or "none"
