# SPDX-License-Identifier: GPL-3.0-or-later
"""The kill matrix: at each point of a run something dies, then the same command again. `make test-kill` runs it all.

`KILL_SAMPLE=8` takes every eighth of the points.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from end_to_end.clouds import Cloud
from kill.scenario import (
    BARE,
    LAST,
    STEPS,
    Controller,
    Point,
    assert_quiet_since,
    check,
    cut_power,
    kill_agent,
    kill_ansible,
    kill_controller,
    kill_keeper,
    ledger,
    start,
    until,
)

POINTS = [
    Point("the first command is accepted", {"action": "RunCommand", "code": "200"}),
    Point("the first command starts", {"event": "command_start"}),
    Point("a guard runs", {"text": "step guarded: its guard runs"}),
    Point("a guarded step starts", {"text": "step guarded: attempt 1 starts"}),
    Point("a guarded step is done", {"text": "step guarded: done"}),
    Point("a step that may rerun starts", {"text": "step again: attempt 1 starts"}),
    Point("a step that wants a restart is done", {"text": "step again: done"}),
    Point("a restart is requested", {"text": "state restart: step:again"}),
    Point("the first command ends", {"event": "command_end"}),
    Point("the host goes down", {"event": "shutdown"}),
    Point("the host is up again", {"event": "boot"}, 2),
    Point("the agent is up again", {"event": "agent_up"}, 2),
    Point("the second command is accepted", {"action": "RunCommand", "code": "200"}, 2),
    Point("the second command starts", {"event": "command_start"}, 2),
    Point("the last step starts", {"text": "step last: attempt 1 starts"}),
    Point("the last step is done", {"text": "step last: done"}),
    Point("the run is done", {"text": "state done"}),
    Point("the second command ends", {"event": "command_end"}, 2),
]
VICTIMS: dict[str, Callable[[Controller], None]] = {
    "controller": kill_controller,
    "keeper": kill_keeper,
    "agent": kill_agent,
    "power": cut_power,
    "ansible": kill_ansible,
}
# When its main process is gone, a controller dies within a moment at any point; four are told from those above.
MOMENTS = {"the first command is accepted", "a guarded step starts", "the host goes down", "the last step starts"}
MATRIX = [(victim, point) for victim in VICTIMS for point in POINTS if victim != "ansible" or point.name in MOMENTS]
SAMPLE = MATRIX[:: int(os.environ.get("KILL_SAMPLE", "1"))]


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.mark.parametrize(("victim", "point"), SAMPLE, ids=[f"{victim}, {point.name}" for victim, point in SAMPLE])
def test_the_same_command_again_completes(cloud: Cloud, victim: str, point: Point) -> None:
    first = start(cloud, STEPS)
    hit = until(lambda: point.passed(cloud), first)
    assert hit, first.output
    VICTIMS[victim](first)
    if victim not in ("controller", "ansible"):
        first.wait()
    second = start(cloud, STEPS, number=2)
    verdicts = second.wait()
    ended = now()
    assert second.process.returncode == 0, first.output + second.output
    assert all(verdict["ok"] for verdict in verdicts.values()), second.output
    check(cloud, verdicts, power_cuts=int(victim == "power"))
    assert_quiet_since(cloud, ended)


@pytest.mark.parametrize("victim", ["keeper", "power"])
def test_a_step_that_nobody_may_repeat_is_not_repeated(cloud: Cloud, victim: str) -> None:
    """Without a guard and without rerun an interrupted step ends the run, and says so."""
    steps = [BARE, LAST]
    first = start(cloud, steps)
    assert until(lambda: ledger(cloud, cloud.ids()["a"]) == ["start bare"], first), first.output
    cut_power(first) if victim == "power" else kill_keeper(first)
    first.wait()
    second = start(cloud, steps, number=2)
    verdicts = second.wait()
    assert verdicts["b"]["ok"], second.output
    assert ledger(cloud, cloud.ids()["a"]).count("start bare") == 1
    if not verdicts["a"]["ok"]:
        assert "was interrupted, and has neither a guard (unless) nor rerun" in verdicts["a"]["error_info"]
    check(cloud, verdicts, power_cuts=int(victim == "power"))


def test_two_controllers_with_one_run_id(cloud: Cloud) -> None:
    controllers = [start(cloud, STEPS, number=number) for number in (1, 2)]
    verdicts = [controller.wait() for controller in controllers]
    third = start(cloud, STEPS, number=3)
    final = third.wait()
    assert third.process.returncode == 0, third.output
    assert all(verdict["ok"] for verdict in final.values()), verdicts
    check(cloud, final, power_cuts=0)


def test_two_runs_on_the_same_hosts(cloud: Cloud) -> None:
    """Each run does its own steps; they take turns, and each restart has its receipt in one of them."""
    controllers = [start(cloud, STEPS, number=number, run_id=f"CHG-{number}") for number in (1, 2)]
    for controller in controllers:
        controller.wait()
    again = [start(cloud, STEPS, number=number + 2, run_id=f"CHG-{number}") for number in (1, 2)]
    reports = [controller.wait() for controller in again]
    assert [controller.process.returncode for controller in again] == [0, 0], [one.output for one in again]
    boots = cloud.audit(event="boot", instance_id=cloud.ids()["a"])
    receipts = [receipt for report in reports for receipt in report["a"]["receipts"]]
    assert {receipt["verdict"] for receipt in receipts} <= {"restarted"}
    assert len(boots) - 1 <= len(receipts) <= 2
