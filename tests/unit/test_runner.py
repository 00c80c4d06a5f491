# SPDX-License-Identifier: GPL-3.0-or-later
"""The step runner itself, driven as deliver.sh drives it, in each shell that it has to run in."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
import uuid
from pathlib import Path

import pytest
from ansible_collections.cloudops.alibaba.tests.unit.host_under_test import (
    OS_UPDATES,
    OTHER_BOOT,
    Answer,
    HostUnderTest,
    kill,
    kill_everything,
    processes_with,
    session_of,
    step,
    until,
)

pytestmark = pytest.mark.once


def test_steps_run_in_order_and_once(host: HostUnderTest) -> None:
    steps = (step("one"), step("two"), step("three"))
    answer = host.continue_(*steps)
    assert answer.said == (0, "done")
    assert answer.trailer.changed
    assert {name: told["state"] for name, told in answer.trailer.steps.items()} == dict.fromkeys(
        ["one", "two", "three"], "done"
    )
    assert host.traced == ["one", "two", "three"]
    assert host.continue_(*steps).said == (0, "done")
    assert host.traced == ["one", "two", "three"]
    assert not list(host.base.glob("delivery.*"))


def test_parts_that_a_run_has_no_use_for_are_not_missed(host: HostUnderTest) -> None:
    host.take_runner(without={"assess", "health", "same"})
    wants = step("one", restart="always")
    assert host.continue_(wants, step("two", "exit 1")).said == (194, "restart")
    host.pretend_restart()
    assert host.continue_(wants, step("two", "exit 1")).said == (1, "failed")
    assert host.continue_(wants, step("two")).said == (0, "done")
    assert "not found" not in (host.run / "log").read_text(encoding="utf-8")


def test_output_goes_to_the_log_and_not_to_the_answer(host: HostUnderTest) -> None:
    answer = host.continue_(step("loud", "echo secret-output; echo more >&2"))
    assert "secret-output" not in answer.output
    log = (host.run / "log").read_text(encoding="utf-8")
    assert "secret-output" in log
    assert "more" in log
    assert host.run.stat().st_mode & 0o077 == 0


def test_a_guard_skips(host: HostUnderTest) -> None:
    answer = host.continue_(step("one", unless="exit 0"), step("two", unless="exit 1"))
    states = {name: told["state"] for name, told in answer.trailer.steps.items()}
    assert states == {"one": "skipped", "two": "done"}
    assert host.traced == ["two"]


@pytest.mark.parametrize("code", [1, 76, 99, 100, 126, 193])
def test_a_failing_step_ends_the_run_and_its_code_does_not_leak(host: HostUnderTest, code: int) -> None:
    answer = host.continue_(step("bad", f"echo the reason; exit {code}"), step("after"))
    assert answer.said == (1, "failed")
    states = {name: told["state"] for name, told in answer.trailer.steps.items()}
    assert states == {"bad": "failed", "after": "pending"}
    assert "the reason" in answer.output
    assert host.traced == []


def test_a_step_gets_its_attempts(host: HostUnderTest) -> None:
    flaky = step("flaky", "echo try >> $TRACE; [ $(grep -c try $TRACE) -ge 3 ]", attempts=3)
    answer = host.continue_(flaky)
    assert answer.said == (0, "done")
    assert answer.trailer.steps["flaky"] == {"state": "done", "attempts": 3}
    assert host.traced == ["try"] * 3


def test_a_failed_step_may_be_mended_and_tried_anew(host: HostUnderTest) -> None:
    assert host.continue_(step("x", "exit 1")).said == (1, "failed")
    assert host.continue_(step("x", "echo mended >> $TRACE")).said == (0, "done")
    assert host.traced == ["mended"]


def test_scripts_have_their_own_interpreter(host: HostUnderTest) -> None:
    host.program("my-interpreter", 'echo "interpreted $(tail -n 1 "$1")" >> $TRACE')
    host.continue_(step("x", f"#!{host.programs}/my-interpreter\nhello"))
    assert host.traced == ["interpreted", "hello"]


def test_a_step_that_ends_with_194_restarts(host: HostUnderTest) -> None:
    steps = (step("one", "echo one >> $TRACE; exit 194", restart="if_required"), step("two"))
    answer = host.continue_(*steps)
    assert answer.said == (194, "restart")
    assert host.traced == ["one"]
    host.pretend_restart()
    answer = host.continue_(*steps)
    assert answer.said == (0, "done")
    assert host.traced == ["one", "two"]
    (receipt,) = answer.trailer.restarts
    assert (receipt.verdict, receipt.method, receipt.boot_id_before) == ("restarted", "exit_code", OTHER_BOOT)
    assert receipt.boot_id_after == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_a_requested_restart_is_not_asked_for_again_before_it_had_time(host: HostUnderTest) -> None:
    steps = (step("one", restart="always"), step("two"))
    assert host.continue_(*steps).said == (194, "restart")
    # Asked again at once: it may be on its way down.
    assert host.continue_(*steps).said == (75, "pending")
    # Nobody heard, and the boot is the same: asking again is safe.
    assert host.continue_(*steps, settle_s=0).said == (194, "restart")
    assert host.traced == ["one"]


def test_a_restart_through_the_api_has_twice_the_time(host: HostUnderTest) -> None:
    restart = step("one", restart="always")
    assert host.continue_(restart, method="api").said == (0, "restart")
    host.pretend_age(90)
    assert host.continue_(restart, method="api", settle_s=60).said == (75, "pending")
    assert host.continue_(restart, method="api", settle_s=40).said == (0, "restart")


def test_a_restart_that_nobody_waits_for_any_more_leaves_no_wait_behind(host: HostUnderTest) -> None:
    """A wait below nothing would count as one: the host would be asked until the time of the batch is over."""
    restart = step("one", "exit 194", restart="if_required")
    assert host.continue_(restart).said == (194, "restart")
    assert 0 < host.continue_(restart).trailer.wait_s <= 60
    host.pretend_age(1000)
    again = host.continue_(restart)
    assert (again.said, again.trailer.wait_s) == ((194, "restart"), 0)


def test_methods_are_not_mixed_within_a_boot(host: HostUnderTest) -> None:
    assert host.continue_(step("one", restart="always"), method="api").said == (0, "restart")
    answer = host.continue_(step("one", restart="always"), method="exit_code", settle_s=0)
    assert answer.said == (0, "restart")
    assert answer.trailer.method == "api"


@pytest.mark.parametrize(
    ("policy", "said"), [("always", (194, "restart")), ("if_required", (0, "done")), ("never", (0, "done"))]
)
def test_a_run_without_steps_restarts_as_its_policy_says(
    host: HostUnderTest, policy: str, said: tuple[int, str]
) -> None:
    assert host.continue_(restart=policy).said == said
    if policy == "always":
        host.pretend_restart()
        assert host.continue_(restart=policy).said == (0, "done")


def test_a_system_event_gets_one_restart_through_the_api(host: HostUnderTest) -> None:
    request = {"method": "api", "event": "yes"}
    answer = host.continue_(step("one"), **request)
    assert (answer.said, answer.trailer.reason) == ((0, "restart"), "system_event")
    host.pretend_restart()
    answer = host.continue_(step("one"), **request)
    assert answer.said == (0, "done")
    assert [receipt.method for receipt in answer.trailer.restarts] == ["api"]
    assert host.traced == ["one"]


def test_a_restart_for_an_update_serves_the_system_event_too(host: HostUnderTest) -> None:
    request = {"method": "api", "event": "yes"}
    assert host.continue_(step("one", restart="always"), **request).trailer.reason == "step:one"
    host.pretend_restart()
    assert host.continue_(step("one", restart="always"), **request).said == (0, "done")


def test_a_restart_by_exit_code_does_not_serve_a_system_event(host: HostUnderTest) -> None:
    assert host.continue_(restart="always").said == (194, "restart")
    host.pretend_restart()
    assert host.continue_(restart="always", method="api", event="yes").trailer.reason == "system_event"


REQUIRED = 'echo "Core libraries"; echo "  * kernel"; echo; echo "Reboot is required to fully utilize."; exit 1'


@pytest.mark.parametrize(
    ("program", "evidence", "said"),
    [
        (REQUIRED, "required", (194, "restart")),
        ('echo "Reboot should not be necessary."', "not_required", (0, "done")),
        # Any error of dnf ends with 1 too.
        ('echo "No such command: needs-restarting" >&2; exit 1', "unknown", (0, "done")),
        ("exit 2", "unknown", (0, "done")),
    ],
)
def test_only_the_sentence_is_evidence(host: HostUnderTest, program: str, evidence: str, said: tuple[int, str]) -> None:
    host.program("needs-restarting", program)
    answer = host.continue_(step("one", restart="if_required"))
    assert answer.said == said
    assert answer.trailer.evidence == evidence


def test_a_run_that_may_not_restart_tells_that_one_is_required(host: HostUnderTest) -> None:
    host.program("needs-restarting", REQUIRED)
    answer = host.continue_(step("one", restart="always"), restart="never")
    assert answer.said == (0, "done")
    assert answer.trailer.evidence == "required"
    assert "this run may not restart" in answer.output


def test_a_reason_that_survives_a_restart_is_stale(host: HostUnderTest) -> None:
    host.program("needs-restarting", REQUIRED)
    steps = (step("one", restart="if_required"), step("two", restart="if_required"))
    assert host.continue_(*steps).said == (194, "restart")
    host.pretend_restart()
    answer = host.continue_(*steps)
    assert answer.said == (0, "done")
    assert answer.trailer.stale == "needs-restarting:kernel"
    assert host.traced == ["one", "two"]


def test_a_reason_that_was_gone_after_the_restart_counts_anew(host: HostUnderTest) -> None:
    host.program("needs-restarting", f"[ -e $TRACE.required ] || exit 0; {REQUIRED}")
    steps = (
        step("one", "touch $TRACE.required", restart="if_required"),
        step("two", "touch $TRACE.required", restart="if_required"),
    )
    assert host.continue_(*steps).said == (194, "restart")
    host.pretend_restart()
    Path(f"{host.trace}.required").unlink()
    assert host.continue_(*steps).said == (194, "restart")
    host.pretend_restart("33333333-3333-4333-8333-333333333333")
    Path(f"{host.trace}.required").unlink()
    answer = host.continue_(*steps)
    assert answer.said == (0, "done")
    assert len(answer.trailer.restarts) == 2
    assert answer.trailer.stale == ""


def test_restarts_have_a_budget(host: HostUnderTest) -> None:
    steps = [step(name, restart="always") for name in ("one", "two")]
    assert host.continue_(*steps, most_restarts=1).said == (194, "restart")
    host.pretend_restart()
    answer = host.continue_(*steps, most_restarts=1)
    assert answer.said == (1, "failed")
    assert "another restart is required" in answer.output
    assert host.traced == ["one", "two"]


def test_never_means_never(host: HostUnderTest) -> None:
    answer = host.continue_(step("one", "exit 194", restart="never"))
    assert answer.said == (0, "done")
    assert "may not have one" in answer.output
    # A request that an earlier, more liberal run has left is not carried out either.
    assert host.continue_(step("one"), step("two", restart="always")).said == (194, "restart")
    answer = host.continue_(step("one"), step("two"), restart="never", settle_s=0)
    assert answer.said == (0, "done")
    assert "may not restart" in answer.output


def test_a_run_id_is_not_for_two_kinds_of_runs(host: HostUnderTest) -> None:
    assert host.continue_(step("one")).said == (0, "done")
    answer = host.continue_(restart="always")
    assert answer.said == (78, "refused")
    assert answer.trailer.blame == "input"
    assert answer.trailer.reason.endswith("give the restart of its first start, or another run id")


def test_a_restart_that_a_step_wants_survives_a_power_cut(host: HostUnderTest) -> None:
    """The power goes between the step's end and the request."""
    host.continue_(step("one", restart="never"))
    (host.run / "restart_wanted").write_text("step:one\n", encoding="utf-8")
    assert host.continue_(step("one", restart="always")).said == (194, "restart")


