# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents: which versions will do, and bringing them online."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._instances.agent_version import at_least
from ansible_collections.cloudops.alibaba.plugins.module_utils._instances.agents import Demand
from ansible_collections.cloudops.alibaba.plugins.module_utils._instances.install import ensure_agents
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import BadInput
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.shapes import PowerRow
from ansible_collections.cloudops.alibaba.tests.unit.fakes import (
    FakeApi,
    FakeClock,
    Lines,
    agent,
    api_error,
    instance,
    no_answer,
)
from hypothesis import given
from hypothesis import strategies as st

OLD, NEW = "2.2.3.250", "2.2.4.1065"


@pytest.mark.parametrize(
    ("version", "minimum", "enough"),
    [
        ("2.2.3.317", "2.2.3.317", True),
        ("2.2.3.1065", "2.2.3.317", True),
        ("2.2.3.250", "2.2.3.317", False),
        ("2.1.4.1065", "2.2.3.317", True),
        ("2.1.3.282", "2.2.3.317", False),
        ("2.2.3.317", "2.1.3.317", True),
        ("1.0.2.569", "2.2.3.282", False),
        ("", "2.2.3.317", False),
        ("unknown", "2.2.3.317", False),
    ],
)
def test_a_build_counts_and_not_its_platform(version: str, minimum: str, enough: bool) -> None:
    assert at_least(version, minimum) is enough


