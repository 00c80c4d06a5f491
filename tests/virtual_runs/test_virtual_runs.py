# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts on the virtual clock: they follow from their seeds, by both ways to the API, and the judge judges."""

from __future__ import annotations

from dataclasses import replace

import pytest
from random_runs.history import Verdict
from random_runs.invariants import FALSE_DONE

from .judge import NOT_STARTED, WRONG_VERDICT, violations
from .plan import Plan, make_plan
from .report import tell
from .run import Outcome, play

pytestmark = pytest.mark.once


def _told(outcome: Outcome) -> list[object]:
    """What came of a rollout, without what is random by itself: the tokens that make a request unique."""
    return [
        outcome.lines,
        outcome.batches,
        [[verdict.content for verdict in history.verdicts] for history in outcome.histories.values()],
        [history.notes for history in outcome.histories.values()],
    ]


def test_a_seed_has_one_rollout() -> None:
    plan = next(plan for plan in map(make_plan, range(100)) if plan.deaths and plan.hits and plan.troubles)
    assert _told(play(plan)) == _told(play(plan))


def test_plans_have_all_sorts_of_trouble() -> None:
    plans = [make_plan(seed) for seed in range(1, 301)]
    assert any(plan.calm for plan in plans)
    assert sum(not plan.calm for plan in plans) > 200
    assert {hit.what for plan in plans for hit in plan.hits} >= {"keeper", "power_loss", "controller", "clock_skew"}
    assert len({replace(plan, seed=0) for plan in map(_hashable, plans)}) == len(plans)


def _hashable(plan: object) -> object:
    return replace(plan, max_errors=repr(plan.max_errors))  # type: ignore[type-var, attr-defined]


def _calm() -> Plan:
    """A plan without faults that comes to its end."""
    plans = map(make_plan, range(1000))
    return next(plan for plan in plans if plan.calm and plan.restart != "never" and not plan.stops)


def test_the_whole_sdk_says_the_same() -> None:
    """Over HTTP, with signatures, nothing else comes of a rollout without faults than directly."""
    plan = _calm()
    direct, whole = play(plan), play(plan, http=True)
    assert not violations(whole)
    same = ("status", "steps", "cycles", "restarted", "failure", "changed")
    for name, history in direct.histories.items():
        ours, theirs = (
            [[verdict.content[key] for key in same] for verdict in of_host.verdicts]
            for of_host in (history, whole.histories[name])
        )
        assert ours == theirs
        assert ours


def test_a_rollout_with_faults_over_http() -> None:
    plan = next(plan for plan in map(make_plan, range(100)) if plan.troubles and plan.by_api)
    assert not tell(plan.seed, http=True).story


def test_the_judge_sees_what_is_wrong() -> None:
    outcome = play(_calm())
    assert not violations(outcome)
    name, history = next(iter(outcome.histories.items()))
    verdict = history.verdicts[-1]
    assert verdict.content["ok"]
    lie = Verdict(verdict.run_id, verdict.at, {**verdict.content, "ok": False, "failure": "script", "error_info": "?"})
    outcome.histories[name] = replace(history, verdicts=[lie])
    assert {violation.promise for violation in violations(outcome)} == {WRONG_VERDICT}
    outcome.histories[name] = replace(history, notes=[])
    assert FALSE_DONE in {violation.promise for violation in violations(outcome)}
    outcome.histories[name] = history
    outcome.batches[-1] = replace(outcome.batches[-1], stop="errors")
    assert NOT_STARTED in {violation.promise for violation in violations(outcome)}