@pytest.mark.parametrize("more", [{"rerun": "yes"}, {"unless": "false"}])
def test_a_step_that_has_not_finished_has_no_restart_yet(host: HostUnderTest, more: dict[str, str]) -> None:
    """The power goes between the wish and the end of the step: it runs again, and wants its restart once."""
    again = step("one", restart="always", **more)
    assert host.continue_(again).said == (194, "restart")
    host.pretend_restart()
    (host.run / "restart_requested").unlink()
    (host.run / "steps" / "one" / "finished").unlink()
    (host.run / "restart_wanted").write_text("step:one\n", encoding="utf-8")
    assert host.continue_(again).said == (194, "restart")
    assert host.traced == ["one", "one"]


def test_a_guard_that_says_done_does_not_take_the_restart_away(host: HostUnderTest) -> None:
    """The keeper dies between the wish and the end of the step, which its guard then finds done."""
    guarded = step("one", restart="always", unless="grep -q one $TRACE")
    assert host.continue_(guarded).said == (194, "restart")
    (host.run / "restart_requested").unlink()
    (host.run / "steps" / "one" / "finished").unlink()
    (host.run / "restart_wanted").write_text("step:one\n", encoding="utf-8")
    answer = host.continue_(guarded)
    assert answer.said == (194, "restart")
    assert answer.trailer.steps["one"]["state"] == "skipped"
    assert host.traced == ["one"]


