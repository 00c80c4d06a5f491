# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as people see it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.report import (
    build_report,
    put_back,
    table,
    with_put_back,
)

OLD = "11111111-1111-4111-8111-111111111111"
NEW = "22222222-2222-4222-8222-222222222222"


def result(status: str, **more: Any) -> dict[str, Any]:
    values = {
        "status": status,
        "ok": status not in ("failed", "unknown"),
        "batch": 1,
        "run_id": "CHG-1",
        "packages": [],
        "packages_count": 0,
        "receipts": [],
        "steps": {},
    }
    return values | more


def test_the_table_shows_batch_packages_proof_and_result() -> None:
    receipt = {"verdict": "restarted", "method": "exit_code", "boot_id_before": OLD, "boot_id_after": NEW}
    packages = [{"name": f"package-{n}", "from": "1.0", "to": "2.0"} for n in range(9)]
    report = build_report(
        {
            "web-01": result("restarted", receipts=[receipt], packages=packages, packages_count=12),
            "web-02": result("patched", steps={"os_updates": {"state": "done", "attempts": 2}}),
            "web-03": result("failed", failure="script", error_info="A step failed."),
            "web-04": result("unknown", failure="lost", error_info="Nobody knows.", receipts=[{"verdict": "unknown"}]),
            "web-05": {},
            "web-06": result("patched", restart_stale="needs-restarting:kernel"),
            "web-07": result("patched", differences=["the unit a.service has failed", "and 2 more"]),
        }
    )
    lines = table(report)
    assert lines[0].split() == ["HOST", "BATCH", "PACKAGES", "UPDATED", "RESTART", "RESULT"]
    assert "package-0 1.0 -> 2.0, package-1 1.0 -> 2.0 and 10 more" in lines[1]
    assert "by exit code, boot id 11111111 -> 22222222" in lines[1]
    assert lines[1].endswith("restarted")
    assert lines[2].endswith("patched (os_updates passed on attempt 2)")
    assert lines[3].endswith("failed (script): A step failed.")
    assert "not proven" in lines[4]
    assert lines[5].split() == ["web-05", "-", "-", "none", "not", "reached"]
    assert "still reported as required: needs-restarting:kernel" in lines[6]
    assert lines[7].endswith("patched (not as before: the unit a.service has failed, and 2 more)")
    assert lines[-1] == "Run CHG-1: 1 restarted, 3 patched, 1 failed, 1 unknown, 1 not reached"
    columns = lines[0].index("RESTART")
    assert all(line[columns - 1] == " " for line in lines[1:8])


@pytest.mark.parametrize(
    ("verdicts", "cell"),
    [
        ([], "none"),
        (["unknown"], "not proven"),
        (["not_restarted"], "did not happen"),
        (["restarted", "unknown"], "through the API, boot id 11111111 -> 22222222; another not proven"),
        (["restarted", "not_restarted"], "through the API, boot id 11111111 -> 22222222; another did not happen"),
    ],
)
def test_a_restart_that_was_asked_for_is_never_none(verdicts: list[str], cell: str) -> None:
    receipts = [
        {"verdict": verdict, "method": "api", "boot_id_before": OLD, "boot_id_after": NEW} for verdict in verdicts
    ]
    line = table(build_report({"a": result("unknown", receipts=receipts, failure="lost", error_info="Look.")}))[1]
    assert line == f"a     1      -                 {cell.ljust(7)}  unknown (lost): Look."


def test_the_document_names_who_failed() -> None:
    report = build_report({"a": result("patched"), "b": result("failed"), "c": {}})
    assert report["failed_hosts"] == ["b"]
    assert report["counts"] == {"patched": 1, "failed": 1, "not_reached": 1}
    assert build_report({})["run_id"] is None


def test_a_host_that_was_left_out_is_not_forgotten_by_a_start_that_does_not_come_to_it() -> None:
    results = {"a": {}, "b": result("patched"), "c": result("failed", left_out=True)}
    report = build_report(results, left_out_before=["a", "b", "c", "elsewhere"])
    assert report["left_out"] == ["c", "a", "elsewhere"]


