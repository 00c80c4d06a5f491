# SPDX-License-Identifier: GPL-3.0-or-later
"""Every module through ansible-playbook, on machines that run real scripts."""

from __future__ import annotations

import time
from typing import Any

import pytest
from end_to_end.clouds import REGION, Cloud

RUN = "cloudops.alibaba.ecs_run_command"
WAIT = "cloudops.alibaba.ecs_wait_invocation"
REBOOT = "cloudops.alibaba.ecs_reboot"
STATE = "cloudops.alibaba.ecs_instance_state"
AGENT = "cloudops.alibaba.ecs_cloud_assistant"
SEND = "cloudops.alibaba.ecs_send_file"
COMMAND = "cloudops.alibaba.ecs_command"
STOP = "cloudops.alibaba.ecs_stop_invocation"
INFO = "cloudops.alibaba.ecs_instance_info"


def test_a_script_runs_on_instances_and_its_results_come_back(cloud: Cloud) -> None:
    ids = cloud.ids()
    wanted = [ids["web-01"], ids["web-02"]]
    outcome = cloud.play([{RUN: {"instance_ids": wanted, "content": "hostname; echo é; exit 0", "timeout": 30}}])
    assert outcome.status == 0, outcome.output
    result = outcome.result
    assert result["changed"]
    assert result["succeeded_ids"] == wanted
    first = result["instances"][ids["web-01"]]
    assert (first["output"], first["exit_code"], first["ok"]) == ("web-01\né\n", 0, True)
    assert first["started_at"] <= first["finished_at"]
    assert len(result["invocations"]) == 1
    assert f"Waiting for 2 instances, at most 120 s: invocation {first['invoke_id']}" in outcome.output


def test_it_runs_on_the_controller_whatever_the_inventory_says(cloud: Cloud) -> None:
    """Hosts that nobody can reach, become, a bare localhost, a wrong interpreter, a Windows shell."""
    before = cloud.inventory
    hosts = {
        "localhost": {},
        "far": {"ansible_host": "192.0.2.1", "ansible_shell_type": "powershell"},
        **cloud.inventory["all"]["hosts"],
    }
    cloud.inventory = {"all": {"hosts": hosts}}
    task: dict[str, Any] = {INFO: {}}
    try:
        for host in ("localhost", "far"):
            for more in ({}, {"delegate_to": "localhost"}):
                outcome = cloud.play(
                    [task | more],
                    "-e",
                    "ansible_python_interpreter=/no/such/python",
                    hosts=host,
                    become=True,
                )
                assert len(outcome.results[0].get("instances", [])) == 5, outcome.output
    finally:
        cloud.inventory = before


def test_module_defaults_reach_all_modules(cloud: Cloud) -> None:
    outcome = cloud.play(
        [{INFO: {}}],
        module_defaults={"group/cloudops.alibaba.ecs": {"region_id": "mars-1"}},
    )
    assert "InvalidRegionId.NotFound" in outcome.result["msg"]


def test_unfit_instances_are_named_and_keep_the_others_from_nothing(cloud: Cloud) -> None:
    ids = cloud.ids()
    wanted = [ids["web-01"], ids["off-01"], ids["win-01"], "i-nope"]
    task = {"instance_ids": wanted, "content": "true"}
    outcome = cloud.play(
        [{RUN: task | {"instance_ids": wanted[:2]}}, {RUN: task | {"fail_on_instance_failure": False}}],
    )
    some, result = outcome.results
    assert (some["failed"], some["succeeded_ids"], some["failed_ids"]) == (True, wanted[:1], wanted[1:2])
    assert some["msg"].startswith("The command failed on 1 of 2 instances.")
    assert result["failed"] is False
    assert result["succeeded_ids"] == [ids["web-01"]]
    infos = {key: result["instances"][key]["error_info"] for key in result["failed_ids"]}
    assert infos == {
        ids["off-01"]: "The instance is Stopped, not Running. Start it first.",
        ids["win-01"]: "The script is for linux, and the instance runs windows.",
        "i-nope": f"There is no such instance in {REGION}. Check the instance id and the region.",
    }