def test_a_wish_that_became_a_request_is_not_granted_twice(host: HostUnderTest) -> None:
    """The power goes between the request and the end of the wish."""
    steps = (step("one", restart="always"), step("two"))
    assert host.continue_(*steps).said == (194, "restart")
    (host.run / "restart_wanted").write_text("step:one\n", encoding="utf-8")
    host.pretend_restart()
    assert host.continue_(*steps).said == (0, "done")
    assert host.traced == ["one", "two"]


def test_an_old_trailer_is_no_answer_when_the_keeper_dies(host: HostUnderTest) -> None:
    assert host.continue_(step("one")).said == (0, "done")
    slow = step("slow", "echo started >> $TRACE; sleep 600")
    process = host.start(step("one"), slow)
    until(lambda: "started" in host.traced)
    for pid in processes_with(f"keep {host.run}"):
        kill(pid)
    assert Answer(process.wait(60), process.communicate()[0]).said == (75, "pending")


def test_the_keeper_goes_on_when_its_runner_has_no_time_left(host: HostUnderTest) -> None:
    """The runner tells that it is busy; the keeper still has the steps that it was sent."""
    slow = step("slow", "echo started >> $TRACE; while [ ! -e $TRACE.go ]; do sleep 0.05; done")
    answer = host.continue_(slow, step("after"), not_after=int(time.time()) + 2)
    assert answer.said == (75, "busy")
    Path(f"{host.trace}.go").touch()
    until((host.run / "trailer").exists)
    assert host.continue_(slow, step("after")).said == (0, "done")
    assert host.traced == ["started", "after"]


def test_the_clock_is_looked_at_before_each_attempt(host: HostUnderTest) -> None:
    flaky = step("flaky", "echo try >> $TRACE; sleep 2; exit 1", attempts=9)
    process = host.start(flaky, not_after=int(time.time()) + 1)
    process.communicate()
    until((host.run / "trailer").exists)
    trailer = (host.run / "trailer").read_text(encoding="utf-8")
    assert " state=late " in trailer
    assert host.traced == ["try"]


def test_a_clock_that_is_a_little_behind_does_not_lengthen_the_time(host: HostUnderTest) -> None:
    now = int(time.time())
    answer = host.continue_(step("one"), sent_at=now + 200, not_after=now + 190)
    assert answer.said == (76, "late")
    assert host.traced == []


def test_a_guard_that_comes_to_no_end_is_not_taken_for_a_no(host: HostUnderTest) -> None:
    text = host.runner_text.replace("GUARD_TIMEOUT_S=60", "GUARD_TIMEOUT_S=1")
    host.runner_text = text
    answer = host.continue_(step("one", unless="sleep 600"))
    assert answer.said == (1, "failed")
    assert "unknown whether the step is done" in answer.output
    assert host.traced == []


def test_a_guard_that_was_killed_is_not_taken_for_a_no(host: HostUnderTest) -> None:
    answer = host.continue_(step("one", unless="kill -9 $$"))
    assert answer.said == (1, "failed")
    assert "unknown whether the step is done" in answer.output
    assert host.traced == []


def test_what_a_failed_attempt_leaves_at_work_does_not_meet_the_next(host: HostUnderTest) -> None:
    """Its leader was killed, but not what the leader has started."""
    marker = f"4{uuid.uuid4().int % 10**8}"
    script = f"echo try >> $TRACE; [ $(grep -c try $TRACE) = 2 ] || {{ sleep {marker} & kill -9 $$; }}"
    assert host.continue_(step("x", script, attempts=2)).said == (0, "done")
    assert host.traced == ["try", "try"]
    assert not processes_with(f"sleep {marker}")


