# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever kills ansible-playbook expects that nothing more is asked of hosts."""

from __future__ import annotations

import subprocess
from typing import Any

import yaml
from end_to_end.clouds import Cloud
from end_to_end.processes import await_nobody, with_home

RUN = "cloudops.alibaba.ecs_run_command"


def test_kill_9_of_ansible_ends_the_module_and_the_run(cloud: Cloud) -> None:
    ids = [cloud.ids()["web-01"]]
    tasks: list[dict[str, Any]] = [{RUN: {"instance_ids": ids, "content": text}} for text in ("sleep 600", "true")]
    path = cloud.folder / "killed.yml"
    path.write_text(yaml.safe_dump([{"hosts": "web-01", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    before = len(cloud.audit(action="RunCommand"))
    process = subprocess.Popen(
        cloud.command(path), cwd=cloud.folder, env=cloud.environment, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout
        waits = next(line for line in process.stdout if "Waiting for 1 instance" in line)
        assert len(with_home(cloud.folder / "home")) > 1
        process.kill()
    await_nobody(cloud.folder / "home")
    assert len(cloud.audit(action="RunCommand")) == before + 1
    # The command itself goes on, on its host.
    invoke_id = waits.rsplit(maxsplit=1)[1]
    stopped = cloud.play([{"cloudops.alibaba.ecs_stop_invocation": {"invoke_id": invoke_id}}])
    assert stopped.result["stopped_ids"] == ids
