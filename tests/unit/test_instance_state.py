# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing instances into a state: each asked once, waited for, and told truly."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._instances.bring import set_state
from ansible_collections.cloudops.alibaba.plugins.module_utils._instances.power import reboot
from ansible_collections.cloudops.alibaba.plugins.module_utils._instances.state import Wish
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import BadInput
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.shapes import PowerRow
from ansible_collections.cloudops.alibaba.plugins.module_utils._waiting import Deadline
from ansible_collections.cloudops.alibaba.tests.unit.fakes import (
    REGION,
    FakeApi,
    FakeClock,
    Lines,
    api_error,
    instance,
    no_answer,
)

STOPPED = Wish("stopped")
RUNNING = Wish("running")


class World:
    """Instances that get where they are sent after some seconds, or do not."""

    def __init__(self, **statuses: str) -> None:
        self.clock = FakeClock()
        self.ids = [name.replace("_", "-") for name in statuses]
        self.api = FakeApi.of(self.clock, *self.ids, on_power=self.power)
        self.due: dict[str, tuple[float, str]] = {}
        self.stuck: set[str] = set()
        self.answers: dict[str, PowerRow | Exception] = {}
        self.lines = Lines(self.clock)
        for instance_id, status in zip(self.ids, statuses.values()):
            self.put(instance_id, status)
        self.clock.on_sleep = self.pass_time

    def put(self, instance_id: str, status: str) -> None:
        self.api.instances[instance_id] = instance(instance_id, status=status)

    def power(self, action: str, instance_id: str) -> PowerRow | Exception:
        on_the_way, there = ("Starting", "Running") if action == "start_instances" else ("Stopping", "Stopped")
        answer = self.answers.get(instance_id, PowerRow(instance_id, "200", "success"))
        if isinstance(answer, Exception) or answer.accepted:
            self.put(instance_id, on_the_way)
            self.due[instance_id] = self.clock.now + 20, there
        return answer

    def pass_time(self) -> None:
        for instance_id, (due, status) in list(self.due.items()):
            if self.clock.now >= due and instance_id not in self.stuck:
                self.put(instance_id, status)

    def bring(self, wish: Wish, **more: Any) -> dict[str, Any]:
        options = {"timeout_s": 300, "dry": False, "fail": True, "clock": self.clock, "progress": self.lines}
        return set_state(lambda: self.api, more.pop("ids", self.ids), wish, **options | more)

    def asked(self) -> list[Any]:
        return self.api.called("start_instances") + self.api.called("stop_instances")


@pytest.mark.parametrize(
    ("wish", "other", "wanted"), [(STOPPED, "Running", "Stopped"), (RUNNING, "Stopped", "Running")]
)
def test_only_those_that_are_not_so_are_asked_and_all_are_waited_for(wish: Wish, other: str, wanted: str) -> None:
    world = World(i_1=other, i_2=wanted)
    result = world.bring(wish)
    assert world.asked() == [["i-1"]]
    assert result["succeeded_ids"] == ["i-1", "i-2"]
    assert result["changed"] is True
    assert result["diff"] == {"before": {"i-1": other}, "after": {"i-1": wanted}}
    assert [row["changed"] for row in result["instances"].values()] == [True, False]
    assert world.lines.lines[0] == f"{wish.doing} 1 instance, at most 5 min"
    again = world.bring(wish)
    assert (again["changed"], again["diff"]["after"], len(world.asked())) == (False, {}, 1)


def test_what_is_on_its_way_is_waited_for_and_then_asked() -> None:
    world = World(i_1="Stopping", i_2="Starting")
    world.due = {"i-1": (world.clock.now + 5, "Stopped"), "i-2": (world.clock.now + 5, "Running")}
    result = world.bring(RUNNING)
    assert world.asked() == [["i-1"]]
    assert [row["changed"] for row in result["instances"].values()] == [True, False]
    assert result["succeeded_ids"] == ["i-1", "i-2"]


