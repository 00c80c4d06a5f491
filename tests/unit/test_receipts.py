# SPDX-License-Identifier: GPL-3.0-or-later
"""Receipts, and restarting through the API with proof."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._instances.describe import Seen
from ansible_collections.cloudops.alibaba.plugins.module_utils._restart.boot_ids import read_probe
from ansible_collections.cloudops.alibaba.plugins.module_utils._restart.coming_back import looks_back
from ansible_collections.cloudops.alibaba.plugins.module_utils._restart.reboot import reboot_and_prove
from ansible_collections.cloudops.alibaba.plugins.module_utils._restart.receipts import judge
from ansible_collections.cloudops.alibaba.plugins.module_utils._restart.run import reboot_instances
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import BadInput
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.shapes import PowerRow, TaskRow
from ansible_collections.cloudops.alibaba.tests.unit.fakes import (
    START,
    FakeApi,
    FakeClock,
    Lines,
    agent,
    api_error,
    instance,
    no_answer,
    task,
)

OLD = "11111111-1111-4111-8111-111111111111"
NEW = "22222222-2222-4222-8222-222222222222"
BOOTED = "2027-01-15T07:00:00Z"
BOOTED_LATER = "2027-01-15T08:00:40.1234567Z"


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (OLD, NEW, "restarted"),
        (OLD, OLD, "not_restarted"),
        (OLD, None, "unknown"),
        (None, NEW, "unknown"),
        (None, None, "unknown"),
        (OLD, "not a boot id", "unknown"),
        (OLD, NEW + "x", "unknown"),
        ("", NEW, "unknown"),
        (BOOTED, BOOTED_LATER, "restarted"),
        (BOOTED, BOOTED, "not_restarted"),
        (BOOTED, "2027-01-15T07:00:09Z", "not_restarted"),  # the clock was set right
        (BOOTED_LATER, BOOTED, "not_restarted"),  # the clock was set back
        (BOOTED, NEW, "unknown"),
        (BOOTED, "2027-99-99T99:99:99Z", "unknown"),
    ],
)
def test_only_two_different_boot_ids_prove_a_restart(before: str | None, after: str | None, verdict: str) -> None:
    receipt = judge(method="api", before=before, after=after, requested_at="then", proven_at="now")
    assert receipt.verdict == verdict
    assert receipt.evidence
    assert (receipt.proven_at is not None) is (verdict == "restarted")


def test_a_probe_only_believes_its_own_nonce() -> None:
    assert read_probe("abc", f"abc {OLD}\n", None).boot_id == OLD
    assert read_probe("abc", f"xyz {OLD}\n", None).boot_id is None
    assert read_probe("abc", f"abc {OLD} and more\n", None).boot_id is None
    assert read_probe("abc", "abc container\n", None).boot_id is None
    assert read_probe("abc", f"abc {BOOTED}\r\n", None).boot_id == BOOTED
    assert read_probe("abc", "abc 15.01.2027 07:00\r\n", None).boot_id is None
    failure = read_probe("abc", "", "The agent is not there.").failure
    assert failure
    assert failure.info == "The agent is not there."


@pytest.mark.parametrize(
    ("status", "online", "heartbeat", "back"),
    [
        ("Running", True, START + 1, True),
        ("Running", True, START, False),
        ("Running", True, None, False),
        ("Running", False, START + 1, False),
        ("Starting", True, START + 1, False),
    ],
)
def test_running_alone_is_not_back(status: str, online: bool, heartbeat: float | None, back: bool) -> None:
    seen = Seen(instance("i", status=status), agent("i", online=online, last_heartbeat=heartbeat))
    assert looks_back(seen, START) is back
    assert not looks_back(Seen(None, None), START)


def receipt_of(result: dict[str, Any]) -> dict[str, Any]:
    receipt: dict[str, Any] = result["receipt"]
    return receipt


class World:
    """Instances that really restart, or do not, as the test wants."""

    def __init__(self, *ids: str) -> None:
        self.clock = FakeClock()
        self.boot_ids = dict.fromkeys(ids, OLD)
        self.api = FakeApi.of(self.clock, *ids, run=self.run, on_reboot=self.reboot)
        self.deaf: set[str] = set()

    def run(self, invoke_id: str, instance_id: str, content: str) -> TaskRow:
        nonce = re.findall(r"[0-9a-f]{32}", content)[0]
        return task(invoke_id, instance_id, output=f"{nonce} {self.boot_ids[instance_id]}\n".encode())

    def reboot(self, instance_id: str) -> PowerRow | Exception:
        if instance_id not in self.deaf:
            self.restart(instance_id)
        return PowerRow(instance_id, "200", "success")

    def restart(self, instance_id: str) -> None:
        self.boot_ids[instance_id] = NEW
        self.api.agents[instance_id] = agent(instance_id, last_heartbeat=self.clock.now + 5)

    def reboot_all(self, **more: Any) -> dict[str, Any]:
        return reboot_and_prove(
            self.api,
            list(self.boot_ids),
            **{"force": False, "timeout_s": 300, "clock": self.clock, "progress": Lines(self.clock)} | more,
        )


def test_a_restart_is_asked_for_once_and_proven() -> None:
    world = World("i-1", "i-2")
    results = world.reboot_all()
    assert world.api.called("reboot_instances") == [["i-1", "i-2"]]
    assert {result["receipt"]["verdict"] for result in results.values()} == {"restarted"}
    assert all(result["ok"] for result in results.values())


def test_an_instance_that_stays_up_is_not_restarted_and_not_asked_again() -> None:
    world = World("i-1", "i-2")
    world.deaf = {"i-2"}
    results = world.reboot_all()
    assert results["i-1"]["ok"]
    assert results["i-2"]["receipt"]["verdict"] == "not_restarted"
    assert "still has its old boot id after 5 min (timeout)." in results["i-2"]["error_info"]
    assert len(world.api.called("reboot_instances")) == 1


def test_a_lost_answer_is_looked_into_and_never_repeated() -> None:
    world = World("i-1")

    def lose(instance_id: str) -> Exception:
        world.restart(instance_id)
        return no_answer(sent=True)

    world.api.on_reboot = lose
    results = world.reboot_all()
    assert results["i-1"]["receipt"]["verdict"] == "restarted"
    assert len(world.api.called("reboot_instances")) == 1


def test_a_lost_answer_and_a_silent_instance_are_unknown() -> None:
    world = World("i-1")

    def lose(instance_id: str) -> Exception:
        world.api.agents[instance_id] = agent(instance_id, online=False)
        return no_answer(sent=True)

    world.api.on_reboot = lose
    results = world.reboot_all()
    assert results["i-1"]["receipt"]["verdict"] == "unknown"
    assert results["i-1"]["failure"] == "lost"
    assert "before you restart it again" in results["i-1"]["error_info"]
    assert len(world.api.called("reboot_instances")) == 1


def test_one_bad_instance_blocks_no_other() -> None:
    world = World("i-1", "i-2", "i-3")
    world.api.instances["i-2"] = instance("i-2", status="Stopped")
    refused = PowerRow("i-3", "IncorrectInstanceStatus", "no")
    world.api.on_reboot = lambda id_: refused if id_ == "i-3" else world.reboot(id_)
    results = world.reboot_all()
    assert results["i-1"]["ok"]
    assert "Stopped" in results["i-2"]["error_info"]
    assert "IncorrectInstanceStatus" in results["i-3"]["error_info"]
    told = [(row["verdict"], row["method"], row["boot_id_before"]) for row in map(receipt_of, results.values())]
    assert told[1:] == [("not_restarted", "none", None), ("not_restarted", "none", OLD)]
    assert [receipt_of(results[key])["evidence"] for key in ("i-2", "i-3")] == [
        ["RebootInstances was not sent, because its boot id could not be read first"],
        ["RebootInstances was refused with the code IncorrectInstanceStatus"],
    ]
    assert world.api.called("reboot_instances") == [["i-1", "i-3"]]


def test_a_request_that_was_never_sent_restarted_nobody() -> None:
    world = World("i-1")
    world.api.on_reboot = lambda instance_id: no_answer(sent=False)
    receipt = receipt_of(world.reboot_all()["i-1"])
    assert (receipt["verdict"], receipt["evidence"]) == ("not_restarted", ["RebootInstances was not sent"])


def test_each_limit_is_told_with_what_it_comes_from() -> None:
    world = World("i-1", "i-2")
    world.api.seconds = lambda id_: 1e9 if id_ == "i-2" else 0
    progress = Lines(world.clock)
    results = world.reboot_all(progress=progress)
    said = "Waiting for 2 instances, at most 2 min (to tell their boot ids; a limit of its own, beside timeout): "
    assert progress.lines[0].startswith(said)
    assert "Restarting 1 instance, at most 5 min (timeout)" in progress.lines
    assert results["i-2"]["error_info"] == (
        "The instance was not restarted. The instance did not tell its boot id within 2 min, a limit that no option "
        "changes."
    )


def test_an_error_of_the_server_may_have_restarted_after_all() -> None:
    world = World("i-1")

    def fail(instance_id: str) -> Exception:
        world.restart(instance_id)
        return api_error("InternalError", status=500)

    world.api.on_reboot = fail
    assert world.reboot_all()["i-1"]["ok"]


def test_who_does_not_tell_its_boot_id_is_only_restarted_by_force() -> None:
    world = World("i-1")
    world.api.agents["i-1"] = agent("i-1", online=False)
    results = world.reboot_all()
    assert world.api.called("reboot_instances") == []
    assert (receipt_of(results["i-1"])["verdict"], receipt_of(results["i-1"])["method"]) == ("not_restarted", "none")
    assert world.reboot_all(force=True)["i-1"]["receipt"]["verdict"] == "unknown"
    assert world.api.called("reboot_instances") == [["i-1"]]


def test_a_heartbeat_of_the_old_agent_proves_nothing() -> None:
    """The old agent's heartbeat comes after the request; the restart itself some polls later."""
    world = World("i-1")
    asked: list[float] = []

    def later(instance_id: str) -> PowerRow:
        asked.append(world.clock.now)
        world.api.agents[instance_id] = agent(instance_id, last_heartbeat=world.clock.now + 1)
        return PowerRow(instance_id, "200", "success")

    plain = world.run

    def run(invoke_id: str, instance_id: str, content: str) -> TaskRow:
        row = plain(invoke_id, instance_id, content)
        if asked:
            world.restart(instance_id)  # it restarts right after it was asked with the old boot id
        return row

    world.api.on_reboot = later
    world.api.run = run
    results = world.reboot_all()
    assert results["i-1"]["receipt"]["verdict"] == "restarted"
    assert len(world.api.called("run_command")) == 3


