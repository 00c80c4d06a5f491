# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands and files while requests fail: what may happen once happens once, and nobody is lost."""

from __future__ import annotations

import base64
import re
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from end_to_end.clouds import Cloud, make_cloud
from end_to_end.processes import await_nobody

pytestmark = pytest.mark.once  # it does not depend on Ansible or Python

MANAGED = "mi-hz0endtoend0001"
AWAY = "mi-hz0endtoend0002"
RUN = "cloudops.alibaba.ecs_run_command"
WAIT = "cloudops.alibaba.ecs_wait_invocation"
COMMAND = "cloudops.alibaba.ecs_command"
WAITS = re.compile(r"Waiting for 1 instance, .*: invocation (\S+)\n")
SEND = "cloudops.alibaba.ecs_send_file"


def cut(action: str) -> dict[str, Any]:
    """The connection ends after the action has taken effect."""
    return {"on": {"action": action}, "fault": "connection_cut", "took_effect": True}


def test_what_took_effect_though_the_connection_was_cut_happens_once(folder: Path) -> None:
    cloud = make_cloud(
        folder,
        {"name": "a"},
        {"name": "b"},
        faults=[cut(action) for action in ("RunCommand", "CreateCommand", "InvokeCommand", "SendFile")],
    )
    (folder / "files").mkdir()
    lines = "".join(f"{number * 7919 % 100_003:x}" for number in range(20_000))
    (folder / "files" / "large").write_text(lines, encoding="utf-8")
    ids = list(cloud.ids().values())
    try:
        outcome = cloud.play(
            [
                {RUN: {"instance_ids": ids, "content": "echo ran >>/root/ran"}},
                {COMMAND: {"name": "again", "content": "echo invoked >>/root/ran"}},
                {RUN: {"instance_ids": ids, "command_id": "{{ result_1.command_id }}"}},
                {"cloudops.alibaba.ecs_command_info": {"name": "again"}},
                {SEND: {"instance_ids": ids, "dest": "/root/large", "src": "large"}},
                {RUN: {"instance_ids": ids, "content": "cat /root/ran; wc -c </root/large"}},
            ]
        )
        assert outcome.status == 0, outcome.output
        assert len(outcome.results[3]["commands"]) == 1
        outputs = {row["output"] for row in outcome.result["instances"].values()}
        assert outputs == {f"ran\ninvoked\n{len(lines)}\n"}
        assert len([line for line in cloud.audit(kind="fault") if line["fault"] == "connection_cut"]) == 4
    finally:
        cloud.stop()


def test_throttled_to_five_requests_a_second_no_host_of_500_fails(folder: Path) -> None:
    cloud = make_cloud(
        folder,
        *[
            {"name": f"host-{number:03d}", "machine": "scripted", "answers": [{"output": f"{number}\n", "seconds": 5}]}
            for number in range(500)
        ],
        throttling={"*": {"per_second": 5}},
    )
    ids = list(cloud.ids().values())
    try:
        outcome = cloud.play([{RUN: {"instance_ids": ids, "content": "hostname"}}], hosts="host-000")
        assert outcome.status == 0, outcome.output[-3000:]
        assert outcome.result["succeeded_ids"] == ids
        outputs = [row["output"] for row in outcome.result["instances"].values()]
        assert outputs == [f"{number}\n" for number in range(500)]
        codes = Counter(line["code"] for line in cloud.audit(kind="api"))
        assert codes["Throttling.User"] > 0
        assert len(cloud.audit(action="RunCommand", code="200")) == 5
    finally:
        cloud.stop()


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "http_503", "times": 3},
        {"fault": "connection_cut", "times": 3},
        {"fault": "stale", "times": 5},
        {"fault": "duplicate_row", "times": 2},
        {"fault": "slow", "times": 3},
    ],
    ids=lambda fault: str(fault["fault"]),
)
def test_questions_that_fail_lose_nobody(folder: Path, fault: dict[str, Any]) -> None:
    rows = [{"name": f"h{n:02d}", "machine": "scripted", "answers": [{"output": f"{n}\n"}]} for n in range(60)]
    cloud = make_cloud(folder, *rows, faults=[{"on": {"action": "DescribeInvocation*"}, **fault}])
    ids = list(cloud.ids().values())
    try:
        outcome = cloud.play([{RUN: {"instance_ids": ids, "content": "hostname"}}], hosts="h00")
        assert outcome.status == 0, outcome.output
        assert [row["output"] for row in outcome.result["instances"].values()] == [f"{n}\n" for n in range(60)]
        assert cloud.audit(kind="fault")
    finally:
        cloud.stop()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_who_ends_a_run_reads_what_goes_on(cloud: Cloud, ending: signal.Signals) -> None:
    ids = [cloud.ids()["web-01"]]
    path = cloud.folder / "interrupted.yml"
    path.write_text(
        f"- hosts: web-01\n  gather_facts: false\n  tasks:\n    - {RUN}: {{instance_ids: {ids}, content: sleep 60}}\n",
        encoding="utf-8",
    )
    # Into a file: what is written there twice must not be lost, as it is not on a terminal.
    log = cloud.folder / "output"
    with log.open("wb") as output:
        process = subprocess.Popen(
            cloud.command(path), cwd=cloud.folder, env=cloud.environment, stdout=output, stderr=output
        )
    with process:
        while not (waits := WAITS.search(log.read_text(encoding="utf-8"))):
            assert process.poll() is None, log.read_text(encoding="utf-8")
            time.sleep(0.05)
        process.send_signal(ending)
    await_nobody(cloud.folder / "home")
    lines = log.read_text(encoding="utf-8").splitlines()
    (said,) = [line for line in lines if "Interrupted" in line]
    invoke_id = waits[1]
    assert said.startswith(f"    Interrupted, and on the instances it goes on: invocation {invoke_id} in cn-hangzhou. ")
    assert f"ecs_wait_invocation and invoke_ids: [{invoke_id}], or end it with ecs_stop_invocation" in said
    stopped = cloud.play([{"cloudops.alibaba.ecs_stop_invocation": {"invoke_id": invoke_id}}])
    assert stopped.result["stopped_ids"] == ids


