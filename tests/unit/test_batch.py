# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches against hosts that a test makes up: one command for all, and a verdict on each, whatever happens."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.batch import Batch, Limits
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.delivery import Courier
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.health import Health
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.host import Host, Ready
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.steps import Policy, Step
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.trailer import cksum
from ansible_collections.cloudops.alibaba.plugins.module_utils._progress import INTERRUPTED, VARIABLE
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import BadInput
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.shapes import InvocationRow, PowerRow, TaskRow
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

ROOT = Path(__file__).resolve().parents[2]
OLD = "11111111-1111-4111-8111-111111111111"
NEW = "22222222-2222-4222-8222-222222222222"

Answer = Callable[["World", str], dict[str, Any]]


def say(state: str, exit_code: int, **words: str) -> dict[str, Any]:
    """An answer of the runner."""
    values = {
        "run": "r-1",
        "state": state,
        "method": "exit_code",
        "boot": OLD,
        "steps": "os_updates:done:1",
        "for": "d",
    } | words
    text = "cloudops.alibaba/1 " + " ".join(f"{key}={value}" for key, value in values.items())
    status = "Success" if exit_code == 0 else "Failed"
    output = f"os_updates: done\n{text} cksum={cksum(text.encode())}\n"
    return {"status": status, "exit_code": exit_code, "output": output.encode()}


def without_keeper(state: str, exit_code: int, **words: str) -> dict[str, Any]:
    """An answer of a runner that has no keeper's word."""
    said = say(state, exit_code, **words)
    text = said["output"].decode().splitlines()[-1].rpartition(" cksum=")[0].replace(" for=d", "")
    text = text.replace(" steps=os_updates:done:1", "")
    return said | {"output": f"{text} cksum={cksum(text.encode())}\n".encode()}


DONE = say("done", 0, changed="yes")
RESTARTED = say("done", 0, changed="yes", restarts=f"exit_code|{OLD}|{NEW}|t|t|kernel")
WANTS_RESTART = say("restart", 194)
WANTS_API_RESTART = say("restart", 0, method="api")
WANTS_API_RESTART_AGAIN = say("restart", 0, method="api", again="yes")
PENDING = say("pending", 75)


class World:
    """Hosts with a list of answers each; a restart brings a heartbeat after it."""

    def __init__(self, **answers: list[dict[str, Any]]) -> None:
        self.clock = FakeClock()
        self.answers = {name.replace("_", "-"): list(said) for name, said in answers.items()}
        self.api = FakeApi.of(self.clock, *self.answers, run=self.run, on_reboot=self.reboot, deaf=self.look)
        self.progress = Lines(self.clock)
        self.limits = Limits(timeout_s=3600, restart_timeout_s=600)
        self.never_back: set[str] = set()
        self.restarts: list[str] = []
        self.heartbeat_s = 60
        self.steps: list[Step] = []
        self.health = Health()

    def beat(self) -> None:
        """Agents that are up say hello every minute."""
        for instance_id, row in self.api.agents.items():
            if row.online and row.last_heartbeat and row.last_heartbeat <= self.clock.now - self.heartbeat_s:
                self.api.agents[instance_id] = agent(instance_id, last_heartbeat=self.clock.now)

    def look(self) -> Exception | None:
        self.beat()
        return None

    def run(self, invoke_id: str, instance_id: str, content: str) -> TaskRow:
        said = self.answers[instance_id].pop(0)
        row = task(invoke_id, instance_id, finished=self.clock.now, **said)
        if row.exit_code == 194:
            self.restart(instance_id)
        return row

    def reboot(self, instance_id: str) -> PowerRow | Exception:
        self.restart(instance_id)
        return PowerRow(instance_id, "200", "success")

    def restart(self, instance_id: str) -> None:
        self.restarts.append(instance_id)
        back = instance_id not in self.never_back
        self.api.agents[instance_id] = agent(instance_id, online=back, last_heartbeat=self.clock.now + 40)

    def patch(self, method: str = "exit_code") -> dict[str, dict[str, Any]]:
        return self.batch(method).run()

    def batch(self, method: str = "exit_code", resumed: Collection[str] = ()) -> Batch:
        return Batch(
            [Host(name.upper(), name, self.api, method) for name in self.answers],
            resumed=resumed,
            courier=Courier(ROOT / "roles" / "patch_hosts" / "files"),
            policy=Policy("r-1", "if_required", settle_s=120, most_restarts=3, health=self.health),
            steps=self.steps,
            limits=self.limits,
            clock=self.clock,
            progress=self.progress,
        )