def test_a_step_ends_by_itself_or_by_its_watch_and_not_by_both(host: HostUnderTest) -> None:
    """Between the watch's decision and its signal the step stands still, or it could pass and yet be told as late."""
    host.runner_text = host.runner_text.replace(
        '  : >"$1/overdue.$2"\n', '  : >"$1/overdue.$2"\n  touch "$TRACE.go"\n  command sleep 1\n'
    )
    slow = step("slow", "while [ ! -e $TRACE.go ]; do sleep 0.05; done; echo ended >> $TRACE", timeout_s=1)
    host.trace.touch()
    answer = host.continue_(slow)
    assert answer.trailer.reason == "step slow failed (no end within 1 s), attempt 1 of 1"
    assert host.traced == []


def test_a_keeper_that_dies_at_once_leaves_no_old_answer(host: HostUnderTest) -> None:
    assert host.continue_(step("one")).said == (0, "done")
    host.runner_text = host.runner_text.replace("\nkeep() {\n", "\nkeep() {\n  kill -9 $$\n")
    assert host.continue_(step("one")).said == (75, "pending")


def test_a_watch_without_a_keeper_ends_nobody(host: HostUnderTest) -> None:
    """The keeper and the step are killed; the watch stays, and the next step is not its business."""
    host.runner_text = host.runner_text.replace(
        '  sleep "$4"\n', '  [ "$4" != 2 ] || until [ -e "$TRACE.wake" ]; do command sleep 0.05; done; sleep "$4"\n'
    )
    script = "[ -s $TRACE ] && pause=5 || pause=600; echo started >> $TRACE; sleep $pause"
    first = host.start(step("slow", script, timeout_s=2, rerun="yes"))
    until(lambda: host.traced == ["started"])
    # Before it has a session of its own, it is in the keeper's.
    until(lambda: any(session_of(pid) == pid for pid in processes_with(f"watch {host.run}")))
    (watch,) = processes_with(f"watch {host.run}")
    kill_everything(host, but=watch)
    first.communicate()
    second = host.start(step("slow", script, timeout_s=60, rerun="yes"))
    until(lambda: host.traced == ["started", "started"])
    # The old watch wakes up while this one's step runs.
    Path(f"{host.trace}.wake").touch()
    until(lambda: session_of(watch) is None)
    assert Answer(second.wait(60), second.communicate()[0]).said == (0, "done")
    assert host.traced == ["started", "started"]
    assert processes_with(f"watch {host.run}") == []


def test_files_that_steps_make_are_for_others_to_read(host: HostUnderTest) -> None:
    host.continue_(step("one", "umask >> $TRACE", unless="umask >> $TRACE; exit 1"))
    assert host.traced == ["0022", "0022"]


def test_a_failed_step_that_left_something_running_can_be_tried_anew(host: HostUnderTest) -> None:
    marker = f"4{uuid.uuid4().int % 10**8}"
    assert host.continue_(step("x", f"sleep {marker} & exit 1")).said == (1, "failed")
    assert host.continue_(step("x", "true")).said == (0, "done")
    for pid in processes_with(f"sleep {marker}"):
        kill(pid)


def test_a_guard_added_to_an_interrupted_step_helps(host: HostUnderTest) -> None:
    slow = "echo started >> $TRACE; [ -e $TRACE.go ] || sleep 600"
    first = host.start(step("slow", slow))
    until(lambda: host.traced == ["started"])
    kill_everything(host)
    first.communicate()
    Path(f"{host.trace}.go").touch()
    answer = host.continue_(step("slow", slow))
    assert answer.said == (1, "failed")
    assert answer.trailer.blame == "lost"
    assert host.continue_(step("slow", slow, unless="exit 1")).said == (0, "done")


def test_a_finished_step_with_another_script_is_told(host: HostUnderTest) -> None:
    host.continue_(step("one"))
    answer = host.continue_(step("one", "echo different >> $TRACE"))
    assert answer.said == (0, "done")
    assert "one: finished earlier in this run, with another script" in answer.output
    assert host.traced == ["one"]


def test_too_late_is_too_late(host: HostUnderTest) -> None:
    answer = host.continue_(step("one"), not_after=int(time.time()) - 1)
    assert answer.said == (76, "late")
    assert answer.trailer.reason.endswith("s ago")
    assert host.traced == []
    assert not host.run.exists()


def test_a_clock_that_is_behind_is_refused(host: HostUnderTest) -> None:
    answer = host.continue_(step("one"), sent_at=int(time.time()) + 400, not_after=int(time.time()) + 900)
    assert answer.said == (78, "refused")
    assert "behind" in answer.trailer.reason
    assert answer.trailer.blame == "instance"
    assert host.traced == []


def test_a_step_that_takes_too_long_is_ended_with_all_that_it_started(host: HostUnderTest) -> None:
    marker = f"{uuid.uuid4().int % 10**8}"
    script = f"sleep 1{marker} & (sleep 2{marker} & wait) & wait"
    answer = host.continue_(step("slow", script, timeout_s=1))
    assert answer.said == (1, "failed")
    assert answer.trailer.blame == "timeout"
    until(lambda: not processes_with(f"sleep 1{marker}") and not processes_with(f"sleep 2{marker}"))
    # Nothing of the watch is left either.
    assert not processes_with(str(host.base))


