# SPDX-License-Identifier: GPL-3.0-or-later
"""Submitting: pieces of 100, unfit instances beside, nothing twice."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._cloud_assistant.command import Command
from ansible_collections.cloudops.alibaba.plugins.module_utils._cloud_assistant.submit import submit
from ansible_collections.cloudops.alibaba.plugins.module_utils._instances.ids import check_ecs_ids, check_instance_ids
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import BadInput
from ansible_collections.cloudops.alibaba.tests.unit.fakes import (
    FakeApi,
    FakeClock,
    agent,
    api_error,
    instance,
    managed,
    no_answer,
)
from hypothesis import given
from hypothesis import strategies as st

ECHO = Command("echo")


def ids(count: int) -> list[str]:
    return [f"i-{number:04d}" for number in range(count)]


@pytest.mark.parametrize(("count", "calls"), [(1, 1), (100, 1), (101, 2), (1000, 10)])
def test_one_call_takes_a_hundred(count: int, calls: int) -> None:
    api = FakeApi.of(FakeClock(), *ids(count))
    submission = submit(api, ECHO, ids(count))
    assert len(api.called("run_command")) == calls
    assert sorted(id_ for call in api.called("run_command") for id_ in call) == ids(count)
    assert submission.failures == {}


def test_unfit_instances_are_left_out_before_the_call() -> None:
    api = FakeApi.of(FakeClock(), *ids(5))
    api.instances["i-0001"] = instance("i-0001", status="Stopped")
    api.instances["i-0002"] = instance("i-0002", os_type="windows")
    api.agents["i-0003"] = agent("i-0003", online=False)
    submission = submit(api, ECHO, [*ids(5), "i-nope"])
    assert api.called("run_command") == [["i-0000", "i-0004"]]
    kinds = {id_: failure.kind for id_, failure in submission.failures.items()}
    assert kinds == {"i-0001": "instance", "i-0002": "input", "i-0003": "agent", "i-nope": "instance"}
    assert all(failure.info.endswith(".") for failure in submission.failures.values())


def test_managed_instances_run_with_the_others_in_one_call() -> None:
    api = FakeApi.of(FakeClock(), "i-1", managed={"mi-1": managed("mi-1"), "mi-2": managed("mi-2", os_type="freebsd")})
    submission = submit(api, ECHO, ["mi-2", "i-1", "mi-1"])
    assert api.called("run_command") == [["mi-2", "i-1", "mi-1"]]
    assert api.called("describe_managed_instances") == [["mi-2", "mi-1"]]
    assert api.called("describe_instances") == [["i-1"]]
    assert submission.failures == {}


@pytest.mark.parametrize(("count", "calls"), [(0, []), (50, [50]), (51, [50, 1])])
def test_managed_instances_are_looked_at_fifty_at_a_time(count: int, calls: list[int]) -> None:
    given_ids = [f"mi-{number}" for number in range(count)]
    api = FakeApi.of(FakeClock(), "i-1", managed={id_: managed(id_) for id_ in given_ids})
    assert submit(api, ECHO, ["i-1", *given_ids]).failures == {}
    assert [len(call) for call in api.called("describe_managed_instances")] == calls


def test_unfit_managed_instances_are_left_out_with_a_sentence() -> None:
    rows = [managed("mi-away", connected=False), managed("mi-win", os_type="windows"), managed("mi-1")]
    rows += [managed("mi-old", connected=False, agent_version="")]
    api = FakeApi.of(FakeClock(), managed={row.instance_id: row for row in rows})
    submission = submit(api, ECHO, ["mi-away", "mi-win", "mi-1", "mi-old", "mi-nope"])
    assert api.called("run_command") == [["mi-1"]]
    assert (api.called("describe_instances"), api.called("describe_cloud_assistant_status")) == ([], [])
    told = {id_: (failure.kind, failure.info) for id_, failure in submission.failures.items()}
    assert {id_: kind for id_, (kind, _info) in told.items()} == {
        "mi-away": "agent",
        "mi-win": "input",
        "mi-old": "agent",
        "mi-nope": "instance",
    }
    assert "is not connected. See that it is up, that its Cloud Assistant Agent (2.2.3.1065) runs" in told["mi-away"][1]
    assert told["mi-win"][1] == "The script is for linux, and the instance runs windows."
    assert "(version unknown)" in told["mi-old"][1]
    assert told["mi-nope"][1].startswith("There is no such managed instance in cn-test.")


def test_with_nobody_fit_nothing_is_called() -> None:
    api = FakeApi.of(FakeClock())
    submission = submit(api, ECHO, ["i-nope"])
    assert api.called("run_command") == []
    assert list(submission.failures) == ["i-nope"]


@given(st.sets(st.integers(min_value=0, max_value=149), max_size=6))
def test_hidden_culprits_are_found_by_halving(culprits: set[int]) -> None:
    """The API rejects a call for an instance that looks fit."""
    hidden = {ids(150)[number] for number in culprits}

    def refuse(call: Sequence[str]) -> Exception | None:
        return api_error("InvalidInstance.NotMatch") if hidden & set(call) else None

    api = FakeApi.of(FakeClock(), *ids(150), refuse=refuse)
    submission = submit(api, ECHO, ids(150))
    assert set(submission.failures) == hidden
    ran = [id_ for invocation in submission.invocations for id_ in invocation.instance_ids]
    assert sorted(ran) == sorted(set(ids(150)) - hidden)


def test_an_instance_that_stops_meanwhile_costs_one_more_call() -> None:
    api = FakeApi.of(FakeClock(), *ids(10))

    def refuse(call: Sequence[str]) -> Exception | None:
        if "i-0003" not in call:
            return None
        api.instances["i-0003"] = instance("i-0003", status="Stopping")
        return api_error("InvalidInstance.NotMatch")

    api.refuse = refuse
    submission = submit(api, ECHO, ids(10))
    assert len(api.called("run_command")) == 2
    assert list(submission.failures) == ["i-0003"]


def test_an_error_that_blames_no_instance_is_that_of_all() -> None:
    api = FakeApi.of(FakeClock(), *ids(3), refuse=lambda call: api_error("Forbidden.RAM", status=403))
    submission = submit(api, ECHO, ids(3))
    assert {(failure.kind, failure.code) for failure in submission.failures.values()} == {("input", "Forbidden.RAM")}
    assert len(api.called("run_command")) == 1


def test_what_was_submitted_is_told_even_when_looking_fails_after_it() -> None:
    """The second piece is rejected for an instance's sake, and then the API is out of reach."""
    api = FakeApi.of(FakeClock(), *ids(200))

    def refuse(call: Sequence[str]) -> Exception | None:
        if "i-0150" not in call:
            return None
        api.deaf = lambda: no_answer(sent=True)
        return api_error("InvalidInstance.NotMatch")

    api.refuse = refuse
    submission = submit(api, ECHO, ids(200))
    assert [len(invocation.instance_ids) for invocation in submission.invocations] == [100]
    assert len(submission.failures) == 100