@pytest.mark.parametrize("status", ["failed", "unknown", "not_reached", "left_by_hook", "checked"])
def test_a_host_stays_left_out_until_all_went_well_with_it(status: str) -> None:
    """It was off when the run was started again, say: no hook came to it, and it is out of service still."""
    assert build_report({"a": result(status)}, left_out_before=["a"])["left_out"] == ["a"]


def test_hosts_that_were_put_back_are_put_back_once() -> None:
    run = build_report({"a": result("failed", left_out=True), "b": result("failed", left_out=True)})
    again = put_back({"a": result("unchanged", run_id="back-1"), "b": result("failed", failure="health")})
    report = build_report(again, left_out_before=run["left_out"])
    assert "a     1      -                 none     put back" in table(report)
    assert report["left_out"] == ["b"]
    after = with_put_back(run, report, "2026-12-01T02:00:00Z")
    assert after["left_out"] == ["b"]
    assert after["put_back"] == {"a": {"run_id": "back-1", "at": "2026-12-01T02:00:00Z"}}
    assert [after["hosts"][name]["left_out"] for name in "ab"] == [False, True]
    last = build_report(put_back({"b": result("unchanged", run_id="back-2")}), left_out_before=after["left_out"])
    assert set(with_put_back(after, last, "2026-12-01T03:00:00Z")["put_back"]) == {"a", "b"}


@pytest.mark.parametrize("status", ["checked", "left_by_hook"])
def test_nobody_is_put_back_by_a_look(status: str) -> None:
    report = build_report(put_back({"a": result(status)}), left_out_before=["a"])
    assert (report["left_out"], report["counts"]) == (["a"], {status: 1})


def test_the_table_says_whose_fault_it_was() -> None:
    bad = result("failed", failure="instance", blame="offline", error_info="The instance is Stopped.")
    assert table(build_report({"a": bad}))[1].endswith("failed (offline): The instance is Stopped.")


def test_what_all_hosts_are_refused_for_is_said_once() -> None:
    refused = result("not_reached", ok=False, failure="input", blame="input", error_info="No such step.")
    lines = table(build_report({"a": refused, "b": refused, "c": {}}))
    assert [line.split()[-2:] for line in lines[1:4]] == [["not", "reached"]] * 3
    assert lines[-1] == "Refused: No such step."
    differing = table(build_report({"a": refused, "b": refused | {"error_info": "It has gone."}}))
    assert differing[2].endswith("not reached (input): It has gone.")


def test_a_run_that_did_not_begin_says_so() -> None:
    assert table(build_report({"a": {}}))[-1].startswith("Nothing was done: no host came to its preflight.")
    stopped = {"kind": "deadline", "batch": 1, "reason": "it is late"}
    assert "preflight" not in table(build_report({"a": {}}, stopped))[-1]


def test_the_table_shows_system_events_that_were_closed_and_those_to_come() -> None:
    closed = {"event_id": "e-1", "type": "T", "not_before": "N", "status_after": "Avoided", "closed_by_run": True}
    ahead = {"event_id": "e-2", "type": "T", "not_before": "N", "status_after": "Scheduled", "closed_by_run": False}
    by_others = closed | {"closed_by_run": False}
    bad = {"failure": "script", "error_info": "A step failed."}
    hosts = {
        "a": result("restarted", events=[closed, ahead]),
        "b": result("failed", events=[closed], **bad),
        "c": result("patched", events=[by_others]),
        "d": result("patched", events=None),
    }
    lines = table(build_report(hosts))
    assert lines[1].endswith("restarted (closed system event e-1; system event e-2 (T is Scheduled) is due at N)")
    assert lines[2].endswith("A step failed. (closed system event e-1)")
    assert lines[3].endswith("patched")
    assert lines[4].endswith("patched")