@given(st.tuples(*[st.integers(0, 3000)] * 4), st.tuples(*[st.integers(0, 3000)] * 4))
def test_of_two_versions_one_is_at_least_the_other(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    left, right = ".".join(map(str, one)), ".".join(map(str, other))
    assert at_least(left, left)
    assert at_least(left, right) or at_least(right, left)
    both = at_least(left, right) and at_least(right, left)
    assert both is ((one[0], *one[2:]) == (other[0], *other[2:]))


class World:
    """Agents that come online some seconds after their installation, or do not."""

    def __init__(self, *ids: str) -> None:
        self.clock = FakeClock()
        self.ids = list(ids)
        self.api = FakeApi.of(self.clock, *ids, on_power=self.install)
        self.lines = Lines(self.clock)
        self.due: dict[str, float] = {}
        self.stuck: set[str] = set()
        self.answers: dict[str, Exception] = {}
        self.clock.on_sleep = self.pass_time

    def offline(self, *ids: str) -> None:
        for instance_id in ids:
            self.api.agents[instance_id] = agent(instance_id, online=False, version="", last_heartbeat=None)

    def install(self, action: str, instance_id: str) -> PowerRow | Exception:
        self.due[instance_id] = self.clock.now + 30
        return self.answers.get(instance_id, PowerRow(instance_id, "200", ""))

    def pass_time(self) -> None:
        for instance_id, due in self.due.items():
            if self.clock.now >= due and instance_id not in self.stuck:
                self.api.agents[instance_id] = agent(instance_id, version=NEW)

    def ensure(self, demand: Demand | None = None, **more: Any) -> dict[str, Any]:
        options: dict[str, Any] = {"install_after_s": 60, "timeout_s": 300, "dry": False, "fail": True}
        options |= {"clock": self.clock, "progress": self.lines} | more
        return ensure_agents(lambda: self.api, options.pop("ids", self.ids), demand or Demand(), **options)

    def installed(self) -> list[Any]:
        return self.api.called("install_cloud_assistant")


def test_agents_that_are_online_and_new_enough_are_left_alone() -> None:
    world = World("i-1", "i-2")
    result = world.ensure(Demand("2.2.3.317"))
    assert (result["changed"], result["succeeded_ids"], world.installed()) == (False, ["i-1", "i-2"], [])
    assert result["diff"] == {"before": {}, "after": {}}
    assert world.lines.lines == []


def test_a_silent_one_is_installed_after_some_patience_and_waited_for() -> None:
    world = World("i-1", "i-2")
    world.offline("i-1")
    start = world.clock.now
    result = world.ensure()
    assert world.installed() == [["i-1"]]
    assert world.due["i-1"] - 30 - start >= 60
    assert result["succeeded_ids"] == ["i-1", "i-2"]
    assert result["instances"]["i-1"]["agent"]["version"] == NEW
    assert result["instances"]["i-1"]["agent_before"]["online"] is False
    assert result["diff"] == {"before": {"i-1": "not online"}, "after": {"i-1": f"online, version {NEW}"}}
    assert world.lines.lines[0] == "Waiting for 1 agent to be online, at most 5 min"
    assert world.ensure()["changed"] is False


def test_one_that_says_hello_in_time_is_not_installed() -> None:
    world = World("i-1")
    world.offline("i-1")
    world.due["i-1"] = world.clock.now + 20
    result = world.ensure()
    assert (result["changed"], result["succeeded_ids"], world.installed()) == (False, ["i-1"], [])


def test_an_old_one_is_installed_over_at_once() -> None:
    world = World("i-1")
    world.api.agents["i-1"] = agent("i-1", version=OLD)
    start = world.clock.now
    assert world.ensure(Demand("2.2.3.317"))["succeeded_ids"] == ["i-1"]
    assert world.installed() == [["i-1"]]
    assert world.clock.now - start < 60


def test_windows_has_its_own_numbers_and_may_have_its_own_minimum() -> None:
    world = World("i-1")
    world.api.instances["i-1"] = instance("i-1", os_type="windows")
    world.api.agents["i-1"] = agent("i-1", version="2.1.3.317")
    assert world.ensure(Demand("2.2.3.317"))["succeeded_ids"] == ["i-1"]
    result = world.ensure(Demand("2.2.3.317", "2.1.4.1065"), install_after_s=None, timeout_s=5)
    assert result["failed_ids"] == ["i-1"]
    assert result["instances"]["i-1"]["minimum_version"] == "2.1.4.1065"
    assert "Its agent is still 2.1.3.317 after 5 s, and 2.1.4.1065 is wanted." in result["msg"]


def test_many_are_installed_fifty_at_a_time() -> None:
    ids = [f"i-{number}" for number in range(120)]
    world = World(*ids)
    world.offline(*ids)
    world.ensure(install_after_s=0)
    assert [len(call) for call in world.installed()] == [50, 50, 20]


def test_without_installing_they_are_only_waited_for() -> None:
    world = World("i-1")
    world.offline("i-1")
    result = world.ensure(install_after_s=None, timeout_s=30)
    row = result["instances"]["i-1"]
    assert world.installed() == []
    assert (row["failure"], row["changed"]) == ("agent", False)
    assert row["error_info"].startswith("Its agent is not online after 30 s.")


def test_one_that_stays_away_after_all_is_told_what_to_do() -> None:
    world = World("i-1", "i-2")
    world.offline("i-1", "i-2")
    world.stuck = {"i-2"}
    result = world.ensure()
    row = result["instances"]["i-2"]
    assert (result["succeeded_ids"], row["failure"], row["changed"]) == (["i-1"], "agent", True)
    assert row["error_info"].startswith("InstallCloudAssistant was accepted, and its agent is not online after 5 min.")
    assert world.installed() == [["i-1", "i-2"]]


def test_a_lost_answer_is_looked_into_and_never_repeated() -> None:
    world = World("i-1", "i-2")
    world.offline("i-1", "i-2")
    world.answers = {"i-1": no_answer(sent=True)}
    world.stuck = {"i-2"}
    result = world.ensure(install_after_s=0)
    assert world.installed() == [["i-1", "i-2"]]
    assert result["instances"]["i-1"]["ok"]
    assert result["instances"]["i-2"]["failure"] == "lost"
    assert "It is unknown whether the agent was installed" in result["msg"]


def test_one_that_spoils_the_call_keeps_the_others_from_nothing() -> None:
    world = World("i-1", "i-2")
    world.offline("i-1", "i-2")
    world.answers = {"i-1": api_error("InvalidInstance.NotFound", status=404)}
    result = world.ensure(install_after_s=0)
    assert result["succeeded_ids"] == ["i-2"]
    assert result["instances"]["i-1"]["error_code"] == "InvalidInstance.NotFound"
    assert result["instances"]["i-1"]["changed"] is False


def test_instances_that_do_not_run_or_are_not_there_fail_and_are_not_waited_for() -> None:
    world = World("i-1")
    world.api.instances["i-1"] = instance("i-1", status="Stopped")
    world.offline("i-1")
    result = world.ensure(ids=["i-1", "i-nope"], fail=False)
    assert world.clock.sleeps == []
    assert result["instances"]["i-1"]["error_info"] == "The instance is Stopped, not Running. Start it first."
    assert result["instances"]["i-nope"]["error_info"].startswith("There is no such instance in cn-test.")
    assert {row["failure"] for row in result["instances"].values()} == {"instance"}


@pytest.mark.parametrize("dry", [True, False])
def test_an_id_that_there_is_not_is_refused_before_anything_is_installed(dry: bool) -> None:
    world = World("i-1")
    world.offline("i-1")
    with pytest.raises(BadInput, match=r"1 of 2 instances cannot take part\. i-nope: There is no such instance in "):
        world.ensure(ids=["i-1", "i-nope"], dry=dry, install_after_s=0)
    assert world.installed() == []


def test_one_that_is_stopped_meanwhile_or_released_is_told() -> None:
    world = World("i-1", "i-2")
    world.offline("i-1", "i-2")
    world.stuck = {"i-1", "i-2"}
    plain = world.pass_time

    def away() -> None:
        plain()
        world.api.instances["i-1"] = instance("i-1", status="Stopped")
        world.api.instances.pop("i-2", None)

    world.clock.on_sleep = away
    rows = world.ensure(timeout_s=20)["instances"]
    assert rows["i-1"]["error_info"].startswith("The instance is Stopped")
    assert rows["i-2"]["error_info"].startswith("There is no such instance")


def test_check_mode_predicts_and_installs_nothing() -> None:
    world = World("i-1", "i-2", "i-3")
    world.offline("i-2")
    world.api.instances["i-3"] = instance("i-3", status="Stopped")
    result = world.ensure(Demand("2.2.3.317"), dry=True)
    assert (world.installed(), world.clock.sleeps) == ([], [])
    assert [(row["ok"], row["changed"]) for row in result["instances"].values()] == [
        (True, False),
        (None, True),
        (False, False),
    ]
    after = {"i-2": "online, version 2.2.3.317 or later"}
    assert result["diff"] == {"before": {"i-2": "not online"}, "after": after}
    assert world.ensure(dry=True, install_after_s=None)["changed"] is False


@pytest.mark.parametrize(
    ("ids", "demand", "more", "words"),
    [
        ([], Demand(), {}, "instance_ids is empty"),
        (["i-1", "i-1"], Demand(), {}, "more than once"),
        (["mi-1"], Demand(), {}, "mi-1 is a managed instance, not an ECS instance"),
        (["i-1"], Demand("2.2.3"), {}, "minimum_version is '2.2.3', and a version of the agent has four numbers"),
        (["i-1"], Demand(None, "new"), {}, "minimum_version_windows is 'new'"),
        (["i-1"], Demand(), {"timeout_s": 0}, "timeout must be at least 1 second"),
        (["i-1"], Demand(), {"install_after_s": -1}, "install_after"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(ids: list[str], demand: Demand, more: Any, words: str) -> None:
    world = World("i-1")
    for dry in (False, True):
        with pytest.raises(BadInput) as caught:
            world.ensure(demand, ids=ids, dry=dry, **more)
        assert words in str(caught.value)
    assert world.api.calls == []
