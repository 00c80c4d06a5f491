# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to say of a rollout: figures, and the whole story where a promise was broken."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pprint import pformat
from typing import Any

from random_runs.invariants import Violation
from random_runs.report import story_of

from .judge import violations
from .plan import make_plan
from .run import Outcome, play


@dataclass(frozen=True)
class Told:
    """Counts by kind and name, broken promises with how often, and the story."""

    counts: dict[Any, int]
    broken: dict[str, int]
    story: str


def tell(seed: int, *, http: bool = False) -> Told:
    """Play the rollout of a seed and judge it."""
    outcome = play(make_plan(seed), http=http)
    wrong = violations(outcome)
    return Told(
        dict(_counts(outcome)),
        dict(Counter(violation.promise for violation in wrong)),
        _story(outcome, wrong) if wrong else "",
    )


def _counts(outcome: Outcome) -> Counter[Any]:
    counts: Counter[Any] = Counter()
    for history in outcome.histories.values():
        last = list(history.last_verdicts.values())
        counts["verdict", last[0].content["status"] if last else "none"] += 1
        counts["", "restarts"] += len(history.receipts)
        counts["", "steps begun"] += sum(note.word == "start" for note in history.notes)
    for batch in outcome.batches:
        counts["stop", batch.stop or "no"] += 1
    for fault, number in outcome.fired.items():
        counts["fault", fault] += number
    counts["", "controllers"] += max(batch.controller for batch in outcome.batches) + 1 if outcome.batches else 0
    counts["", "requests"] += sum(line["kind"] == "api" for line in outcome.lines)
    return counts


def _story(outcome: Outcome, wrong: list[Violation]) -> str:
    """Seed, plan, and the history of each host that something is wrong with."""
    seed = outcome.plan.seed
    lines = [f"=== seed {seed} (again: make test-virtual RUNS=1 SEED={seed})"]
    lines += [f"!!! {violation.host}: {violation.promise}: {violation.what}" for violation in wrong]
    lines += [pformat(outcome.plan, width=118), pformat(outcome.batches, width=118)]
    for host, history in outcome.histories.items():
        if any(host in violation.host for violation in wrong):
            lines += story_of(history)
    return "\n".join(lines)
