# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands and files while requests fail: what may happen once happens once, and nobody is lost."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from end_to_end.clouds import Cloud, make_cloud

RUN = "cloudops.alibaba.ecs_run_command"
COMMAND = "cloudops.alibaba.ecs_command"
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


def test_ctrl_c_says_what_goes_on_and_no_progress_says_nothing(cloud: Cloud) -> None:
    ids = [cloud.ids()["web-01"]]
    quiet = cloud.play([{RUN: {"instance_ids": ids, "content": "true", "progress": False}}])
    assert "Waiting for" not in quiet.output
    path = cloud.folder / "interrupted.yml"
    path.write_text(
        f"- hosts: web-01\n  gather_facts: false\n  tasks:\n    - {RUN}: {{instance_ids: {ids}, content: sleep 60}}\n",
        encoding="utf-8",
    )
    process = subprocess.Popen(
        cloud.command(path),
        cwd=cloud.folder,
        env=cloud.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Waiting for 1 instance" in line:
            process.send_signal(signal.SIGINT)
    process.wait()
    invoke_id = next(line.rsplit(maxsplit=1)[1] for line in lines if "Waiting for 1 instance" in line)
    (said,) = [line for line in lines if "Interrupted" in line]
    assert f"it goes on: invocation {invoke_id} in cn-hangzhou." in said
    assert f"ecs_wait_invocation and invoke_ids: [{invoke_id}], or end it with ecs_stop_invocation" in said
    stopped = cloud.play([{"cloudops.alibaba.ecs_stop_invocation": {"invoke_id": invoke_id}}])
    assert stopped.result["stopped_ids"] == ids