@pytest.mark.parametrize("check_mode", [True, False])
def test_instances_that_cannot_be_meant_are_named_before_anything_is_done(cloud: Cloud, check_mode: bool) -> None:
    """Of another region, or of another platform than what is sent to it; by every module that does something."""
    ids = cloud.ids()
    both = {"instance_ids": [ids["web-01"], "i-nope"]}
    mixed = {"instance_ids": [ids["web-01"], ids["win-01"]]}
    tasks: list[tuple[str, dict[str, Any], str]] = [
        (RUN, both | {"content": "true"}, "i-nope: There is no such instance in cn-hangzhou."),
        (RUN, mixed | {"content": "true"}, "win: The script is for linux, and the instance runs windows. Leave"),
        (SEND, both | {"dest": "/root/x", "content": ""}, "i-nope: There is no such instance in cn-hangzhou."),
        (
            SEND,
            mixed | {"dest": "/root/x", "content": ""},
            "win: ecs_send_file puts files on instances with linux, and",
        ),
        (REBOOT, both, "i-nope: There is no such instance in cn-hangzhou."),
        (STATE, both | {"state": "stopped"}, "i-nope: There is no such instance in cn-hangzhou."),
        (AGENT, both | {"install_after": 0}, "i-nope: There is no such instance in cn-hangzhou."),
    ]
    actions = ("RunCommand", "SendFile", "RebootInstances", "StopInstances", "InstallCloudAssistant")
    before = [len(cloud.audit(action=action)) for action in actions]
    outcome = cloud.play([{module: options, "check_mode": check_mode} for module, options, _words in tasks])
    for result, (_module, _options, words) in zip(outcome.results, tasks, strict=True):
        assert result["refused"] is True
        assert result["msg"].startswith("Nothing was done, because 1 of 2 instances cannot take part. ")
        assert words.replace("win:", f"{ids['win-01']}:") in result["msg"]
        assert result["msg"].endswith("or go on without them with fail_on_instance_failure: false.")
    assert [len(cloud.audit(action=action)) for action in actions] == before


@pytest.mark.parametrize(
    ("instance_ids", "words"),
    [
        ([], "instance_ids is empty: nothing to do."),
        (["i-1", "i-1"], "i-1 is in instance_ids more than once."),
        ([["i-1"]], "\"['i-1']\" in instance_ids is not an instance id."),
        (["mi-1"], "mi-1 is a managed instance, not an ECS instance. "),
    ],
    ids=["empty", "twice", "nested", "managed"],
)
def test_a_list_that_is_none_of_ecs_instances_is_one_clear_sentence(
    cloud: Cloud, instance_ids: list[Any], words: str
) -> None:
    modules: dict[str, dict[str, Any]] = {
        REBOOT: {},
        STATE: {"state": "stopped"},
        AGENT: {},
        RUN: {"content": "true"},
        SEND: {"dest": "/root/x", "content": ""},
    }
    if words.startswith("mi-1"):  # commands and files go to managed instances, too
        del modules[RUN], modules[SEND]
    before = len(cloud.audit(kind="api"))
    outcome = cloud.play([{module: {"instance_ids": instance_ids} | more} for module, more in modules.items()])
    for result in outcome.results:
        assert (result["refused"], result["msg"].startswith(words)) == (True, True), result["msg"]
    assert len(cloud.audit(kind="api")) == before


def test_options_that_are_not_what_they_are_called_are_named(cloud: Cloud) -> None:
    one = {"instance_ids": [cloud.ids()["web-01"]]}
    who = "echo '{% raw %}{{who}}{% endraw %}'"
    tasks: list[tuple[dict[str, Any], str]] = [
        ({STOP: {"invoke_id": ["t-1"]}}, "invoke_id is \"['t-1']\", which is not an id."),
        ({STOP: {"invoke_id": "t-1", "timeout": -1}}, "timeout is -1, and no wait takes less than 0 seconds."),
        ({WAIT: {"invoke_ids": [["t-1"]]}}, "invoke_ids is \"['t-1']\", which is not an id."),
        ({WAIT: {"invoke_ids": ["t-1"], "timeout": -1}}, "timeout is -1, and no wait takes less than 0 seconds."),
        ({COMMAND: {"command_id": ["c-1"], "state": "absent"}}, "command_id is \"['c-1']\", which is not an id."),
        ({INFO: {"connect_timeout": -1}}, "connect_timeout is -1, and the least is 1 second."),
        ({RUN: one | {"command_id": ["c-1"]}}, "command_id is \"['c-1']\", which is not an id."),
        ({RUN: one | {"content": "true", "wait_timeout": -1}}, "wait_timeout is -1, and no wait takes less than 0"),
        ({RUN: one | {"content": who, "enable_parameter": True}}, "parameters lacks who: the API would put nothing"),
        ({SEND: one | {"dest": "C:\\x", "content": ""}}, "dest is 'C:\\\\x', a path of Windows, and ecs_send_file"),
    ]
    before = len(cloud.audit(kind="api"))
    outcome = cloud.play([task for task, _words in tasks])
    for result, (_task, words) in zip(outcome.results, tasks, strict=True):
        assert (result["refused"], result["msg"].startswith(words)) == (True, True), result["msg"]
    assert len(cloud.audit(kind="api")) == before