def test_no_progress_says_nothing(cloud: Cloud) -> None:
    ids = [cloud.ids()["web-01"]]
    quiet = cloud.play([{RUN: {"instance_ids": ids, "content": "true", "progress": False}}])
    assert "Waiting for" not in quiet.output


def test_managed_instances_get_commands_and_files_with_the_others(folder: Path) -> None:
    cloud = make_cloud(
        folder,
        {"name": "web"},
        {"name": "cellar", "id": MANAGED, "managed": True},
        {"name": "attic", "id": AWAY, "managed": True, "agent": {"state": "stopped"}},
    )
    ids = list(cloud.ids().values())
    both = ids[:2]
    try:
        outcome = cloud.play(
            [
                {RUN: {"instance_ids": ids, "content": "hostname"}},
                {SEND: {"instance_ids": both, "dest": "/etc/motd", "content": "hello\n"}},
                {RUN: {"instance_ids": both, "content": "cat /etc/motd", "wait": False}},
                {WAIT: {"invoke_ids": "{{ result_2.invocations | map(attribute='invoke_id') }}"}},
            ],
            hosts="web",
        )
        ran, sent, _started, waited = outcome.results
        assert ran["succeeded_ids"] == both
        assert [ran["instances"][key]["output"] for key in both] == ["web\n", "cellar\n"]
        assert ran["instances"][AWAY]["failure"] == "agent"
        assert "The managed instance is not connected" in ran["msg"]
        assert sent["succeeded_ids"] == both
        assert {key: row["output"] for key, row in waited["instances"].items()} == dict.fromkeys(both, "hello\n")
        assert [line["instance_ids"] for line in cloud.audit(action="RunCommand")] == [both] * 3
        assert len(cloud.audit(action="DescribeManagedInstances")) == 3
    finally:
        cloud.stop()


def test_a_batch_file_is_sent_with_its_guard_and_what_it_ends_with_is_told(folder: Path) -> None:
    guard = base64.b64encode("Test-Path C:\\done".encode("utf-16-le")).decode()
    skipped = "cloudops.alibaba: skipped, because unless holds"
    text = (
        f"@powershell.exe -NoProfile -NonInteractive -EncodedCommand {guard} >nul 2>&1 <nul\r\n"
        f"@if not errorlevel 1 (\r\n@echo {skipped}\r\n@exit /b 0\r\n)\r\n@echo off\nexit /b %CODE%"
    )
    # Scripted, and what fits none of them would end with 0 and without output.
    ends = [{"output": f"{skipped}\r\n"}, {"output": "done\r\n"}, {"exit_code": 5}, {"exit_code": 3010}]
    answers = [{"regex": rf"\A{re.escape(text)}\Z", "times": 1, **end} for end in ends]
    cloud = make_cloud(folder, {"name": "win", "os": "windows", "answers": answers})
    ids = list(cloud.ids().values())
    task = {
        "instance_ids": ids,
        "type": "RunBatScript",
        "content": "@echo off\nexit /b %CODE%",
        "unless": "Test-Path C:\\done",
    }
    try:
        outcome = cloud.play([{RUN: task}] * len(ends))
        rows = [result["instances"][ids[0]] for result in outcome.results]
        told = [(row["skipped"], row["ok"], row["exit_code"], row["power_action"]) for row in rows]
        assert told == [
            (True, True, 0, "none"),
            (False, True, 0, "none"),
            (False, False, 5, "none"),
            (False, True, 3010, "restart"),
        ]
        assert [result["changed"] for result in outcome.results] == [False, True, True, True]
        assert rows[1]["output"] == "done\r\n"
    finally:
        cloud.stop()