def test_a_step_without_keeper_and_watch_has_no_more_time_than_any(host: HostUnderTest) -> None:
    """Its keeper was killed before it had a watch: the next one ends it when its time is over."""
    host.runner_text = host.runner_text.replace("\nwatch_step() {\n", "\nwatch_step() {\n  exit\n")
    slow = step("slow", "echo started >> $TRACE; sleep 600", timeout_s=600, rerun="yes")
    first = host.start(slow)
    until(lambda: host.traced == ["started"])
    for pid in processes_with(f"keep {host.run}"):
        kill(pid)
    first.communicate()
    answer = host.continue_(slow)
    assert answer.said == (75, "pending")
    assert answer.trailer.reason == "step slow still runs"
    assert 500 < answer.trailer.wait_s <= 600
    record = host.run / "steps" / "slow" / "started"
    *who, uptime, timeout_s = record.read_text(encoding="utf-8").split()
    record.write_text(" ".join([*who, str(int(uptime) - 600), timeout_s]), encoding="utf-8")
    answer = host.continue_(slow)
    assert answer.said == (1, "failed")
    assert answer.trailer.blame == "timeout"
    assert answer.trailer.reason == "step slow failed (no end within 600 s), attempt 1 of 1"
    assert host.traced == ["started"]
    assert not processes_with(str(host.base))


def test_a_step_that_its_watch_has_ended_without_a_keeper_has_failed(host: HostUnderTest) -> None:
    slow = step("slow", "echo try >> $TRACE; [ $(grep -c try $TRACE) -ge 2 ] || sleep 600", timeout_s=1, attempts=2)
    first = host.start(slow)
    until(lambda: host.traced == ["try"])
    for pid in processes_with(f"keep {host.run}"):
        kill(pid)
    first.communicate()
    until(lambda: not processes_with(str(host.base)))
    answer = host.continue_(slow)
    assert answer.said == (0, "done")
    assert answer.trailer.steps["slow"] == {"state": "done", "attempts": 2}
    assert not list(host.run.glob("overdue.*"))


def test_a_word_on_other_steps_is_no_answer(host: HostUnderTest) -> None:
    """Whoever waits for the keeper of another start with other steps asks again."""
    slow = step("slow", "echo slow >> $TRACE; until [ -e $TRACE.go ]; do sleep 0.1; done")
    first = host.start(slow)
    until(lambda: host.traced == ["slow"])
    others = [host.start(slow), host.start(slow, step("more"))]
    until(lambda: len(processes_with(f"continue {host.base}")) >= 3)
    Path(f"{host.trace}.go").touch()
    first.communicate()
    same, other = (Answer(process.wait(), process.communicate()[0]) for process in others)
    assert (same.said, same.trailer.replayed) == ((0, "done"), True)
    assert (other.said, other.trailer.whole) == ((75, "pending"), False)
    assert host.continue_(slow, step("more")).said == (0, "done")
    assert host.traced == ["slow", "more"]


def test_the_end_of_the_log_ends_before_the_trailer(host: HostUnderTest) -> None:
    answer = host.continue_(step("one", unless="printf 'no end of line'; exit 130"))
    assert answer.said == (1, "failed")
    assert answer.trailer.reason.startswith("step one has a guard that came to no end")


def test_a_clock_that_is_set_back_gives_no_more_time(host: HostUnderTest) -> None:
    host.program("date", '[ -e "$TRACE.back" ] && [ "$1" = +%s ] && echo 1000 && exit; exec /usr/bin/date "$@"')
    first = step("one", "echo one >> $TRACE; touch $TRACE.back; sleep 3")
    answer = host.continue_(first, step("two"), not_after=int(time.time()) + 1)
    assert answer.said[1] in ("late", "busy")
    until(lambda: not processes_with(str(host.base)))
    assert host.traced == ["one"]


def test_a_disk_that_is_full_is_told(host: HostUnderTest) -> None:
    host.program("mv", 'if [ -e "$TRACE.full" ]; then echo no space >&2; exit 1; fi; exec /usr/bin/mv "$@"')
    answer = host.continue_(step("one", "echo one >> $TRACE; touch $TRACE.full"))
    assert answer.said == (1, "failed")
    assert answer.trailer.blame == "instance"
    assert answer.trailer.reason.endswith("perhaps its disk is full")
    Path(f"{host.trace}.full").unlink()
    # Nobody knows any more how far it came.
    assert host.continue_(step("one", "echo one >> $TRACE; touch $TRACE.full")).trailer.blame == "lost"
    assert host.traced == ["one"]


def test_a_quick_step_leaves_no_watch_behind(host: HostUnderTest) -> None:
    host.continue_(step("quick", timeout_s=98765))
    until(lambda: not processes_with("sleep 98765"))


def test_a_daemon_does_not_hold_the_run_up(host: HostUnderTest) -> None:
    marker = f"3{uuid.uuid4().int % 10**8}"
    daemon = step("daemon", f"setsid sleep {marker} &")
    assert host.continue_(daemon).said == (0, "done")
    assert host.continue_(daemon).said == (0, "done")
    (pid,) = processes_with(f"sleep {marker}")
    os.kill(pid, signal.SIGKILL)


def test_who_comes_meanwhile_waits_and_never_restarts(host: HostUnderTest) -> None:
    script = "echo started >> $TRACE; while [ ! -e $TRACE.go ]; do sleep 0.05; done; exit 194"
    slow = step("slow", script, restart="if_required")
    first = host.start(slow)
    until(lambda: host.traced == ["started"])
    second = host.start(slow)
    until(lambda: len(list(host.base.glob("delivery.*"))) == 2)
    time.sleep(0.2)
    Path(f"{host.trace}.go").touch()
    answers = [Answer(process.wait(60), process.communicate()[0]) for process in (first, second)]
    assert answers[0].said == (194, "restart")
    assert answers[1].said == (0, "restart")
    assert answers[1].trailer.replayed
    assert host.traced == ["started"]


