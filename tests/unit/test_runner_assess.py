# SPDX-License-Identifier: GPL-3.0-or-later
"""Assessing, in each shell that the step runner has to run in: what is told, and that nothing is changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.tests.unit.host_under_test import (
    OS_UPDATES,
    Answer,
    HostUnderTest,
    host_with,
    kill_everything,
    until,
)

pytestmark = pytest.mark.once

DNF_TABLE = """
Dependencies resolved.
================================================================================
 Package            Arch      Version       Repository           Size
================================================================================
Installing:
 kernel             x86_64    11            here                  1 k
Upgrading:
 a-package-with-quite-a-long-name-for-a-table
                    x86_64    2:2.0-1       here                  1 k
     replacing  elder.x86_64 1.0-1
 curl               x86_64    8.2-1         here                  1 k
Installing dependencies:
 fresh              noarch    1.0-1         here                  1 k
Skipping packages with broken dependencies:
 broken             x86_64    2.0-1         here                  1 k

Transaction Summary
================================================================================
Upgrade  2 Packages
"""
DNF = f"""
echo "$*" >> $TRACE.dnf
case "$*" in
*check-update*) exit 100 ;;
"--assumeno upgrade"*) cat <<'EOF'
{DNF_TABLE}
EOF
  echo "Operation aborted." >&2; exit 1 ;;