def test_one_command_for_the_batch_and_each_cycle() -> None:
    world = World(i_1=[WANTS_RESTART, RESTARTED], i_2=[DONE], i_3=[WANTS_RESTART, RESTARTED])
    verdicts = world.patch()
    assert world.api.called("run_command") == [["i-1", "i-2", "i-3"], ["i-1", "i-3"]]
    assert {name: verdict["status"] for name, verdict in verdicts.items()} == {
        "i-1": "restarted",
        "i-2": "patched",
        "i-3": "restarted",
    }
    assert verdicts["i-1"]["receipts"][0]["verdict"] == "restarted"
    assert verdicts["i-1"]["cycles"] == 2
    assert verdicts["i-1"]["output"] == "os_updates: done"
    assert verdicts["i-1"]["name"] == "I-1"


def test_the_api_restarts_once_those_that_say_so() -> None:
    world = World(i_1=[WANTS_API_RESTART, RESTARTED], i_2=[DONE], i_3=[WANTS_API_RESTART, RESTARTED])
    verdicts = world.patch("api")
    assert world.api.called("reboot_instances") == [["i-1", "i-3"]]
    assert all(verdict["ok"] for verdict in verdicts.values())


def test_a_lost_answer_to_a_restart_is_not_sent_again() -> None:
    world = World(i_1=[WANTS_API_RESTART, RESTARTED])

    def lose(instance_id: str) -> Exception:
        world.restart(instance_id)
        return no_answer(sent=True)

    world.api.on_reboot = lose
    verdicts = world.patch("api")
    assert len(world.api.called("reboot_instances")) == 1
    assert verdicts["i-1"]["status"] == "restarted"


def test_a_refused_restart_is_a_failure_of_that_host() -> None:
    world = World(i_1=[WANTS_API_RESTART], i_2=[WANTS_API_RESTART, RESTARTED])
    good = world.reboot
    world.api.on_reboot = lambda i: PowerRow(i, "InstanceLockedForSecurity", "no") if i == "i-1" else good(i)
    verdicts = world.patch("api")
    assert (verdicts["i-1"]["status"], verdicts["i-1"]["failure"]) == ("failed", "instance")
    assert [receipt["verdict"] for receipt in verdicts["i-1"]["receipts"]] == ["not_restarted"]
    assert verdicts["i-2"]["ok"]


def test_a_host_that_never_comes_back_is_unknown_and_holds_nobody_up() -> None:
    world = World(i_1=[WANTS_RESTART], i_2=[WANTS_RESTART, RESTARTED], i_3=[DONE])
    world.never_back = {"i-1"}
    verdicts = world.patch()
    assert (verdicts["i-1"]["status"], verdicts["i-1"]["failure"]) == ("unknown", "lost")
    assert "before you restart it again" in verdicts["i-1"]["error_info"]
    (receipt,) = verdicts["i-1"]["receipts"]
    assert (receipt["verdict"], receipt["method"]) == ("unknown", "exit_code")
    assert (receipt["boot_id_before"], receipt["boot_id_after"]) == (OLD, None)
    assert not verdicts["i-1"]["restarted"]
    assert len(verdicts["i-2"]["receipts"]) == 1, "what is proven is not open any more"
    assert verdicts["i-2"]["ok"]
    # i-2 went on long before i-1 was given up.
    assert world.api.called("run_command") == [["i-1", "i-2", "i-3"], ["i-2"]]


@pytest.mark.parametrize("method", ["exit_code", "api"])
def test_an_instance_that_is_released_in_its_restart_has_failed(method: str) -> None:
    world = World(i_1=[WANTS_RESTART if method == "exit_code" else WANTS_API_RESTART], i_2=[DONE])
    world.restart = lambda instance_id: bool(world.api.instances.pop(instance_id))  # type: ignore[method-assign]
    verdict = world.patch(method)["i-1"]
    assert (verdict["status"], verdict["failure"]) == ("failed", "instance")
    assert "released" in verdict["error_info"]
    assert [receipt["verdict"] for receipt in verdict["receipts"]] == ["unknown"]
    assert world.clock.now < START + world.limits.restart_timeout_s