def test_two_runs_never_work_at_the_same_time(host: HostUnderTest) -> None:
    slow = step("slow", "echo in >> $TRACE; while [ ! -e $TRACE.go ]; do sleep 0.05; done; echo out >> $TRACE")
    first = host.start(slow)
    until(lambda: host.traced == ["in"])
    second = host.start(step("quick", "echo quick >> $TRACE"), run_id="r-2")
    until((host.base / "runs" / "r-2" / "lock").exists)
    late = host.continue_(step("quick", "echo quick >> $TRACE"), run_id="r-3", not_after=int(time.time()) + 1)
    # Whoever of its runner and keeper is the first to see that its time is over.
    assert late.said in [(75, "busy"), (76, "late")]
    Path(f"{host.trace}.go").touch()
    pairs = [(first, "r-1"), (second, "r-2")]
    answers = [Answer(process.wait(60), process.communicate()[0], run_id) for process, run_id in pairs]
    assert [answer.said for answer in answers] == [(0, "done"), (0, "done")]
    assert host.traced == ["in", "out", "quick"]


def test_nothing_begins_beside_a_step_of_another_run_whose_keeper_was_killed(host: HostUnderTest) -> None:
    """Its lock is gone with the keeper."""
    process = host.start(step("slow", "echo in >> $TRACE; while [ ! -e $TRACE.go ]; do sleep 0.05; done", timeout_s=99))
    until(lambda: host.traced == ["in"])
    for pid in processes_with(f"keep {host.run}"):
        kill(pid)
    process.communicate()
    quick = step("quick", "echo quick >> $TRACE")
    other = host.continue_(quick, run_id="r-2")
    assert other.said == (75, "pending")
    assert other.trailer.reason == "step slow of run r-1 still runs"
    assert 80 < other.trailer.wait_s <= 99
    leader = int((host.run / "steps" / "slow" / "started").read_text(encoding="utf-8").split()[1])
    Path(f"{host.trace}.go").touch()
    until(lambda: session_of(leader) is None)
    assert host.continue_(quick, run_id="r-2").said == (0, "done")
    assert host.traced == ["in", "quick"]


def test_services_that_another_run_has_started_hold_nobody_up(host: HostUnderTest) -> None:
    """They are in the session of a step whose time is over, and whose keeper and leader were killed."""
    marker = f"5{uuid.uuid4().int % 10**8}"
    process = host.start(step("service", f"sleep {marker} & echo in >> $TRACE; sleep 600", timeout_s=99))
    until(lambda: host.traced == ["in"])
    (service,) = processes_with(f"sleep {marker}")
    record = host.run / "steps" / "service" / "started"
    boot, leader, *others, uptime, timeout_s = record.read_text(encoding="utf-8").split()
    for pid in [*processes_with(f"keep {host.run}"), *processes_with(f"watch {host.run}"), int(leader)]:
        kill(pid)
    process.communicate()
    quick = step("quick", "echo quick >> $TRACE")
    assert host.continue_(quick, run_id="r-2").said == (75, "pending")
    record.write_text(" ".join([boot, leader, *others, str(int(uptime) - 100), timeout_s]), encoding="utf-8")
    assert host.continue_(quick, run_id="r-2").said == (0, "done")
    assert session_of(service) == int(leader)
    kill(service)


def test_nothing_begins_on_a_host_that_another_run_restarts(host: HostUnderTest) -> None:
    restart = step("one", "exit 194", restart="if_required")
    assert host.continue_(restart).said == (194, "restart")
    quick = step("quick", "echo quick >> $TRACE")
    other = host.continue_(quick, run_id="r-2")
    assert other.said == (75, "pending")
    assert "run r-1 asked for a restart" in other.trailer.reason
    # It never came: the other run is not held up for ever.
    assert host.continue_(quick, run_id="r-2", settle_s=0).said == (0, "done")
    host.pretend_restart()
    assert host.continue_(quick, run_id="r-3").said == (0, "done")


def test_the_work_outlives_the_runner(host: HostUnderTest) -> None:
    """The agent kills the runner at a timeout, and only the runner."""
    slow = step("slow", "echo started >> $TRACE; while [ ! -e $TRACE.go ]; do sleep 0.05; done; echo ended >> $TRACE")
    first = host.start(slow)
    until(lambda: host.traced == ["started"])
    first.kill()
    first.wait()
    Path(f"{host.trace}.go").touch()
    until((host.run / "trailer").exists)
    assert host.continue_(slow).said == (0, "done")
    assert host.traced == ["started", "ended"]


@pytest.mark.parametrize(
    ("more", "said", "traced"),
    [
        ({}, (1, "failed"), ["started"]),
        ({"rerun": "yes"}, (0, "done"), ["started", "started", "ended"]),
        ({"unless": "exit 1"}, (0, "done"), ["started", "started", "ended"]),
        ({"unless": "grep -q started $TRACE"}, (0, "done"), ["started"]),
    ],
)
def test_an_interrupted_step_runs_again_only_if_it_may(
    host: HostUnderTest, more: dict[str, str], said: tuple[int, str], traced: list[str]
) -> None:
    slow = step("slow", "echo started >> $TRACE; [ -e $TRACE.go ] || sleep 600; echo ended >> $TRACE", **more)
    first = host.start(slow)
    until(lambda: host.traced == ["started"])
    kill_everything(host)
    first.communicate()
    Path(f"{host.trace}.go").touch()
    answer = host.continue_(slow)
    assert answer.said == said
    assert host.traced == traced
    if said[1] == "failed":
        assert "was interrupted" in answer.output


def test_an_interrupted_step_that_has_changed_is_refused(host: HostUnderTest) -> None:
    first = host.start(step("slow", "echo started >> $TRACE; sleep 600", rerun="yes"))
    until(lambda: host.traced == ["started"])
    kill_everything(host)
    first.communicate()
    answer = host.continue_(step("slow", "echo something else >> $TRACE", rerun="yes"))
    assert answer.said == (78, "refused")
    assert "changed" in answer.trailer.reason
    assert answer.trailer.blame == "input"
    assert host.traced == ["started"]


