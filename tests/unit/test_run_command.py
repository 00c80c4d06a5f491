# SPDX-License-Identifier: GPL-3.0-or-later
"""What ecs_run_command does: which instances, which command, how long, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._cloud_assistant.command import (
    Command,
    SavedCommand,
    command_from_options,
)
from ansible_collections.cloudops.alibaba.plugins.module_utils._cloud_assistant.run import Target, Waiting, run_command
from ansible_collections.cloudops.alibaba.plugins.module_utils._cloud_assistant.scripts import SKIPPED
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.command_shapes import CommandRow
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import BadInput
from ansible_collections.cloudops.alibaba.tests.unit.fakes import (
    FakeApi,
    FakeClock,
    Lines,
    api_error,
    instance,
    no_answer,
    saved,
    task,
)

OPTIONS: dict[str, Any] = {
    "command_id": None,
    "type": "RunShellScript",
    "unless": None,
    "parameters": {},
    "enable_parameter": False,
    "timeout": None,
    "termination_mode": None,
    "working_dir": None,
    "username": None,
    "windows_password_name": None,
    "container_id": None,
    "container_name": None,
    "launcher": None,
    "name": None,
    "description": None,
    "tags": {},
    "keep_command": False,
    "repeat_mode": None,
    "frequency": None,
    "resource_group_id": None,
    "oss_output_delivery": None,
    "utf8_output": True,
}


def run(
    api: FakeApi,
    command: Command | SavedCommand | None = None,
    target: Target | None = None,
    waiting: Waiting | None = None,
    *,
    dry: bool = False,
    fail: bool = True,
) -> dict[str, Any]:
    return run_command(
        lambda: api,
        command or Command("echo"),
        target or Target(list(api.instances)),
        waiting or Waiting(),
        dry=dry,
        fail=fail,
        clock=api.clock,
        progress=Lines(api.clock),
    )


def test_the_apis_short_timeout_is_never_left_in_force() -> None:
    command = command_from_options(OPTIONS, "echo")
    assert command.timeout_s == 3600
    api = FakeApi.of(FakeClock(), "i-1")
    run(api, command)
    assert api.sent[0]["running"].timeout_s == 3600


def test_options_reach_the_request() -> None:
    options = OPTIONS | {
        "parameters": {"n": 1},
        "tags": {"change": 7},
        "username": "u",
        "termination_mode": "ProcessTree",
        "keep_command": True,
        "name": "a name",
    }
    api = FakeApi.of(FakeClock(), "i-1")
    run(api, command_from_options(options, "echo {{n}}"))
    sent = api.sent[0]
    assert (sent["content"], sent["name"], sent["keep"], sent["enable_parameter"]) == (
        "echo {{n}}",
        "a name",
        True,
        True,
    )
    request = sent["running"].as_request()
    assert request == {"timeout": 3600, "username": "u", "termination_mode": "ProcessTree", "parameters": {"n": "1"}}
    assert sent["running"].tags == {"change": "7"}


def test_only_powershell_gets_the_prologue() -> None:
    for kind, utf8, expected in (
        ("RunPowerShellScript", True, True),
        ("RunPowerShellScript", False, False),
        ("RunBatScript", True, False),
        ("RunShellScript", True, False),
    ):
        command = command_from_options(OPTIONS | {"type": kind, "utf8_output": utf8}, "hostname")
        assert isinstance(command, Command)
        assert ("OutputEncoding" in command.content) is expected


def test_an_empty_script_stays_empty_whatever_is_put_around_it() -> None:
    for kind in ("RunShellScript", "RunPowerShellScript"):
        command = command_from_options(OPTIONS | {"type": kind, "unless": "true"}, " ")
        with pytest.raises(BadInput, match="empty"):
            command.check()


def test_a_saved_command_brings_its_own_time_and_platform() -> None:
    api = FakeApi.of(FakeClock(), "i-1", "i-2")
    api.instances["i-2"] = instance("i-2", os_type="windows")
    api.commands["c-1"] = saved("c-1", type="RunBatScript", timeout_s=120, parameter_names=("Who",))
    result = run(api, SavedCommand("c-1", parameters={"who": "x"}), fail=False)
    assert api.called("invoke_command") == [["i-2"]]
    assert api.sent[0]["running"].timeout_s == 120
    assert result["succeeded_ids"] == ["i-2"]
    info = result["instances"]["i-1"]["error_info"]
    assert info == "The saved command is for windows, and the instance runs linux."


@pytest.mark.parametrize("dry", [True, False])
def test_instances_that_cannot_be_meant_are_refused_before_anything_runs(dry: bool) -> None:
    api = FakeApi.of(FakeClock(), "i-1", "i-2", "i-3")
    api.instances["i-2"] = instance("i-2", os_type="windows")
    api.instances["i-3"] = instance("i-3", status="Stopped")
    target = Target(["i-1", "i-2", "i-3", "i-nope", "mi-nope"])
    with pytest.raises(BadInput) as caught:
        run(api, target=target, dry=dry)
    assert api.sent == []
    assert str(caught.value) == (
        "Nothing was done, because 3 of 5 instances cannot take part. i-2: The script is for linux, and the instance "
        "runs windows; i-nope: There is no such instance in cn-test. Check the instance id and the region; mi-nope: "
        "There is no such managed instance in cn-test. Check its id and the region, or register it again. Leave them "
        "out, or go on without them with fail_on_instance_failure: false."
    )
    result = run(api, target=target, dry=dry, fail=False)
    assert result["failed_ids"] == ["i-2", "i-3", "i-nope", "mi-nope"]
    assert len(api.sent) == (not dry)


def test_what_is_only_not_ready_keeps_the_others_from_nothing() -> None:
    api = FakeApi.of(FakeClock(), "i-1", "i-2")
    api.instances["i-2"] = instance("i-2", status="Stopped")
    assert run(api)["succeeded_ids"] == ["i-1"]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (SavedCommand("c-2"), "There is no saved command c-2 in cn-test."),
        (SavedCommand("c-1", parameters={"x": ""}), "The script has no parameter x"),
        (SavedCommand("c-3"), "parameters lacks Who, from: the API would put nothing in the script"),
        (SavedCommand("c-3", parameters={"WHO": "x"}), "parameters lacks from: "),
        (SavedCommand("c-1", windows_password_name="p", username="u"), "is for Windows"),
    ],
)
@pytest.mark.parametrize("dry", [True, False])
def test_what_does_not_fit_the_saved_command_is_refused(command: SavedCommand, words: str, dry: bool) -> None:
    api = FakeApi.of(FakeClock(), "i-1")
    api.commands["c-1"] = saved("c-1")
    api.commands["c-3"] = saved(
        "c-3",
        enable_parameter=True,
        parameter_names=("Who", "from", "acs::InstanceId", "tone"),
        optional_parameters=("Tone",),
    )
    with pytest.raises(BadInput, match=words):
        run(api, command, dry=dry)
    assert api.calls == [("describe_commands", command.command_id)]


def test_a_parameter_with_a_default_of_its_own_may_be_left_out() -> None:
    definitions = [
        {"ParameterName": "tone", "DefaultValue": "", "Required": True},
        {"ParameterName": "more", "Required": False},
        {"ParameterName": "who", "Required": True},
        {"ParameterName": "from"},
    ]
    row = {"CommandId": "c-1", "ParameterDefinitions": {"ParameterDefinition": definitions}}
    assert CommandRow.read(row).optional_parameters == ("tone", "more")
    api = FakeApi.of(FakeClock(), "i-1")
    api.commands["c-1"] = saved("c-1", parameter_names=("tone",), optional_parameters=("tone",))
    assert run(api, SavedCommand("c-1"))["succeeded_ids"] == ["i-1"]


@pytest.mark.parametrize("option", ["unless", "name", "description", "keep_command"])
def test_what_belongs_to_a_script_is_refused_with_a_saved_one(option: str) -> None:
    with pytest.raises(BadInput, match=f"{option} goes with a script"):
        command_from_options(OPTIONS | {"command_id": "c-1", option: "x"}, None)


def test_tags_find_the_instances() -> None:
    api = FakeApi.of(FakeClock(), "i-1", "i-2", "i-3")
    for id_ in ("i-1", "i-3"):
        api.instances[id_] = instance(id_, tags={"app": "web", "x": "y"})
    assert run(api, target=Target(tags={"app": "web"}))["succeeded_ids"] == ["i-1", "i-3"]
    with pytest.raises(BadInput, match="No instance in cn-test has all the tags"):
        run(api, target=Target(tags={"app": "db"}))


@pytest.mark.parametrize(
    ("target", "waiting", "words"),
    [
        (Target(), Waiting(), "instance_tags is empty"),
        (Target([]), Waiting(), "instance_ids is empty"),
        (Target(tags={"acs:x": ""}), Waiting(), "instance_tags is not allowed"),
        (Target(["i-1"]), Waiting(timeout_s=-1), "wait_timeout is -1, and no wait takes less than 0 seconds."),
    ],
)
@pytest.mark.parametrize("dry", [True, False])
def test_bad_input_is_refused_before_anything_is_asked(target: Target, waiting: Waiting, words: str, dry: bool) -> None:
    api = FakeApi.of(FakeClock(), "i-1")
    with pytest.raises(BadInput, match=words):
        run(api, target=target, waiting=waiting, dry=dry)
    assert api.calls == []


def test_what_was_skipped_everywhere_has_changed_nothing() -> None:
    skip = {"i-1", "i-2"}
    api = FakeApi.of(
        FakeClock(), "i-1", "i-2", run=lambda t, i, c: task(t, i, output=SKIPPED.encode() if i in skip else b"")
    )
    result = run(api)
    assert (result["changed"], result["instances"]["i-1"]["skipped"], result["succeeded_ids"]) == (
        False,
        True,
        ["i-1", "i-2"],
    )
    skip.remove("i-2")
    assert run(api)["changed"]


@pytest.mark.parametrize("mode", ["Period", "NextRebootOnly", "EveryReboot"])
def test_what_is_for_later_is_not_waited_for(mode: str) -> None:
    clock = FakeClock()
    api = FakeApi.of(clock, "i-1", seconds=lambda id_: 1e9)
    command = Command("echo", repeat_mode=mode, frequency="rate(5h)" if mode == "Period" else None)
    result = run(api, command)
    assert clock.sleeps == []
    assert (result["changed"], result["instances"]["i-1"]["ok"]) == (True, None)
    assert result["instances"]["i-1"]["command_id"] == result["invocations"][0]["command_id"]


@pytest.mark.parametrize(
    ("status", "changed"), [("Aborted", False), ("Invalid", False), ("Failed", True), ("Error", True)]
)
def test_what_has_certainly_not_begun_has_changed_nothing(status: str, changed: bool) -> None:
    api = FakeApi.of(FakeClock(), "i-1", run=lambda t, i, c: task(t, i, status=status, exit_code=None))
    assert run(api)["changed"] is changed


def test_a_lost_answer_counts_as_a_change_and_a_refusal_does_not() -> None:
    for error, changed in ((no_answer(sent=True), True), (api_error("Forbidden.RAM", status=403), False)):
        api = FakeApi.of(FakeClock(), "i-1", refuse=lambda ids, error=error: error)
        assert run(api)["changed"] is changed


def test_what_was_stopped_before_it_began_may_run_all_the_same() -> None:
    api = FakeApi.of(FakeClock(), "i-1", seconds=lambda id_: 1e9)

    def cancel() -> None:
        api.unfinished.clear()
        api.rows["t-1"]["i-1"] = task("t-1", "i-1", status="Cancelled", exit_code=None)

    api.refuse_stop = cancel
    result = run(api, waiting=Waiting(timeout_s=20, stop_late=True))
    row = result["instances"]["i-1"]
    assert (row["failure"], result["changed"]) == ("timeout", True)
    assert row["error_info"] == (
        "It had not ended when the wait of 20 s was over, and then it was stopped. It had not begun there; an agent "
        "that had it queued may run it all the same."
    )


def test_a_script_that_ends_while_it_is_stopped_is_not_late() -> None:
    clock = FakeClock()
    api = FakeApi.of(clock, "i-1", seconds=lambda id_: 1e9)

    def end() -> None:
        api.unfinished.clear()
        api.rows["t-1"]["i-1"] = task("t-1", "i-1")

    api.refuse_stop = end
    result = run(api, waiting=Waiting(timeout_s=20, stop_late=True))
    assert (result["succeeded_ids"], result["instances"]["i-1"]["timed_out"]) == (["i-1"], False)


def test_a_dry_run_of_the_api_changes_nothing() -> None:
    assert run(FakeApi.of(FakeClock(), "i-1"), Command("echo", repeat_mode="DryRun"))["changed"] is False


def test_a_late_script_is_left_or_stopped_as_asked() -> None:
    for stop, failure, running in ((False, "lost", 1), (True, "timeout", 0)):
        api = FakeApi.of(FakeClock(), "i-1", "i-2", seconds=lambda id_: 0 if id_ == "i-1" else 1e9)
        result = run(api, waiting=Waiting(timeout_s=20, stop_late=stop))
        assert result["succeeded_ids"] == ["i-1"]
        late = result["instances"]["i-2"]
        assert (late["failure"], late["timed_out"], late["command_id"]) == (failure, True, "c-t-1")
        assert late["error_info"].startswith("It had not ended when the wait of 20 s was over")
        assert late["error_info"].endswith(", and then it was stopped. What it had started may still run.") is stop
        assert ("may still run. Look again" in late["error_info"]) is not stop
        assert result["instances"]["i-1"]["timed_out"] is False
        assert result["msg"].startswith("The wait was over before it had ended on 1 instance. The command failed on 1")
        tolerant = run(api, waiting=Waiting(timeout_s=20, stop_late=stop), fail=False)
        assert (tolerant["failed"], tolerant["msg"]) == (False, result["msg"])
        assert result["changed"]
        assert api.called("stop_invocation") == [["i-2"]] * stop * 2
        assert len(api.unfinished) == running * 2


def test_a_stop_that_is_refused_is_said() -> None:
    api = FakeApi.of(FakeClock(), "i-1", seconds=lambda id_: 1e9, refuse_stop=lambda: api_error("Forbidden.RAM"))
    row = run(api, waiting=Waiting(timeout_s=20, stop_late=True))["instances"]["i-1"]
    assert row["failure"] == "lost"
    assert "It could not be stopped." in row["error_info"]
    assert "Forbidden.RAM" in row["error_info"]