def test_a_lost_answer_is_looked_into_and_never_repeated() -> None:
    world = World(i_1="Running")
    world.answers = {"i-1": no_answer(sent=True)}
    result = world.bring(STOPPED)
    assert world.asked() == [["i-1"]]
    assert result["instances"]["i-1"]["ok"] is True
    assert result["changed"] is True


def test_a_lost_answer_and_nothing_to_be_seen_of_it_is_unknown() -> None:
    world = World(i_1="Running")
    world.answers = {"i-1": api_error("InternalError", status=500)}
    world.stuck = {"i-1"}
    result = world.bring(STOPPED, timeout_s=60)
    row = result["instances"]["i-1"]
    assert (row["failure"], row["changed"], row["error_code"]) == ("lost", True, "InternalError")
    assert row["error_info"].startswith(
        "It is unknown whether StopInstances took effect; the instance is still Stopping"
    )
    assert world.asked() == [["i-1"]]


@pytest.mark.parametrize(
    "code", ["IncorrectInstanceStatus", "InstanceLockedForSecurity", "InstanceExpiredOrInArrears", "DiskError"]
)
def test_one_that_is_refused_keeps_the_others_from_nothing_and_is_told_what_to_do(code: str) -> None:
    world = World(i_1="Running", i_2="Running")
    world.answers = {"i-1": PowerRow("i-1", code, "No.")}
    result = world.bring(STOPPED)
    row = result["instances"]["i-1"]
    assert (result["succeeded_ids"], result["failed_ids"]) == (["i-2"], ["i-1"])
    assert (row["failure"], row["error_code"], row["changed"], row["status"]) == ("instance", code, False, "Running")
    assert row["error_info"].startswith(f"StopInstances refused this instance: No (code {code}). ")
    assert row["error_info"].endswith(".")
    assert result["msg"].startswith("Stopping failed on 1 of 2 instances. i-1: ")


def test_refused_because_somebody_else_was_faster_is_no_failure() -> None:
    world = World(i_1="Running")

    def faster(action: str, instance_id: str) -> PowerRow:
        world.put(instance_id, "Stopped")
        return PowerRow(instance_id, "IncorrectInstanceStatus", "no")

    world.api.on_power = faster
    row = world.bring(STOPPED)["instances"]["i-1"]
    assert (row["ok"], row["changed"], row["status"]) == (True, False, "Stopped")


def test_a_call_that_is_rejected_for_one_is_made_without_it() -> None:
    world = World(**{f"i_{number}": "Running" for number in range(5)})
    world.answers = {"i-3": api_error("InstanceLockedForSecurity", status=403)}
    plain = world.api.on_power
    world.api.on_power = lambda action, id_: world.answers[id_] if id_ in world.answers else plain(action, id_)
    result = world.bring(STOPPED)
    assert result["failed_ids"] == ["i-3"]
    assert result["succeeded_ids"] == ["i-0", "i-1", "i-2", "i-4"]
    assert [call for call in world.asked() if "i-3" not in call] == [["i-0", "i-1"], ["i-2"], ["i-4"]]


def test_what_is_refused_for_all_is_not_tried_for_each() -> None:
    world = World(i_1="Running", i_2="Running")
    world.api.on_power = lambda action, id_: api_error("Forbidden.RAM", status=403)
    result = world.bring(STOPPED)
    assert len(world.asked()) == 1
    assert result["failed_ids"] == ["i-1", "i-2"]
    assert "permission" in result["instances"]["i-2"]["error_info"]


def test_one_that_gets_nowhere_is_a_timeout() -> None:
    world = World(i_1="Running", i_2="Pending")
    world.stuck = {"i-1", "i-2"}
    rows = world.bring(STOPPED, timeout_s=60)["instances"]
    assert rows["i-1"]["error_info"] == "StopInstances was accepted, and the instance is still Stopping after 60 s."
    assert rows["i-2"]["error_info"] == "StopInstances was not sent, because the instance is still Pending after 60 s."
    assert {row["failure"] for row in rows.values()} == {"timeout"}
    assert sum(world.clock.sleeps) == pytest.approx(60)