*) exit 9 ;;
esac
"""
NOTHING = 'case "$*" in *check-update*) exit 0 ;; *) exit 9 ;; esac'
RPM = """cat <<'EOF'
kernel 9
kernel 10
a-package-with-quite-a-long-name-for-a-table 1.0-1
curl 8.1-1
broken 1.0-1
EOF"""


@pytest.fixture(params=["dash", "bash", "busybox"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HostUnderTest]:
    if not shutil.which(request.param):
        pytest.skip(f"there is no {request.param} here")
    with host_with(request.param, tmp_path) as host:
        host.program("rpm", RPM)
        host.program("dnf", NOTHING)
        yield host


def step(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "script": f"echo {name} >> $TRACE"} | more


def assess(host: HostUnderTest, *steps: dict[str, Any], **request: Any) -> Answer:
    return host.continue_(*steps, mode="assess", **request)


def states(answer: Answer) -> dict[str, str]:
    return {name: told["state"] for name, told in answer.trailer.steps.items()}


def expected(answer: Answer) -> tuple[str, str]:
    return answer.trailer.expected, answer.trailer.expected_reason


def test_guards_tell_what_is_needed_and_no_step_runs(host: HostUnderTest) -> None:
    answer = assess(
        host,
        step("plain"),
        step("patched", unless="echo asked >> $TRACE; exit 0"),
        step("unpatched", unless="exit 1"),
        step("dead", unless="kill -9 $$"),
    )
    assert answer.said == (0, "done")
    assert states(answer) == {"plain": "needed", "patched": "done", "unpatched": "needed", "dead": "unknown"}
    assert not answer.trailer.changed
    assert host.traced == ["asked"]
    assert not (host.base / "runs").exists()
    assert not list(host.base.glob("delivery.*"))


def test_updates_are_told_and_not_made(host: HostUnderTest) -> None:
    host.program("dnf", DNF)
    answer = assess(host, OS_UPDATES)
    assert answer.said == (0, "done"), answer.output
    assert states(answer) == {"os_updates": "needed"}
    assert answer.trailer.packages == (
        {"name": "a-package-with-quite-a-long-name-for-a-table", "from": "1.0-1", "to": "2:2.0-1"},
        {"name": "curl", "from": "8.1-1", "to": "8.2-1"},
        {"name": "kernel", "from": "10", "to": "11"},
    )
    assert answer.trailer.packages_count == 3
    assert expected(answer) == ("likely", "update of kernel")
    asked = Path(f"{host.trace}.dnf").read_text(encoding="utf-8").splitlines()
    assert [line.split(" --setopt")[0] for line in asked if "needs-restarting" not in line] == [
        "-q check-update",
        "--assumeno upgrade",
    ]


def test_an_assessment_is_not_taken_for_an_earlier_one(host: HostUnderTest) -> None:
    host.program("dnf", DNF)
    assert assess(host, OS_UPDATES).trailer.packages_count == 3
    host.program("dnf", NOTHING)
    again = assess(host, OS_UPDATES)
    assert states(again) == {"os_updates": "done"}
    assert again.trailer.packages_count == 0
    assert expected(again)[0] != "likely"


@pytest.mark.parametrize("fails", ["check-update", "--assumeno"])
def test_what_cannot_be_known_is_a_failure(host: HostUnderTest, fails: str) -> None:
    host.program("dnf", f'case "$*" in *{fails}*) echo "Error: no route" >&2; exit 1 ;; esac\n{DNF}')
    answer = assess(host, OS_UPDATES | {"attempts": 2}, step("after"))
    assert answer.said == (1, "failed")
    assert states(answer) == {"os_updates": "failed", "after": "pending"}
    assert "no route" in answer.output
    assert answer.trailer.reason == "step os_updates failed (exit status 1), attempt 2 of 2"


def test_a_look_has_the_time_of_its_step(host: HostUnderTest) -> None:
    host.program("dnf", "exec sleep 600")
    answer = assess(host, OS_UPDATES | {"timeout_s": 1})
    assert answer.said == (1, "failed")
    assert answer.trailer.blame == "timeout"


REQUIRED = 'printf "Core libraries have been updated:\\n  * glibc\\n\\nReboot is required\\n"; exit 1'
ASKED = f'case "$*" in *needs-restarting*) {REQUIRED} ;; esac\n'
NOT_ASKED = 'case "$*" in *needs-restarting*) exit 0 ;; esac\n'


@pytest.mark.parametrize(
    ("evidence", "steps", "restart", "answer"),
    [
        (ASKED, [], "if_required", ("now", "needs-restarting:glibc")),
        (ASKED, [], "never", ("no", "the run may not restart")),
        (NOT_ASKED, [], "always", ("now", "the run restarts in any case")),
        (NOT_ASKED, [], "if_required", ("no", "needs-restarting")),
        (NOT_ASKED, [step("a")], "if_required", ("no", "needs-restarting")),
        (NOT_ASKED, [step("a", restart="always")], "if_required", ("likely", "step:a")),
        (NOT_ASKED, [step("a", restart="always", unless="true")], "if_required", ("no", "needs-restarting")),
        (NOT_ASKED, [step("a", restart="if_required"), step("b")], "if_required", ("unknown", "step:a")),
        (NOT_ASKED, [OS_UPDATES, step("a", restart="always")], "if_required", ("likely", "update of kernel step:a")),
        (NOT_ASKED, [OS_UPDATES | {"unless": "true"}], "if_required", ("no", "needs-restarting")),
        ("", [], "if_required", ("unknown", "nothing_tells")),
    ],
)
def test_whether_and_why_a_restart_would_come(
    host: HostUnderTest, evidence: str, steps: list[dict[str, Any]], restart: str, answer: tuple[str, str]
) -> None:
    host.program("dnf", evidence + DNF)
    assert expected(assess(host, *steps, restart=restart)) == answer


def test_a_system_event_wants_a_restart_now(host: HostUnderTest) -> None:
    host.program("dnf", NOT_ASKED + NOTHING)
    answer = assess(host, OS_UPDATES, method="api", event="yes")
    assert answer.said == (0, "done")
    assert expected(answer) == ("now", "system_event")


def test_a_later_run_with_the_same_id_starts_at_the_beginning(host: HostUnderTest) -> None:
    steps = (step("one"), step("two", unless="exit 1"))
    assess(host, *steps, restart="always")
    answer = host.continue_(*steps)
    assert answer.said == (0, "done")
    assert host.traced == ["one", "two"]
    # And what has finished in the run is nothing that is needed.
    assert states(assess(host, *steps, step("three"))) == {"one": "done", "two": "done", "three": "needed"}
    assert host.continue_(*steps).said == (0, "done")
    assert host.traced == ["one", "two"]


def test_a_host_that_a_run_is_about_to_restart_is_no_place_to_look(host: HostUnderTest) -> None:
    assert host.continue_(step("one", restart="always")).said == (194, "restart")
    answer = assess(host, step("one"))
    assert answer.said == (75, "pending")
    assert answer.trailer.reason.startswith("run r-1 asked for a restart")


def test_an_assessment_waits_for_a_run_at_work(host: HostUnderTest) -> None:
    gate = host.trace.with_name("gate")
    run = host.start(step("slow", script=f"echo slow >> $TRACE; while [ ! -e {gate} ]; do sleep 0.05; done"))
    until(lambda: host.traced == ["slow"])
    looking = host.start(step("x", unless="echo looked >> $TRACE; false"), mode="assess")
    until((host.base / "assess" / "r-1" / "lock").exists)
    assert host.traced == ["slow"]
    gate.touch()
    output, _nothing = looking.communicate(timeout=60)
    run.communicate(timeout=60)
    assert Answer(looking.returncode, output).trailer.steps["x"]["state"] == "needed"
    assert host.traced == ["slow", "looked"]


def test_an_assessment_whose_keeper_is_killed_is_asked_again(host: HostUnderTest) -> None:
    process = host.start(step("x", unless="echo looked >> $TRACE; sleep 600"), mode="assess")
    until(lambda: host.traced == ["looked"])
    kill_everything(host, but=process.pid)
    output, _nothing = process.communicate(timeout=60)
    assert Answer(process.returncode, output).said == (75, "pending")
    assert states(assess(host, step("x", unless="false"))) == {"x": "needed"}