def test_a_failing_script_shows_its_exit_code_and_output(cloud: Cloud) -> None:
    ids = cloud.ids()
    outcome = cloud.play([{RUN: {"instance_ids": [ids["web-01"]], "content": "echo oh no; exit 3"}}])
    row = outcome.result["instances"][ids["web-01"]]
    assert (row["exit_code"], row["failure"], row["output"]) == (3, "script", "oh no\n")
    assert "The script ended with exit code 3" in outcome.result["msg"]


def test_a_script_that_takes_too_long_is_a_timeout(cloud: Cloud) -> None:
    ids = cloud.ids()
    outcome = cloud.play([{RUN: {"instance_ids": [ids["web-01"]], "content": "sleep 60", "timeout": 10}}])
    row = outcome.result["instances"][ids["web-01"]]
    assert (row["status"], row["failure"], row["error_code"]) == ("Timeout", "timeout", "ExecutionTimeout")


def test_a_file_beside_the_playbook_is_found(cloud: Cloud) -> None:
    (cloud.folder / "files").mkdir(exist_ok=True)
    (cloud.folder / "files" / "probe.sh").write_text("#!/bin/sh\necho '{{ not.a.template }}'\n", encoding="utf-8")
    ids = cloud.ids()
    outcome = cloud.play([{RUN: {"instance_ids": [ids["web-01"]], "src": "probe.sh"}}])
    assert outcome.result["instances"][ids["web-01"]]["output"] == "{{ not.a.template }}\n"


def test_not_waiting_and_waiting_later(cloud: Cloud) -> None:
    ids = cloud.ids()
    outcome = cloud.play(
        [
            {RUN: {"instance_ids": [ids["web-01"]], "content": "sleep 1; echo late", "wait": False}},
            {WAIT: {"invoke_ids": "{{ result_0.invocations | map(attribute='invoke_id') }}", "timeout": 60}},
        ]
    )
    started, ended = outcome.results
    row = started["instances"][ids["web-01"]]
    assert (row["status"], row["ok"], row["timed_out"]) == ("Pending", None, False)
    assert row["command_id"] == started["invocations"][0]["command_id"]
    assert (started["succeeded_ids"], started["failed_ids"]) == ([], [])
    assert ended["instances"][ids["web-01"]]["output"] == "late\n"
    assert ended["changed"] is False


def test_check_mode_runs_nothing(cloud: Cloud) -> None:
    ids = cloud.ids()
    before = len(cloud.audit(action="RunCommand")) + len(cloud.audit(action="RebootInstances"))
    outcome = cloud.play(
        [
            {RUN: {"instance_ids": [ids["web-01"], ids["off-01"]], "content": "true"}, "check_mode": True},
            {REBOOT: {"instance_ids": [ids["web-01"]]}, "check_mode": True},
            {RUN: {"instance_ids": [ids["web-01"]], "content": ""}, "check_mode": True},
        ],
    )
    assert outcome.results[0]["changed"]
    assert outcome.results[0]["failed_ids"] == [ids["off-01"]]
    assert outcome.results[1]["changed"]
    assert outcome.results[2]["msg"] == "The script is empty: nothing to run."
    assert len(cloud.audit(action="RunCommand")) + len(cloud.audit(action="RebootInstances")) == before


@pytest.mark.parametrize("poll", [1, 0])
def test_async(cloud: Cloud, poll: int) -> None:
    ids = cloud.ids()
    task = {RUN: {"instance_ids": [ids["web-01"]], "content": "echo in the background"}, "async": 60, "poll": poll}
    outcome = cloud.play([task])
    if poll:
        assert outcome.result["instances"][ids["web-01"]]["output"] == "in the background\n", outcome.output
    else:
        assert outcome.result["ansible_job_id"]