def test_released_ones_and_those_of_other_regions_are_told() -> None:
    world = World(i_1="Running")

    def release(action: str, instance_id: str) -> PowerRow:
        del world.api.instances[instance_id]
        return PowerRow(instance_id, "200", "")

    world.api.on_power = release
    rows = world.bring(STOPPED, ids=["i-1", "i-far"], fail=False)["instances"]
    for row in rows.values():
        assert (row["ok"], row["status"], row["failure"]) == (False, None, "instance")
        assert row["error_info"].startswith(
            f"There is no such instance in {REGION}. Check the instance id and the region"
        )
    assert world.asked() == [["i-1"]]


def test_an_api_that_is_deaf_for_a_while_is_no_news() -> None:
    world = World(i_1="Running")
    world.api.deaf = lambda: no_answer(sent=True) if world.asked() and len(world.clock.sleeps) < 3 else None
    assert world.bring(STOPPED)["succeeded_ids"] == ["i-1"]


def test_check_mode_predicts_and_asks_for_nothing() -> None:
    world = World(i_1="Running", i_2="Stopped", i_3="Stopping")
    result = world.bring(STOPPED, dry=True, ids=[*world.ids, "i-nope"], fail=False)
    assert world.asked() == []
    assert [(row["ok"], row["changed"]) for row in result["instances"].values()] == [
        (None, True),
        (True, False),
        (None, False),
        (False, False),
    ]
    assert result["diff"] == {"before": {"i-1": "Running"}, "after": {"i-1": "Stopped"}}
    assert (result["changed"], result["failed_ids"]) == (True, ["i-nope"])
    assert world.clock.sleeps == []


@pytest.mark.parametrize("dry", [True, False])
def test_an_id_that_there_is_not_is_refused_before_the_others_are_stopped(dry: bool) -> None:
    world = World(i_1="Running")
    with pytest.raises(BadInput, match=r"1 of 2 instances cannot take part\. i-far: There is no such instance in "):
        world.bring(STOPPED, ids=["i-1", "i-far"], dry=dry)
    assert world.asked() == []


@pytest.mark.parametrize(
    ("ids", "wish", "more", "words"),
    [
        ([], STOPPED, {}, "instance_ids is empty"),
        (["i-1", "i-1"], STOPPED, {}, "i-1 is in instance_ids more than once"),
        (["mi-1"], STOPPED, {}, "mi-1 is a managed instance, not an ECS instance"),
        (["i-1"], Wish("running", force=True), {}, "force is for state: stopped only."),
        (["i-1"], Wish("running", stopped_mode="KeepCharging"), {}, "stopped_mode is for state: stopped only."),
        (["i-1"], STOPPED, {"timeout_s": 0}, "timeout must be at least 1 second."),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(ids: list[str], wish: Wish, more: Any, words: str) -> None:
    world = World(i_1="Running")
    for dry in (False, True):
        with pytest.raises(BadInput) as caught:
            world.bring(wish, ids=ids, dry=dry, **more)
        assert words in str(caught.value)
    assert world.api.calls == []


def test_a_restart_is_asked_for_in_halves_when_one_spoils_the_call() -> None:
    world = World(i_1="Running", i_2="Running")
    world.api.on_reboot = lambda id_: (
        api_error("DiskError", status=403) if id_ == "i-1" else PowerRow(id_, "200", "success")
    )
    answers = reboot(world.api, ["i-1", "i-2"], deadline=Deadline(world.clock, 60))
    assert answers["i-2"] is None
    assert answers["i-1"]
    assert (answers["i-1"].kind, answers["i-1"].code) == ("instance", "DiskError")
    assert world.api.called("reboot_instances") == [["i-1", "i-2"], ["i-1"], ["i-2"]]