def test_a_host_that_did_not_go_down_is_asked_again_after_the_settle_time() -> None:
    world = World(i_1=[WANTS_RESTART, PENDING, say("restart", 194, again="yes"), RESTARTED])
    first = world.restart
    calls: list[str] = []

    def deaf_at_first(instance_id: str) -> None:
        calls.append(instance_id)
        if len(calls) > 1:
            first(instance_id)

    world.restart = deaf_at_first  # type: ignore[method-assign]
    verdicts = world.patch()
    assert verdicts["i-1"]["status"] == "restarted"
    assert len(world.api.called("run_command")) == 4


def test_a_host_that_never_goes_down_is_unknown_in_the_end() -> None:
    world = World(i_1=[WANTS_RESTART, PENDING] + [say("restart", 194, again="yes"), PENDING] * 10)
    world.restart = lambda instance_id: None  # type: ignore[method-assign]
    verdict = world.patch()["i-1"]
    assert verdict["status"] == "unknown"
    assert len(world.api.called("run_command")) < 8


def test_a_failed_step_and_an_unfit_host_are_verdicts_of_their_own() -> None:
    world = World(i_1=[say("failed", 1, reason="step%20x%20failed", steps="x:failed:1")], i_2=[], i_3=[DONE])
    world.api.instances["i-2"] = instance("i-2", status="Stopped")
    verdicts = world.patch()
    assert (verdicts["i-1"]["status"], verdicts["i-1"]["failure"]) == ("failed", "script")
    assert (verdicts["i-2"]["status"], verdicts["i-2"]["failure"]) == ("failed", "instance")
    assert verdicts["i-3"]["ok"]


def test_a_damaged_answer_is_asked_for_again() -> None:
    damaged = {**DONE, "output": DONE["output"][:-3]}
    world = World(i_1=[damaged, DONE])
    assert world.patch()["i-1"]["ok"]


def test_an_answer_that_got_lost_is_no_reason_for_a_longer_timeout() -> None:
    lost = {"status": "Timeout", "exit_code": None, "error_code": "ExecutionTimeout", "output": b""}
    world = World(i_1=[lost] * 10)
    verdict = world.patch()["i-1"]
    assert (verdict["status"], verdict["failure"]) == ("unknown", "lost")
    assert verdict["error_info"].startswith("Its answer to invocation t-5 has not come. It may have finished, or still")
    assert "longer timeout" not in verdict["error_info"]


def test_a_step_that_still_works_at_the_end_of_the_time_is_told_of() -> None:
    """Its runner had no keeper of its own: its word counts for nothing but the log."""
    world = World(i_1=[without_keeper("busy", 75, reason="the%20steps%20still%20run", log="/var/log")])
    world.limits = Limits(timeout_s=60, restart_timeout_s=600)
    world.api.seconds = lambda instance_id: 55
    verdict = world.patch()["i-1"]
    assert (verdict["status"], verdict["failure"]) == ("unknown", "timeout")
    assert "the steps still run. The log on the host is /var/log." in verdict["error_info"]
    assert (verdict["log"], verdict["steps"]) == ("/var/log", {})


def test_who_could_not_be_asked_any_more_says_what_it_said_last() -> None:
    place = Ready("The host is not ready: the steps still run.")
    assert place.unfinished == "It was not asked to continue any more. The host is not ready: the steps still run."
    assert Ready().unfinished == "It was not asked to continue any more."


def test_ctrl_c_says_that_the_hosts_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setenv(VARIABLE, str(pipe))
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    World(i_1=[DONE]).patch()
    lines = os.read(reader, 65536).decode().splitlines()
    os.close(reader)
    kept = [line for line in lines if line.startswith(INTERRUPTED)]
    assert kept == [
        f"{INTERRUPTED}Interrupted. The hosts go on by themselves and may still restart; start the same command again "
        "with the run id r-1 to go on.",
        INTERRUPTED,
    ]


def test_nobody_is_asked_for_ever() -> None:
    world = World(i_1=[say("busy", 75)] * 20)
    verdicts = world.patch()
    assert verdicts["i-1"]["status"] == "unknown"
    assert len(world.api.called("run_command")) == 5


def test_a_runner_that_could_not_start_does_not_undo_what_is_known() -> None:
    late = without_keeper("late", 76)
    world = World(i_1=[say("restart", 194, packages_count="1", packages="kernel|1|2"), late])
    verdict = world.patch()["i-1"]
    assert (verdict["status"], verdict["failure"]) == ("failed", "timeout")
    assert verdict["packages"] == [{"name": "kernel", "from": "1", "to": "2"}]


