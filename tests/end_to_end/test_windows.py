# SPDX-License-Identifier: GPL-3.0-or-later
"""The role over hosts with Windows: what the controller makes of the answers of the step runner for Windows.

No PowerShell runs here. Scripted machines give the answers, as the runner writes them; exit code 3010 restarts them.
"""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from end_to_end.clouds import Cloud, Outcome, make_cloud
from end_to_end.test_role import commands, patch, statuses

pytestmark = pytest.mark.once  # it does not depend on Ansible or Python

RUN = "CHG-7"
# A piece of every delivery for Windows, and of none for Linux.
DELIVERY = "Read-Base85"
BOOTS = [f"2026-11-30T{hour:02d}:00:00.1234567Z" for hour in range(20, 24)]


def trailer(state: str, boot: int, **words: str) -> str:
    """The last line of the runner, with the checksum that cksum makes."""
    values = {
        "run": RUN,
        "state": state,
        "method": "exit_code",
        "boot": BOOTS[boot],
        "at": "2026-11-30T20:12:00Z",
        "again": "no",
        "wait": "0",
        "blame": "script",
        "reason": "",
        "log": f"C:\\ProgramData\\cloudops.alibaba\\runs\\{RUN}\\log",
        "for": "delivery.1a2b3c4d",
        "work": "0",
        "changed": "no",
        "steps": "os_updates:pending:0",
        "evidence": "not_required",
        "evidence_reason": "cbs,windows_update,pending_rename",
        "stale": "",
        "restarts": ";".join(
            f"exit_code|{before}|{after}|2026-11-30T20:08:00Z|2026-11-30T20:12:00Z|step:os_updates"
            for before, after in itertools.pairwise(BOOTS[: boot + 1])
        ),
        "packages_count": "0",
        "packages": "",
    }
    text = "cloudops.alibaba/1 " + " ".join(f"{key}={value}" for key, value in (values | words).items())
    done = subprocess.run(["cksum"], input=text.encode(), capture_output=True, check=True)
    return f"{text} cksum={done.stdout.split()[0].decode()}"


def says(exit_code: int, *lines: str) -> dict[str, Any]:
    """An answer that is given once. Lines end as Windows ends them."""
    return {"match": DELIVERY, "exit_code": exit_code, "output": "".join(f"{line}\r\n" for line in lines), "times": 1}


