# SPDX-License-Identifier: GPL-3.0-or-later
"""make demo, as a user types it, and what its audit log proves."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from end_to_end.clouds import ROOT


class Demo:
    """One make demo."""

    def __init__(self, folder: Path, arguments: str = "") -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        done = subprocess.run(
            ["make", "--no-print-directory", "demo", f"DEMO_DIR={folder}", f"ARGS={arguments}"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.output = done.stdout
        assert done.returncode == 0, self.output
        self.report: dict[str, Any] = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
        lines = (folder / "audit.jsonl").read_text(encoding="utf-8").splitlines()
        self.audit: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def hosts(self, what: str) -> dict[str, Any]:
        return {name: result[what] for name, result in self.report["hosts"].items()}

    def events(self, **wanted: str) -> list[dict[str, Any]]:
        return [line for line in self.audit if wanted.items() <= line.items()]

    def ids(self) -> dict[str, str]:
        return self.hosts("instance_id")


def assert_the_audit_log_agrees(demo: Demo) -> None:
    """What happened is what the report says, and nothing else."""
    ids, batches, cycles = demo.ids(), demo.hosts("batch"), demo.hosts("cycles")

    # One RunCommand for each cycle and batch, not for each host.
    calls = demo.events(action="RunCommand")
    most_cycles = {batch: max(cycles[name] for name in ids if batches[name] == batch) for batch in batches.values()}
    assert len(calls) == sum(most_cycles.values())

    for name, instance_id in ids.items():
        # A host that restarted has one shutdown and one boot after it; the others have none.
        events = [line["event"] for line in demo.events(kind="machine", instance_id=instance_id)]
        power = [event for event in events if event in ("boot", "shutdown")]
        restarts = len(demo.report["hosts"][name]["receipts"])
        assert power == ["boot"] + ["shutdown", "boot"] * restarts
        # No finished step ran again.
        log = [line["text"] for line in demo.events(event="syslog", instance_id=instance_id)]
        for step in ("os_updates", "banner"):
            ended = [index for index, text in enumerate(log) if text.endswith((f"{step}: done", f"{step}: unchanged"))]
            started = [index for index, text in enumerate(log) if f"step {step}: attempt" in text and "starts" in text]
            assert len(ended) <= 1
            assert all(index < ended[0] for index in started if ended)

    # No host of a batch was touched before the batch before it had ended.
    for earlier, later in ((1, 2), (2, 3)):
        of = {batch: {ids[name] for name in ids if batches[name] == batch} for batch in (earlier, later)}
        ends = [line["time"] for line in demo.events(kind="machine") if line["instance_id"] in of[earlier]]
        starts = [line["time"] for line in demo.events(event="command_start") if line["instance_id"] in of[later]]
        assert max(ends) < min(starts)


@pytest.mark.parametrize("method", ["exit_code", "api"])
def test_the_demo_patches_once_and_finds_nothing_to_do_then(tmp_path: Path, method: str) -> None:
    arguments = "-e patch_hosts_restart_method=api" if method == "api" else ""
    demo = Demo(tmp_path, arguments)
    assert demo.hosts("status") == {
        "web-01": "restarted",
        "web-02": "patched",
        "web-03": "restarted",
        "web-04": "restarted",
        "web-05": "restarted",
        "web-06": "patched",
    }
    assert demo.hosts("batch") == {"web-01": 1, "web-02": 2, "web-03": 2, "web-04": 3, "web-05": 3, "web-06": 3}
    assert demo.hosts("packages_count") == {
        "web-01": 2,
        "web-02": 1,
        "web-03": 2,
        "web-04": 1,
        "web-05": 3,
        "web-06": 0,
    }
    # A step failed the first time, was retried within the run and passed.
    assert demo.report["hosts"]["web-03"]["steps"]["os_updates"] == {"state": "done", "attempts": 2}
    assert "os_updates passed on attempt 2" in demo.output
    assert {receipt["method"] for result in demo.report["hosts"].values() for receipt in result["receipts"]} == {method}
    assert_the_audit_log_agrees(demo)

    again = Demo(tmp_path, arguments)
    assert set(again.hosts("status").values()) == {"unchanged"}
    assert again.output.count("changed=0") == 6
    assert_the_audit_log_agrees(again)