@pytest.mark.parametrize("error", [api_error("Forbidden.RAM", status=403), no_answer(sent=True)])
def test_an_api_that_fails_after_the_restart_leaves_receipts(error: Exception) -> None:
    world = World("i-1", "i-2")
    sent: list[str] = []

    def restart_all(instance_id: str) -> PowerRow | Exception:
        sent.append(instance_id)
        return world.reboot(instance_id)

    world.api.on_reboot = restart_all
    world.api.deaf = lambda: error if sent else None
    results = world.reboot_all()
    assert {result["receipt"]["verdict"] for result in results.values()} == {"unknown"}
    assert {result["receipt"]["method"] for result in results.values()} == {"api"}
    assert {result["failure"] for result in results.values()} == {"lost"}
    assert len(world.api.called("reboot_instances")) == 1


def test_a_lost_answer_is_told_when_the_instance_stayed_up() -> None:
    world = World("i-1")
    world.api.on_reboot = lambda instance_id: no_answer(sent=True)
    result = world.reboot_all()["i-1"]
    assert result["receipt"]["verdict"] == "not_restarted"
    assert "unknown whether it took effect" in result["error_info"]


def test_windows_is_restarted_beside_linux_and_proven_by_the_time_of_its_boot() -> None:
    world = World("i-1", "i-2")
    world.boot_ids["i-2"] = BOOTED
    world.api.instances["i-2"] = instance("i-2", os_type="windows")
    scripts: dict[str, str] = {}
    plain_run, plain_restart = world.run, world.restart

    def run(invoke_id: str, instance_id: str, content: str) -> TaskRow:
        scripts[instance_id] = content
        return plain_run(invoke_id, instance_id, content)

    def restart(instance_id: str) -> None:
        plain_restart(instance_id)
        if instance_id == "i-2":
            world.boot_ids["i-2"] = BOOTED_LATER

    world.api.run, world.restart = run, restart  # type: ignore[method-assign]
    results = world.reboot_all()
    assert world.api.called("reboot_instances") == [["i-1", "i-2"]]
    assert all(result["ok"] for result in results.values())
    receipt = results["i-2"]["receipt"]
    assert (receipt["boot_id_before"], receipt["boot_id_after"]) == (BOOTED, BOOTED_LATER)
    assert receipt["evidence"] == [f"the boot time changed from {BOOTED} to {BOOTED_LATER}"]
    assert scripts["i-1"].startswith("#!/bin/sh")
    assert "LastBootUpTime" in scripts["i-2"]