def test_a_call_that_fails_is_a_verdict_on_each_host() -> None:
    world = World(i_1=[], i_2=[])
    world.api.refuse = lambda ids: api_error("Forbidden.RAM", status=403)
    verdicts = world.patch()
    assert {verdict["status"] for verdict in verdicts.values()} == {"failed"}
    assert "Forbidden.RAM" in verdicts["i-1"]["error_info"]


def test_the_batch_ends_in_time() -> None:
    world = World(i_1=[WANTS_RESTART], i_2=[DONE])
    world.never_back = {"i-1"}
    world.limits = Limits(timeout_s=100, restart_timeout_s=600)
    start = world.clock.now
    verdicts = world.patch()
    assert world.clock.now - start <= 101
    assert verdicts["i-1"]["status"] == "unknown"
    assert verdicts["i-2"]["ok"]


# --- hosts that take their time -------------------------------------------------------------------------------------


def test_a_slow_host_keeps_nobody_from_going_on() -> None:
    world = World(i_1=[WANTS_RESTART, RESTARTED], i_2=[WANTS_RESTART, RESTARTED], i_3=[DONE])
    world.api.seconds = lambda instance_id: 1800 if instance_id == "i-3" else 5
    proven: list[float] = []
    run = world.run

    def note(invoke_id: str, instance_id: str, content: str) -> TaskRow:
        if not world.answers[instance_id][1:] and instance_id != "i-3":
            proven.append(world.clock.now)
        return run(invoke_id, instance_id, content)

    world.api.run = note
    start = world.clock.now
    verdicts = world.patch()
    assert all(verdict["ok"] for verdict in verdicts.values())
    # The two are served together, and long before the third has ended.
    assert world.api.called("run_command") == [["i-1", "i-2", "i-3"], ["i-1", "i-2"]]
    assert max(proven) - start < 300


def test_hosts_that_come_one_after_the_other_share_a_command() -> None:
    world = World(i_1=[WANTS_RESTART, RESTARTED], i_2=[WANTS_RESTART, RESTARTED])
    world.api.seconds = lambda instance_id: 12 if instance_id == "i-2" else 1
    world.patch()
    assert len(world.api.called("run_command")) == 2


def test_an_answer_that_does_not_come_is_unknown_after_the_end_of_the_time() -> None:
    world = World(i_1=[DONE], i_2=[DONE])
    world.limits = Limits(timeout_s=100, restart_timeout_s=600)
    world.api.seconds = lambda instance_id: 100_000 if instance_id == "i-1" else 150
    start = world.clock.now
    verdicts = world.patch()
    # The runner ends by itself when its time is over: its word may come a little later.
    assert verdicts["i-2"]["ok"]
    assert (verdicts["i-1"]["status"], verdicts["i-1"]["failure"]) == ("unknown", "timeout")
    assert "invocation t-1" in verdicts["i-1"]["error_info"]
    assert world.clock.now - start <= 200


# --- RebootInstances is sent once -------------------------------------------------------------------------------------


def test_a_restart_that_was_sent_is_not_sent_again_in_the_same_boot() -> None:
    world = World(i_1=[WANTS_API_RESTART] + [WANTS_API_RESTART_AGAIN] * 10)
    world.api.on_reboot = lambda instance_id: PowerRow(instance_id, "200", "success")
    verdict = world.patch("api")["i-1"]
    assert world.api.called("reboot_instances") == [["i-1"]]
    assert verdict["status"] == "unknown"
    assert verdict["failure"] == "instance"
    assert "old boot id" in verdict["error_info"]
    (receipt,) = verdict["receipts"]
    assert (receipt["verdict"], receipt["boot_id_after"]) == ("not_restarted", OLD)


def test_of_a_restart_that_was_not_answered_and_did_not_come_the_answer_is_to_blame() -> None:
    world = World(i_1=[WANTS_API_RESTART] + [WANTS_API_RESTART_AGAIN] * 10)
    world.api.on_reboot = lambda instance_id: api_error("ServiceUnavailable", status=503)
    verdict = world.patch("api")["i-1"]
    assert world.api.called("reboot_instances") == [["i-1"]]
    assert (verdict["status"], verdict["failure"]) == ("unknown", "lost")
    assert verdict["error_code"] == "ServiceUnavailable"
    assert "old boot id" in verdict["error_info"]


