# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans follow from their seeds, and histories from what the witnesses wrote."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

from ansible_collections.cloudops.alibaba.plugins.module_utils._instances.agent_version import agent_version
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.preflight import EXIT_CODE_AGENT
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.steps import check_run_id, read_steps

from random_runs.history import Note, Restart, Word, read_history
from random_runs.plan import OLD_AGENT, Moment, make_plan

PLANS = [make_plan(seed) for seed in range(300)]


def test_a_seed_has_one_plan() -> None:
    assert [make_plan(plan.seed) for plan in PLANS] == PLANS
    assert len({repr(replace(plan, seed=0)) for plan in PLANS}) == len(PLANS)


def test_the_collection_takes_every_plan() -> None:
    for plan in PLANS:
        for run_id in plan.run_ids:
            check_run_id(run_id)
            assert len(read_steps([step.options(run_id) for step in plan.steps])) == len(plan.steps)
    assert agent_version(OLD_AGENT) < EXIT_CODE_AGENT


def test_scripts_are_shell() -> None:
    for plan in PLANS[:8]:
        for step in plan.steps:
            script = step.options(plan.run_id)["script"]
            if script:
                subprocess.run(["sh", "-n"], input=script, text=True, check=True)


def test_plans_have_everything() -> None:
    steps = [step for plan in PLANS for step in plan.steps]
    assert {step.kind for step in steps} == {"bare", "guarded", "rerun", "os_updates"}
    assert {(step.restart, step.wish) for step in steps} >= {("always", "none"), ("if_required", "exit_code")}
    assert {bool(step.fails) for step in steps} == {bool(step.hangs) for step in steps} == {True, False}
    assert {plan.rival for plan in PLANS} == {"none", "same run", "other run"}
    assert {plan.by_api for plan in PLANS} == {True, False}
    assert {hit.victim for plan in PLANS for hit in plan.hits} == {
        "controller", "keeper", "agent_killed", "agent_offline", "power_loss", "report_lost"
    }  # fmt: skip
    assert {(loss.action, bool(loss.delay_s)) for plan in PLANS for loss in plan.losses} >= {
        ("RebootInstances", False), ("RebootInstances", True), ("RunCommand", False)
    }  # fmt: skip
    assert {plan.rival_method == plan.method for plan in PLANS if plan.rival == "same run"} == {True, False}


def test_a_moment() -> None:
    moment = Moment((("event", "syslog"), ("text", ": done")))
    assert moment.fits({"event": "syslog", "text": "run R: step one: done"})
    assert not moment.fits({"event": "syslog", "text": "run R: step one: skipped"})
    assert not moment.fits({"action": "RunCommand"})


def test_a_history() -> None:
    audit = [
        {"kind": "machine", "time": "2026-01-01T00:00:00.000Z", "event": "boot", "boot_id": "a"},
        {"kind": "api", "time": "2026-01-01T00:00:01.000Z", "action": "RunCommand"},
        {"kind": "machine", "time": "2026-01-01T00:00:02.000Z", "event": "syslog", "text": "x: run R: step one: done"},
        {"kind": "machine", "time": "2026-01-01T00:00:03.000Z", "event": "shutdown", "cause": "power_loss"},
        {"kind": "machine", "time": "2026-01-01T00:00:04.000Z", "event": "shutdown", "cause": "api"},
        {"kind": "machine", "time": "2026-01-01T00:00:05.000Z", "event": "boot", "boot_id": "b"},
        {"kind": "machine", "time": "2026-01-01T00:00:06.000Z", "event": "shutdown", "cause": "power_loss"},
    ]
    lines = [json.loads(json.dumps(line)) for line in audit]
    found = read_history(PLANS[0], "h", lines, ["start R one a 1767225601.500"], [])
    assert found.boots == ["a", "b"]
    assert found.restarts == [Restart(0, True, 1767225604.0), Restart(1, False, 1767225606.0)]
    assert found.words == [Word("R", "step one: done", 0, 1767225602.0)]
    assert found.notes == [Note("start", "R", "one", "a", 1767225601.5)]