def test_a_step_whose_keeper_was_killed_is_left_alone(host: HostUnderTest) -> None:
    slow = step("slow", "echo started >> $TRACE; while [ ! -e $TRACE.go ]; do sleep 0.05; done", rerun="yes")
    first = host.start(slow)
    until(lambda: host.traced == ["started"])
    for pid in processes_with(f"keep {host.run}"):
        kill(pid)
    answer = Answer(first.wait(60), first.communicate()[0])
    assert answer.said == (75, "pending")
    assert host.continue_(slow).said == (75, "pending")
    assert host.traced == ["started"]
    Path(f"{host.trace}.go").touch()


def test_records_of_another_machine_are_put_aside(host: HostUnderTest) -> None:
    host.continue_(step("one"))
    (host.run / "identity").write_text("another machine\n", encoding="utf-8")
    host.continue_(step("one"))
    assert host.traced == ["one", "one"]
    assert len(list(host.base.glob("runs/r-1.of-another-machine.*"))) == 1


def test_old_runs_go_and_young_ones_stay(host: HostUnderTest) -> None:
    for name, days in (("old", 31), ("young", 29)):
        folder = host.base / "runs" / name
        folder.mkdir(parents=True)
        stamp = time.time() - days * 86400
        os.utime(folder, (stamp, stamp))
    host.continue_(step("one"))
    assert sorted(path.name for path in (host.base / "runs").iterdir()) == ["r-1", "young"]


DNF = """
echo "$*" >> $TRACE.dnf
case "$1 $2" in
"-q check-update") [ -e $TRACE.patched ] && exit 0; echo; echo "kernel.x86_64 2 repo"; exit 100 ;;
"-y upgrade") touch $TRACE.patched ;;
*) exit 9 ;;
esac
"""
RPM = 'if [ -e $TRACE.patched ]; then echo "kernel 2"; else echo "kernel 1"; fi; echo "bash 5"; echo "gpg-pubkey $$"'
UPDATES = OS_UPDATES | {"restart": "never"}


def test_os_updates_updates_and_records(host: HostUnderTest) -> None:
    host.program("dnf", DNF)
    host.program("rpm", RPM)
    answer = host.continue_(UPDATES)
    assert answer.said == (0, "done")
    assert answer.trailer.packages == ({"name": "kernel", "from": "1", "to": "2"},)
    assert answer.trailer.steps["os_updates"]["state"] == "done"
    # Another run finds nothing to do.
    shutil.rmtree(host.run)
    answer = host.continue_(UPDATES)
    assert answer.trailer.steps["os_updates"]["state"] == "unchanged"
    assert not answer.trailer.changed
    assert answer.trailer.packages_count == 0


TWO_KERNELS = 'for n in 10 9; do echo "kernel $n"; done; if [ -e $TRACE.patched ]; then echo "kernel 11"; fi'


def test_only_versions_that_are_new_are_updates(host: HostUnderTest) -> None:
    host.program("dnf", DNF)
    host.program("rpm", TWO_KERNELS)
    answer = host.continue_(UPDATES)
    assert answer.trailer.packages == ({"name": "kernel", "from": "10", "to": "11"},)


def test_what_a_failed_attempt_has_updated_is_told(host: HostUnderTest) -> None:
    host.program("dnf", DNF.replace("touch $TRACE.patched", "touch $TRACE.patched; exit 1"))
    host.program("rpm", TWO_KERNELS)
    answer = host.continue_(UPDATES | {"attempts": 2})
    assert answer.said == (0, "done")
    assert answer.trailer.changed
    assert answer.trailer.packages == ({"name": "kernel", "from": "10", "to": "11"},)


def test_unreadable_repositories_are_a_failure(host: HostUnderTest) -> None:
    host.program("rpm", RPM)
    host.program("dnf", 'echo "Error: Failed to download metadata" >&2; exit 1')
    answer = host.continue_(UPDATES)
    assert answer.said == (1, "failed")
    assert "it is unknown whether there are updates" in answer.output


def test_a_list_of_nothing_is_no_list(host: HostUnderTest) -> None:
    host.program("rpm", "exit 1")
    answer = host.continue_(UPDATES)
    assert answer.said == (1, "failed")
    assert "cannot list the packages that are installed" in answer.output


def test_a_host_without_a_package_manager_of_its_own_says_so(host: HostUnderTest) -> None:
    """What another distribution would take is not one."""
    host.distribution("suse")
    host.runner_text = host.runner_text.replace("managers=zypper", "managers=nosuch")
    answer = host.continue_(UPDATES)
    assert answer.said == (1, "failed")
    assert "this host has no package manager that is its own" in answer.output


def test_yum_is_asked_where_there_is_no_dnf(host: HostUnderTest) -> None:
    host.runner_text = host.runner_text.replace("managers='dnf yum'", "managers='nosuch yum'")
    host.program("yum", DNF)
    host.program("rpm", RPM)
    host.program("needs-restarting", REQUIRED)
    answer = host.continue_(UPDATES | {"restart": "if_required"})
    assert answer.said == (194, "restart")
    assert answer.trailer.packages == ({"name": "kernel", "from": "1", "to": "2"},)


def test_the_package_manager_is_told_what_to_update(host: HostUnderTest) -> None:
    host.program("dnf", DNF)
    host.program("rpm", RPM)
    host.continue_(UPDATES | {"updates": "security", "include": "k* bash zsh", "exclude": "bash c*"})
    asked = Path(f"{host.trace}.dnf").read_text(encoding="utf-8").splitlines()[:2]
    rest = "--exclude=bash,c* --setopt=*.skip_if_unavailable=0 --setopt=*.metadata_expire=0 --setopt=exit_on_lock=1"
    assert asked == [f"-q check-update kernel --security {rest}", f"-y upgrade kernel --security {rest}"]