def test_an_error_for_one_piece_leaves_the_others() -> None:
    api = FakeApi.of(FakeClock(), *ids(200), refuse=lambda call: no_answer(sent=True) if "i-0150" in call else None)
    submission = submit(api, ECHO, ids(200))
    assert len(submission.invocations) == 1
    assert {failure.kind for failure in submission.failures.values()} == {"lost"}
    assert len(submission.failures) == 100


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (no_answer(sent=True), "lost"),
        (no_answer(sent=False), "network"),
        (api_error("InternalError", status=500), "lost"),
        (api_error("IdempotentProcessing", status=403), "lost"),
    ],
)
def test_a_lost_answer_is_not_sent_again(error: Exception, kind: str) -> None:
    api = FakeApi.of(FakeClock(), *ids(3), refuse=lambda call: error)
    submission = submit(api, ECHO, ids(3))
    assert {failure.kind for failure in submission.failures.values()} == {kind}
    assert len(api.called("run_command")) == 1


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (Command(" \n"), "empty"),
        (Command("é" * 10_000), "26668 bytes in Base64, and Cloud Assistant takes at most 24576"),
        (Command("echo", timeout_s=9), "the least that the API takes is 10 s"),
        (Command("echo", name="x" * 129), "name has 129 characters"),
        (Command("echo", working_dir="x" * 201), "working_dir"),
        (Command("echo", description="x" * 513), "description"),
        (Command("echo", tags={str(n): "" for n in range(21)}), "21 tags"),
        (Command("echo", tags={"k" * 65: ""}), "too long"),
    ],
)
def test_what_the_api_would_refuse_is_refused_before(command: Command, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        command.check()
    assert words in str(caught.value)


def test_the_limit_is_the_apis_to_the_byte() -> None:
    largest = "x" * 18_432
    assert len(base64.b64encode(largest.encode())) == 24 * 1024
    Command(largest).check()
    with pytest.raises(BadInput):
        Command(largest + "x").check()


@pytest.mark.parametrize(
    ("given_ids", "words"),
    [
        ([], "empty"),
        (["i-1", "i-2", "i-1"], "more than once"),
        ([" i-1"], "not an instance id"),
        ([""], "not an"),
        (["['i-1']"], "not an instance id"),
    ],
)
def test_bad_lists_of_ids_are_refused(given_ids: list[str], words: str) -> None:
    with pytest.raises(BadInput) as caught:
        check_instance_ids(given_ids)
    assert words in str(caught.value)


def test_managed_instances_are_refused_where_only_ecs_instances_will_do() -> None:
    given_ids = ["i-1", "mi-1"]
    assert check_instance_ids(given_ids) == given_ids
    assert check_ecs_ids(["i-1"], "") == ["i-1"]
    with pytest.raises(BadInput) as caught:
        check_ecs_ids(given_ids, "Do that instead.")
    assert str(caught.value) == "mi-1 is a managed instance, not an ECS instance. Do that instead."
