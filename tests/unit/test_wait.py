# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for invocations and reading their results."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._cloud_assistant.failures import classify
from ansible_collections.cloudops.alibaba.plugins.module_utils._cloud_assistant.results import result_of_task
from ansible_collections.cloudops.alibaba.plugins.module_utils._cloud_assistant.run import wait_for_invocations
from ansible_collections.cloudops.alibaba.plugins.module_utils._cloud_assistant.submit import Invocation
from ansible_collections.cloudops.alibaba.plugins.module_utils._cloud_assistant.wait import wait_for
from ansible_collections.cloudops.alibaba.plugins.module_utils._instances.outcome import failure_sentence, summarize
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import BadInput
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.shapes import InvocationRow, TaskRow
from ansible_collections.cloudops.alibaba.plugins.module_utils._waiting import Deadline
from ansible_collections.cloudops.alibaba.tests.unit.fakes import (
    REGION,
    FakeApi,
    FakeClock,
    Lines,
    api_error,
    no_answer,
    task,
)


def waiting(api: FakeApi, clock: FakeClock, *ids: str, seconds: float = 100) -> dict:
    invoke_id, command_id = api.run_command(ids, content="echo")
    invocation = Invocation(api, invoke_id, command_id, "linux", tuple(ids))
    return wait_for([invocation], deadline=Deadline(clock, seconds), clock=clock, progress=Lines(clock))


def test_one_poll_serves_all_instances_and_outputs_are_read_once() -> None:
    clock = FakeClock()
    ids = [f"i-{number}" for number in range(100)]
    polls = []

    class Slow(FakeApi):
        def describe_invocation(self, invoke_id: str) -> InvocationRow | None:
            row = super().describe_invocation(invoke_id)
            polls.append(clock.now)
            assert row
            if len(polls) < 5:
                row.tasks["i-7"] = task(invoke_id, "i-7", status="Running", exit_code=None)
            else:
                row.tasks["i-7"] = task(invoke_id, "i-7")
            return row

    api = Slow.of(clock, *ids)
    results = waiting(api, clock, *ids)
    assert len(polls) == 5
    assert len(api.called("describe_invocation_results")) == 1
    assert all(result["ok"] for result in results.values())


def test_what_has_not_ended_is_lost_and_an_empty_list_is_no_success() -> None:
    clock = FakeClock()
    api = FakeApi.of(clock, "i-1", "i-2", run=lambda t, i, c: task(t, i, status="Running", exit_code=None))
    results = waiting(api, clock, "i-1", "i-2", seconds=30)
    assert {result["failure"] for result in results.values()} == {"lost"}
    assert "may still run" in results["i-1"]["error_info"]
    api.rows["t-2"] = {}
    empty = wait_for(
        [Invocation(api, "t-2", "c-2", "linux", ("i-1",))],
        deadline=Deadline(clock, 30),
        clock=clock,
        progress=Lines(clock),
    )
    assert (empty["i-1"]["ok"], empty["i-1"]["failure"]) == (False, "lost")


def test_an_api_out_of_reach_is_no_news() -> None:
    clock = FakeClock()
    errors = [no_answer(sent=True), api_error("Throttling.User"), api_error("InternalError", status=500)]

    class Flaky(FakeApi):
        def describe_invocation(self, invoke_id: str) -> InvocationRow | None:
            if errors:
                raise errors.pop()
            return super().describe_invocation(invoke_id)

    assert waiting(Flaky.of(clock, "i-1"), clock, "i-1")["i-1"]["ok"]


def test_an_api_that_refuses_ends_the_wait_for_that_invocation_and_names_it() -> None:
    clock = FakeClock()

    class Closed(FakeApi):
        def describe_invocation(self, invoke_id: str) -> InvocationRow | None:
            if invoke_id == "t-2":
                raise api_error("Forbidden.RAM", status=403)
            return super().describe_invocation(invoke_id)

        def describe_invocation_results(self, invoke_id: str) -> Iterator[TaskRow]:
            if invoke_id == "t-2":
                raise api_error("Forbidden.RAM", status=403)
            return super().describe_invocation_results(invoke_id)

    api = Closed.of(clock, "i-1", "i-2")
    invocations = [Invocation(api, *api.run_command([id_], content="x"), "linux", (id_,)) for id_ in ("i-1", "i-2")]
    results = wait_for(invocations, deadline=Deadline(clock, 100), clock=clock, progress=Lines(clock))
    assert results["i-1"]["ok"]
    assert results["i-2"]["failure"] == "lost"
    assert "submitted as invocation t-2" in results["i-2"]["error_info"]
    assert "Forbidden.RAM" in results["i-2"]["error_info"]