UPDATED = {"changed": "yes", "packages_count": "1", "packages": "KB5031364|missing|installed"}
DONE = {"steps": "os_updates:done:1", **UPDATED}
RESTART = says(3010, "os_updates: goes on after a restart", trailer("restart", 0, reason="step:os_updates", **UPDATED))
AGAIN = "os_updates: KB5031364 is offered again although it was installed; the host's update history may tell why"
TRANSCRIPTS: dict[str, list[dict[str, Any]]] = {
    "clean": [says(0, "os_updates: unchanged", trailer("done", 0, steps="os_updates:unchanged:1"))],
    "restarted": [RESTART, says(0, "os_updates: done", trailer("done", 1, **DONE))],
    "rounds": [
        RESTART,
        says(3010, trailer("restart", 1, reason="step:os_updates", **UPDATED)),
        says(0, trailer("done", 2, **DONE)),
    ],
    "loop": [
        RESTART,
        says(
            1,
            "os_updates: failed (exit status 1), attempt 1 of 1",
            "the end of the log:",
            AGAIN,
            trailer(
                "failed",
                1,
                reason="step%20os_updates%20failed%20(exit%20status%201),%20attempt%201%20of%201",
                **UPDATED | {"steps": "os_updates:failed:1"},
            ),
        ),
    ],
    "pending": [
        says(75, trailer("pending", 0, wait="1", reason="step%20os_updates%20still%20runs")),
        says(0, trailer("done", 0, **DONE)),
    ],
    "interrupted": [
        says(
            1,
            trailer(
                "failed",
                0,
                blame="lost",
                reason="step%20x%20was%20interrupted,%20and%20has%20neither%20a%20guard%20(unless)%20nor%20rerun",
                steps="x:failed:1",
            ),
        )
    ],
    "damaged": [
        says(1, trailer("done", 0, **DONE)[:-1] + "x"),
        says(0, trailer("done", 0, **DONE, replayed="yes")),
    ],
    "late": [says(76, trailer("late", 0, reason="before%20step%20os_updates"))],
    "restricted": [says(78, "cloudops.alibaba: PowerShell is 4.0, FullLanguage here, and the step runner needs 5.1")],
}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A host for each transcript, and one with Linux."""
    cloud = make_cloud(
        tmp_path_factory.mktemp("windows"),
        *[{"name": name, "os": "windows", "answers": answers} for name, answers in TRANSCRIPTS.items()],
        {"name": "linux"},
    )
    yield cloud
    cloud.stop()


@pytest.fixture(scope="module")
def run(fleet: Cloud) -> Outcome:
    """One batch with all of them."""
    return patch(fleet, patch_hosts_run_id=RUN, patch_hosts_batches=["100%"], patch_hosts_timeouts={"settle": 10})


def boots(cloud: Cloud, name: str) -> int:
    return len(cloud.audit(event="boot", instance_id=cloud.ids()[name]))


def test_every_host_has_its_verdict(run: Outcome) -> None:
    assert statuses(run) == {
        "clean": "unchanged",
        "restarted": "restarted",
        "rounds": "restarted",
        "loop": "failed",
        "pending": "patched",
        "interrupted": "failed",
        "damaged": "patched",
        "late": "failed",
        "restricted": "failed",
        "linux": "unchanged",
    }, run.output


def test_each_platform_has_a_command_of_its_own(fleet: Cloud, run: Outcome) -> None:
    calls = commands(fleet)
    assert sorted(calls[:2]) == sorted([["linux"], list(TRANSCRIPTS)])
    assert all(call == ["linux"] or "linux" not in call for call in calls)


def test_a_restart_is_proven_by_the_time_of_the_boot(fleet: Cloud, run: Outcome) -> None:
    (receipt,) = run.result["hosts"]["restarted"]["receipts"]
    assert (receipt["verdict"], receipt["boot_id_before"], receipt["boot_id_after"]) == ("restarted", *BOOTS[:2])
    assert boots(fleet, "restarted") == 2
    assert "by exit code, boot time 2026-11-30T20:00:00Z -> 2026-11-30T21:00:00Z" in run.output
    assert run.result["hosts"]["restarted"]["packages"] == [{"name": "KB5031364", "from": "missing", "to": "installed"}]


def test_updates_that_come_in_rounds_restart_once_for_each(fleet: Cloud, run: Outcome) -> None:
    assert [receipt["boot_id_after"] for receipt in run.result["hosts"]["rounds"]["receipts"]] == BOOTS[1:3]
    assert boots(fleet, "rounds") == 3


def test_an_update_that_is_offered_again_ends_the_run_on_its_host(fleet: Cloud, run: Outcome) -> None:
    host = run.result["hosts"]["loop"]
    assert (host["failure"], host["cycles"], boots(fleet, "loop")) == ("script", 2, 2)
    assert host["error_info"].endswith(f"It printed last: {AGAIN}")


def test_nobody_else_restarts(fleet: Cloud, run: Outcome) -> None:
    others = TRANSCRIPTS.keys() - {"restarted", "rounds", "loop"}
    assert {name: boots(fleet, name) for name in others} == dict.fromkeys(others, 1)


@pytest.mark.parametrize(
    ("name", "failure", "words"),
    [
        ("interrupted", "lost", "step x was interrupted, and has neither a guard"),
        ("late", "timeout", "The host's time was over: before step os_updates"),
        ("restricted", "instance", "The step runner did not start."),
    ],
)
def test_what_failed_is_told(run: Outcome, name: str, failure: str, words: str) -> None:
    host = run.result["hosts"][name]
    assert (host["failure"], host["cycles"]) == (failure, 1)
    assert words in host["error_info"]


def test_an_answer_that_is_pending_or_damaged_is_asked_for_again(run: Outcome) -> None:
    hosts = run.result["hosts"]
    assert [(hosts[name]["cycles"], hosts[name]["ok"]) for name in ("pending", "damaged")] == [(2, True)] * 2


def test_a_script_that_says_no_platform_is_refused(fleet: Cloud) -> None:
    before = commands(fleet)
    steps = [{"name": "x", "script": "true"}]
    outcome = fleet.playbook(
        Path(__file__).resolve().parents[2] / "playbooks" / "patch.yml",
        "-e",
        json.dumps({"patch_hosts_steps": steps, "patch_hosts_batches": ["100%"]}),
    )
    assert outcome.status != 0
    assert "The step 'x' has a script, and clean runs Windows: set platform of the step to windows" in outcome.output
    assert commands(fleet) == before
