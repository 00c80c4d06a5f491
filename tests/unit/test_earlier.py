# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking over from an earlier controller of the same run: nothing is asked twice that need not be."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.health import Health
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.steps import Step
from ansible_collections.cloudops.alibaba.tests.unit.fakes import api_error
from ansible_collections.cloudops.alibaba.tests.unit.test_batch import DONE, WANTS_API_RESTART, World, say


def sent(world: World) -> int:
    return len(world.api.called("run_command"))


def start_and_die(world: World) -> None:
    """A controller that sends its command and is killed."""
    batch = world.batch()
    batch._ask(batch._hosts)


def test_what_still_runs_is_listened_to() -> None:
    world = World(i_1=[DONE], i_2=[DONE])
    world.api.seconds = lambda _id: 100.0
    start_and_die(world)
    verdicts = world.batch(resumed=world.answers).run()
    assert {row["status"] for row in verdicts.values()} == {"patched"}
    assert sent(world) == 1
    assert "2 hosts still at work for an earlier start of the run" in world.progress.lines


def test_who_is_done_is_not_asked_again() -> None:
    world = World(i_1=[DONE], i_2=[say("failed", 1), DONE])
    start_and_die(world)
    world.clock.sleep(1000)
    verdicts = world.batch(resumed=world.answers).run()
    # A step that failed may have been mended: that host is asked.
    assert {row["status"] for row in verdicts.values()} == {"patched"}
    assert world.api.called("run_command") == [["i-1", "i-2"], ["i-2"]]


def test_who_was_well_is_looked_at_again() -> None:
    """An old answer says nothing of how a host is now; one that is to come does."""
    world = World(i_1=[DONE, DONE], i_2=[DONE])
    world.health = Health(script="true\n")
    world.api.seconds = lambda instance_id: 100.0 if instance_id == "i-2" else 1.0
    start_and_die(world)
    world.clock.sleep(50)
    assert {row["status"] for row in world.batch(resumed=world.answers).run().values()} == {"patched"}
    assert world.api.called("run_command") == [["i-1", "i-2"], ["i-1"]]


def test_an_answer_to_something_else_is_none() -> None:
    world = World(i_1=[DONE, DONE])
    start_and_die(world)
    world.steps = [Step("another", script="true")]
    world.batch(resumed=world.answers).run()
    assert sent(world) == 2


@pytest.mark.parametrize("answer", [say("late", 76), {"status": "Timeout", "exit_code": None}])
def test_the_time_of_the_earlier_controller_is_not_ours(answer: dict[str, Any]) -> None:
    world = World(i_1=[answer, DONE])
    world.api.seconds = lambda _id: 5.0
    start_and_die(world)
    verdicts = world.batch(resumed=world.answers).run()
    assert verdicts["i-1"]["status"] == "patched"
    assert sent(world) == 2


def test_an_api_that_does_not_tell_is_no_obstacle() -> None:
    world = World(i_1=[DONE])

    def refuse(_tags: Any) -> Any:
        raise api_error("Forbidden.RAM")

    world.api.describe_invocations = refuse  # type: ignore[method-assign]
    assert world.batch(resumed=world.answers).run()["i-1"]["ok"]


def test_a_restart_that_another_controller_was_asked_for_is_not_sent() -> None:
    """The other one may be alive: both would have heard the same word."""
    world = World(i_1=[WANTS_API_RESTART, DONE])
    world.api.seconds = lambda _id: 5.0
    start_and_die(world)
    assert world.batch("exit_code", resumed=world.answers).run()["i-1"]["ok"]
    assert world.restarts == []