@pytest.mark.parametrize("run_s", [1, 5, 20, 60, 300, 3600])
@pytest.mark.parametrize("invocations", [1, 10, 30])
def test_polls_are_few_and_the_end_is_known_soon(run_s: float, invocations: int) -> None:
    """At most 10% of the time or 2 seconds late (more than 25 invocations leave the API its rate), and bounded."""
    clock = FakeClock()
    api = FakeApi.of(clock, *[f"i-{number}" for number in range(invocations)], seconds=lambda id_: run_s)
    running = [Invocation(api, *api.run_command([id_], content="x"), "linux", (id_,)) for id_ in api.instances]
    before = clock.now
    wait_for(running, deadline=Deadline(clock, 2 * run_s + 90), clock=clock, progress=Lines(clock))
    assert clock.now - before - run_s <= max(2, 0.1 * run_s, 0.08 * invocations)
    first = max(0.5, 0.08 * invocations)
    rounds = min(run_s, first / 0.05) / first + math.log(max(1.0, 0.05 * run_s / first), 1.05) + run_s / 10 + 2
    assert len(api.called("describe_invocation")) <= invocations * rounds
    assert len(api.called("describe_invocation_results")) == invocations


def test_what_is_scheduled_has_no_end_to_wait_for() -> None:
    clock = FakeClock()

    class Scheduled(FakeApi):
        def describe_invocation(self, invoke_id: str) -> InvocationRow | None:
            row = super().describe_invocation(invoke_id)
            return replace(row, repeat_mode="Period") if row else None

    api = Scheduled.of(clock, "i-1")
    api.run_command(["i-1"], content="x")
    with pytest.raises(BadInput, match="no end to wait for"):
        wait_for_invocations(api, ["t-1"], timeout_s=10, fail=True, clock=clock, progress=Lines(clock))


def test_two_invocations_of_one_instance_are_not_waited_for_together() -> None:
    clock = FakeClock()
    api = FakeApi.of(clock, "i-1")
    invoke_ids = [api.run_command(["i-1"], content="x")[0] for _number in range(2)]
    with pytest.raises(BadInput, match="i-1 has part in both t-1 and t-2"):
        wait_for_invocations(api, invoke_ids, timeout_s=10, fail=True, clock=clock, progress=Lines(clock))


@pytest.mark.parametrize(("stop", "failure", "changed"), [(True, "timeout", True), (False, "lost", False)])
def test_what_is_late_is_told_and_stopping_it_is_a_change(stop: bool, failure: str, changed: bool) -> None:
    clock = FakeClock()
    api = FakeApi.of(clock, "i-1", "i-2", seconds=lambda id_: 0 if id_ == "i-1" else 1e9)
    api.run_command(["i-1", "i-2"], content="x")
    progress = Lines(clock)
    result = wait_for_invocations(api, ["t-1"], timeout_s=10, fail=True, stop_late=stop, clock=clock, progress=progress)
    assert (result["instances"]["i-2"]["failure"], result["changed"]) == (failure, changed)
    assert result["msg"].startswith("The wait was over before it had ended on 1 instance.")
    assert "The wait is over, and 1 of 2 instances not finished" in progress.lines


def test_a_wait_of_less_than_nothing_is_refused_by_the_options_name() -> None:
    clock = FakeClock()
    with pytest.raises(BadInput, match="timeout is -1, and no wait takes less"):
        wait_for_invocations(FakeApi.of(clock), ["t-1"], timeout_s=-1, fail=True, clock=clock, progress=Lines(clock))