def reboot_module(world: World, *ids: str, **more: Any) -> dict[str, Any]:
    options: dict[str, Any] = {"force": False, "timeout_s": 300, "dry": False, "fail": True, "clock": world.clock}
    return reboot_instances(lambda: world.api, list(ids), **options | {"progress": Lines(world.clock)} | more)


@pytest.mark.parametrize("dry", [True, False])
def test_an_id_that_there_is_not_is_refused_before_the_others_are_asked(dry: bool) -> None:
    world = World("i-1")
    with pytest.raises(BadInput, match=r"1 of 2 instances cannot take part\. i-far: There is no such instance in "):
        reboot_module(world, "i-1", "i-far", dry=dry)
    assert world.api.called("run_command") == []
    result = reboot_module(world, "i-1", "i-far", dry=dry, fail=False)
    assert result["failed_ids"] == ["i-far"]
    assert receipt_of(result["instances"]["i-far"])["verdict"] == "not_restarted"


def test_check_mode_says_who_would_restart_and_restarts_nobody() -> None:
    world = World("i-1", "i-2", "i-3", "i-4")
    world.api.instances["i-2"] = instance("i-2", os_type="windows")
    world.api.instances["i-3"] = instance("i-3", status="Stopped")
    world.api.agents["i-4"] = agent("i-4", online=False)
    result = reboot_module(world, "i-1", "i-2", "i-3", "i-4", dry=True)
    assert [row["ok"] for row in result["instances"].values()] == [None, None, False, False]
    assert {receipt_of(row)["verdict"] for row in result["instances"].values()} == {"not_restarted"}
    assert (result["changed"], result["failed"], result["failed_ids"]) == (True, True, ["i-3", "i-4"])
    forced = reboot_module(world, "i-3", "i-4", dry=True, force=True)
    assert [row["ok"] for row in forced["instances"].values()] == [False, None]
    assert world.api.called("run_command") + world.api.called("reboot_instances") == []


@pytest.mark.parametrize(
    ("ids", "more", "words"),
    [
        ([], {}, "instance_ids is empty"),
        (["i-1", "i-1"], {}, "i-1 is in instance_ids more than once"),
        (["i-1", "mi-1"], {}, "mi-1 is a managed instance, not an ECS instance. RebootInstances has no power over it"),
        (["i-1"], {"timeout_s": 0}, "timeout must be at least 1 second"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(ids: list[str], more: dict[str, Any], words: str) -> None:
    world = World("i-1")
    for dry in (False, True):
        with pytest.raises(BadInput) as caught:
            reboot_module(world, *ids, dry=dry, **more)
        assert words in str(caught.value)
    assert world.api.calls == []