def test_another_boot_may_be_restarted_too() -> None:
    second = say("restart", 0, method="api", boot=NEW, restarts=f"api|{OLD}|{NEW}|t|t|kernel")
    world = World(i_1=[WANTS_API_RESTART, second, RESTARTED])
    assert world.patch("api")["i-1"]["status"] == "restarted"
    assert len(world.api.called("reboot_instances")) == 2


def test_after_another_controller_the_host_says_when_it_may_be_restarted() -> None:
    world = World(i_1=[PENDING, WANTS_API_RESTART_AGAIN, RESTARTED])
    assert world.patch("api")["i-1"]["status"] == "restarted"
    assert len(world.api.called("reboot_instances")) == 1
    assert len(world.api.called("run_command")) == 3


def test_nothing_is_restarted_after_the_end_of_the_time() -> None:
    world = World(i_1=[WANTS_API_RESTART])
    world.limits = Limits(timeout_s=100, restart_timeout_s=600)
    world.api.seconds = lambda instance_id: 120
    verdict = world.patch("api")["i-1"]
    assert world.api.called("reboot_instances") == []
    assert (verdict["status"], verdict["failure"]) == ("failed", "timeout")
    assert "was not restarted" in verdict["error_info"]
    assert [receipt["verdict"] for receipt in verdict["receipts"]] == ["not_restarted"]


def test_a_stale_wish_is_not_sent_but_asked_for_anew() -> None:
    """Looking at the instances took so long that another controller may have gone on."""
    world = World(i_1=[WANTS_API_RESTART, WANTS_API_RESTART, RESTARTED])
    world.api.seconds = lambda instance_id: 5
    slow = [True]

    def look() -> None:
        world.beat()
        if slow and len(world.answers["i-1"]) == 2:
            slow.clear()
            world.clock.now += 100

    world.api.deaf = look
    assert world.patch("api")["i-1"]["status"] == "restarted"
    assert len(world.api.called("reboot_instances")) == 1
    assert len(world.api.called("run_command")) == 3


def test_a_word_that_was_long_on_its_way_is_stale() -> None:
    """This controller heard nothing for a while, in which another may have gone on."""
    world = World(i_1=[WANTS_API_RESTART, WANTS_API_RESTART, RESTARTED])
    world.api.seconds = lambda instance_id: 5
    look = world.api.describe_invocation

    def deaf_for_a_while(invoke_id: str) -> InvocationRow | None:
        row = look(invoke_id)
        if row and row.tasks["i-1"].status == "Running" and len(world.answers["i-1"]) == 3:
            world.clock.now += 100
        return row

    world.api.describe_invocation = deaf_for_a_while  # type: ignore[method-assign]
    assert world.patch("api")["i-1"]["status"] == "restarted"
    calls = [name for name, _what in world.api.calls if name in ("run_command", "reboot_instances")]
    assert calls == ["run_command", "run_command", "reboot_instances", "run_command"]


# --- an API that fails ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [api_error("Forbidden.RAM", status=403), no_answer(sent=True), no_answer(sent=False)])
def test_an_api_that_fails_after_the_first_answer_costs_no_verdict(error: Exception) -> None:
    world = World(i_1=[WANTS_RESTART], i_2=[DONE])
    world.api.deaf = lambda: error if world.restarts else None
    verdicts = world.patch()
    assert (verdicts["i-1"]["status"], verdicts["i-1"]["failure"]) == ("unknown", "lost")
    assert verdicts["i-2"]["ok"]


def test_what_is_too_long_is_refused_before_anything_is_sent() -> None:
    world = World(i_1=[])
    noise = random.Random(1).randbytes(20_000).hex()
    world.steps = [Step("x", script=f"# {noise}")]
    with pytest.raises(BadInput, match="too long"):
        world.batch().check()
    assert world.api.calls == []


def test_a_host_that_says_how_long_it_waits_is_asked_until_then() -> None:
    """It does not run out of chances: a resumed run with a long settle time had ended as unknown."""
    waiting = [say("pending", 75, again="yes", wait=str(seconds)) for seconds in (290, 230, 170, 110, 50, 10)]
    world = World(i_1=[*waiting, WANTS_RESTART, RESTARTED])
    assert world.patch()["i-1"]["status"] == "restarted"