LOCKED = """
echo "$*" >> $TRACE.dnf
[ $(grep -c . $TRACE.dnf) -ge 3 ] || exit 200
"""


def test_a_lock_is_waited_for(host: HostUnderTest) -> None:
    host.runner_text = host.runner_text.replace("LOCK_PAUSE_S=5", "LOCK_PAUSE_S=0")
    host.program("dnf", LOCKED)
    host.program("rpm", RPM)
    assert host.continue_(UPDATES).said == (0, "done")
    asked = Path(f"{host.trace}.dnf").read_text(encoding="utf-8")
    assert asked.count("check-update") == 3


def test_a_lock_is_not_waited_for_without_end(host: HostUnderTest) -> None:
    host.runner_text = host.runner_text.replace("LOCK_PATIENCE_S=600", "LOCK_PATIENCE_S=0")
    host.program("dnf", LOCKED)
    host.program("rpm", RPM)
    answer = host.continue_(UPDATES)
    assert answer.said == (1, "failed")
    assert "somebody else has held the package manager's lock for 0 s" in answer.output


@pytest.mark.parametrize(
    ("running", "installed", "evidence"),
    [
        # By number, and not letter by letter.
        ("6.8.0-31-generic", ["6.8.0-31-generic", "6.8.0-100-generic"], "required"),
        ("6.8.0-100-generic", ["6.8.0-31-generic", "6.8.0-100-generic"], "not_required"),
        ("5.10.134-16.al8.x86_64", ["5.10.134-16.al8.x86_64", "5.10.134-16.1.al8.x86_64"], "required"),
        ("5.10.134-16.1.al8.x86_64", ["5.10.134-16.al8.x86_64", "5.10.134-16.1.al8.x86_64"], "not_required"),
        ("4.18.0-513.el8_9.x86_64", ["4.18.0-513.el8_9.x86_64", "4.18.0-553.el8_10.x86_64"], "required"),
        (
            "5.14.21-150500.55.44-default",
            ["5.14.21-150500.55.9-default", "5.14.21-150500.55.44-default"],
            "not_required",
        ),
        # The running one has been removed.
        ("6.1.0-18-amd64", ["6.1.0-20-amd64"], "required"),
        # Another kind of kernel says nothing, nor does an image for rescue.
        ("6.1.0-18-cloud-amd64", ["6.1.0-18-cloud-amd64", "6.1.0-20-amd64", "0-rescue-1234"], "not_required"),
        ("6.1.0-18-amd64", ["6.1.0-20-cloud-amd64"], "unknown"),
        ("6.1.0-18-amd64", [], "unknown"),
    ],
)
def test_kernels_tell_where_nothing_else_does(
    host: HostUnderTest, running: str, installed: list[str], evidence: str
) -> None:
    host.distribution("debian")
    host.program("uname", f"echo {running}")
    for kernel in installed:
        (host.etc / f"boot-vmlinuz-{kernel}").touch()
    answer = host.continue_(step("one", restart="if_required"))
    assert answer.trailer.evidence == evidence
    if evidence == "required":
        assert answer.said == (194, "restart")
        assert answer.trailer.reason == f"kernel:{running},{installed[-1]}"


def test_a_kernel_that_is_not_booted_is_tried_once(host: HostUnderTest) -> None:
    """The boot loader keeps to the old one: another restart would change nothing."""
    host.distribution("debian")
    host.program("uname", "echo 6.1.0-18-amd64")
    for number in (18, 20):
        (host.etc / f"boot-vmlinuz-6.1.0-{number}-amd64").touch()
    steps = (step("one", restart="if_required"),)
    assert host.continue_(*steps).said == (194, "restart")
    host.pretend_restart()
    answer = host.continue_(*steps)
    assert answer.said == (0, "done")
    assert answer.trailer.stale == "kernel:6.1.0-18-amd64,6.1.0-20-amd64"


def test_packages_that_would_ask_for_a_restart_and_do_not(host: HostUnderTest) -> None:
    """Ubuntu's leave a file. Kernels need not be compared there."""
    host.distribution("debian")
    host.program("uname", "echo 6.1.0-18-amd64")
    (host.etc / "boot-vmlinuz-6.1.0-20-amd64").touch()
    (host.etc / "usr-share-update-notifier").mkdir()
    (host.etc / "usr-share-update-notifier" / "notify-reboot-required").touch()
    steps = (step("one", restart="if_required"),)
    assert host.continue_(*steps).trailer.evidence == "not_required"
    (host.etc / "run-reboot-required").touch()
    assert host.continue_(*steps).trailer.evidence == "required"


def test_the_trailer_fits_whatever_there_is_to_tell(host: HostUnderTest) -> None:
    steps = [step(f"a-step-with-a-long-name-{number:014d}", "true") for number in range(20)]
    host.continue_(*steps)
    (host.run / "packages").write_text("a-package 1.0 2.0\n" * 1000, encoding="utf-8")
    receipt = f"exit_code {OTHER_BOOT} {OTHER_BOOT} 2026-11-22T01:02:03Z 2026-11-22T01:02:03Z {'x' * 300}\n"
    (host.run / "restarts").write_text(receipt * 20, encoding="utf-8")
    answer = host.continue_(*steps)
    assert len(answer.trailer.steps) == 20
    assert answer.trailer.packages_count == 1000
    assert answer.trailer.packages
    assert json.dumps(answer.trailer.packages[0]) == '{"name": "a-package", "from": "1.0", "to": "2.0"}'