def test_the_first_line_says_how_many_how_long_and_which() -> None:
    clock = FakeClock()
    api = FakeApi.of(clock, "i-1", "i-2")
    progress = Lines(clock)
    invoke_id, command_id = api.run_command(["i-1", "i-2"], content="echo")
    invocation = Invocation(api, invoke_id, command_id, "linux", ("i-1", "i-2"))
    wait_for([invocation], deadline=Deadline(clock, 1800), clock=clock, progress=progress)
    assert progress.lines == ["Waiting for 2 instances, at most 30 min: invocation t-1"]


@pytest.mark.parametrize(
    ("platform", "exit_code", "action"),
    [
        ("linux", 194, "restart"),
        ("linux", 193, "stop"),
        ("linux", 1, "none"),
        ("linux", 3010, "none"),
        ("windows", 3010, "restart"),
        ("windows", 3009, "stop"),
        ("windows", 194, "none"),
    ],
)
def test_a_requested_power_action_is_no_failure(platform: str, exit_code: int, action: str) -> None:
    row = task("t", "i", status="Failed", exit_code=exit_code, error_code="ExitCodeNonzero")
    result = result_of_task(row, region_id=REGION, command_id="c", platform=platform)
    assert result["power_action"] == action
    assert result["ok"] is (action != "none")


def test_a_killed_command_with_the_power_code_is_a_failure() -> None:
    row = task("t", "i", status="Timeout", exit_code=194, error_code="ExecutionTimeout")
    result = result_of_task(row, region_id=REGION, command_id="c", platform="linux")
    assert (result["power_action"], result["failure"]) == ("none", "timeout")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        ("Failed", "ExitCodeNonzero", "script"),
        ("Timeout", "ExecutionTimeout", "timeout"),
        ("Error", "InstanceRestarted", "instance"),
        ("Error", "ClientNotResponse", "agent"),
        ("Error", "SecurityGroupRuleDenied", "network"),
        ("Aborted", "DeliveryTimeout", "not_delivered"),
        ("Aborted", "", "not_delivered"),
        ("Invalid", "DirectoryNotExists", "input"),
        ("Terminated", "", "stopped"),
        ("Cancelled", "", "stopped"),
        ("Invalid", "UserOrPasswordInvalid", "input"),
        ("Invalid", "BadCronExpression", "input"),
        ("Error", "ContainerStateAbnormal", "instance"),
        ("Error", "NoEnoughSpace", "instance"),
        ("Error", "SomethingNobodyKnows", "agent"),
        ("Running", "", "lost"),
        ("", "", "lost"),
    ],
)
def test_failures_have_a_class_and_a_sentence(status: str, code: str, kind: str) -> None:
    failure = classify(status, code, "the words of the API", None)
    assert failure
    assert failure.kind == kind
    assert failure.info.endswith(".")
    if code == "SomethingNobodyKnows":
        assert "SomethingNobodyKnows" in failure.info
        assert "the words of the API" in failure.info


def test_output_is_text_whatever_the_bytes() -> None:
    row = task("t", "i", output=b"caf\xc3\xa9 \xff\xfe")
    assert result_of_task(row, region_id=REGION, command_id="c", platform="linux")["output"] == "café ��"


def test_lists_keep_the_order_and_the_sentence_names_three() -> None:
    rows = {f"i-{n}": task("t", f"i-{n}", status="Failed", exit_code=n) for n in range(5, 0, -1)}
    rows["i-0"] = task("t", "i-0")
    results = {k: result_of_task(v, region_id=REGION, command_id="c", platform="linux") for k, v in rows.items()}
    summary = summarize(results, list(rows))
    assert summary["failed_ids"] == ["i-5", "i-4", "i-3", "i-2", "i-1"]
    assert summary["succeeded_ids"] == ["i-0"]
    sentence = failure_sentence(results, "The command")
    assert sentence
    assert sentence.startswith("The command failed on 5 of 6 instances. i-5: The script ended with exit code 5; i-4: ")
    assert sentence.endswith("i-3: The script ended with exit code 3; … and 2 more.")
    assert ".;" not in sentence