def test_a_restart_is_proven(cloud: Cloud) -> None:
    ids = cloud.ids()
    wanted = [ids["web-02"], ids["web-03"], ids["off-01"]]
    outcome = cloud.play([{REBOOT: {"instance_ids": wanted, "timeout": 60}}])
    result = outcome.result
    assert result["succeeded_ids"] == wanted[:2]
    receipt = result["instances"][ids["web-02"]]["receipt"]
    assert (receipt["verdict"], receipt["method"]) == ("restarted", "api")
    boots = [line["boot_id"] for line in cloud.audit(event="boot", instance_id=ids["web-02"])]
    assert [receipt["boot_id_before"], receipt["boot_id_after"]] == boots[-2:]
    assert len(cloud.audit(event="shutdown", instance_id=ids["web-02"])) == 1
    untouched = result["instances"][ids["off-01"]]["receipt"]
    assert (untouched["verdict"], untouched["method"]) == ("not_restarted", "none")
    assert "The instance was not restarted. The instance is Stopped" in result["msg"]


def test_info(cloud: Cloud) -> None:
    ids = cloud.ids()
    outcome = cloud.play(
        [
            {INFO: {"tags": {"app": "web"}}},
            {INFO: {"instance_ids": [ids["off-01"], "i-nope"]}},
            {INFO: {"status": "Stopped"}},
            {INFO: {"name": "win-*"}},
        ]
    )
    tagged, by_id, stopped, named = outcome.results
    assert set(tagged["instances"]) == {ids["web-01"], ids["web-02"]}
    assert tagged["instances"][ids["web-01"]]["agent"]["online"] is True
    assert by_id["missing"] == ["i-nope"]
    assert by_id["instances"][ids["off-01"]]["agent"]["online"] is False
    assert list(stopped["instances"]) == [ids["off-01"]]
    assert named["instances"][ids["win-01"]]["os_type"] == "windows"


LONG = "# " + "x" * 20_000


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (
            {"access_key_id": "demo", "access_key_secret": "wrong"},
            {},
            ["SignatureDoesNotMatch", "request id ", "Check the access key secret"],
        ),
        (
            {"access_key_id": "nobody", "access_key_secret": "x"},
            {},
            ["InvalidAccessKeyId.NotFound", "request id ", "Check the access key id"],
        ),
        ({"region_id": "mars-1"}, {}, ["InvalidRegionId.NotFound", "request id ", "Check region_id"]),
        ({"content": " "}, {}, ["The script is empty: nothing to run."]),
        ({"content": LONG}, {}, ["The script is too long: 26672 bytes in Base64", "24576", "Shorten it"]),
        ({"instance_ids": []}, {}, ["instance_ids is empty"]),
        ({"instance_ids": ["i-1", "i-1"]}, {}, ["i-1 is in instance_ids more than once"]),
        ({"timeout": 5}, {}, ["timeout is 5 s, and the least that the API takes is 10 s"]),
        ({"src": "/no/such/file", "content": None}, {}, ["/no/such/file"]),
        ({"endpoint": "ftp://x"}, {}, ["endpoint must be a host or an http(s) URL"]),
        (
            {},
            {"ALIBABA_CLOUD_ACCESS_KEY_ID": "", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": ""},
            ["No credentials found; tried EnvironmentVariable, CLIProfile, Profile"],
        ),
        ({}, {"ALIBABA_CLOUD_REGION_ID": ""}, ["region_id is needed"]),
        ({"security_token": "x"}, {}, ["access_key_id"]),
    ],
)
def test_what_is_wrong_is_one_clear_sentence(
    cloud: Cloud, arguments: dict[str, Any], environment: dict[str, str], words: list[str]
) -> None:
    task = {RUN: {"instance_ids": [cloud.ids()["web-01"]], "content": "true"} | arguments}
    task[RUN] = {key: value for key, value in task[RUN].items() if value is not None}
    outcome = cloud.play([task], **environment)
    message = outcome.result["msg"]
    for word in words:
        assert word in message
    assert "\n" not in message
    assert "Traceback" not in outcome.output


def test_a_wrong_scheme_is_said_without_delay(cloud: Cloud) -> None:
    """HTTPS to the simulator's plain HTTP: nothing was sent, and trying again mends nothing."""
    address = cloud.environment["ALIBABA_CLOUD_ECS_ENDPOINT"].removeprefix("http://")
    before = time.monotonic()
    outcome = cloud.play([{INFO: {"endpoint": address}}])
    assert time.monotonic() - before < 60  # it took two minutes
    for words in (f"no answer from {address}, the TLS handshake failed; it had no effect.", "begins with http://"):
        assert words in outcome.result["msg"]


def test_an_unknown_invocation_is_named(cloud: Cloud) -> None:
    outcome = cloud.play([{WAIT: {"invoke_ids": ["t-nope"]}}])
    assert outcome.result["msg"].startswith(f"There is no invocation t-nope in {REGION}.")
