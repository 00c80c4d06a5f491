# SPDX-License-Identifier: GPL-3.0-or-later
"""System events: merged into the run's own restart, and told of in the end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.events import compare, merge_events, warnings_of
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.shapes import EventRow, format_time
from ansible_collections.cloudops.alibaba.tests.unit.fakes import START, FakeApi, FakeClock, api_error, no_answer

REBOOT = EventRow("e-1", "i-1", "SystemMaintenance.Reboot", "Scheduled", "", START + 3600, START)


def report(api: FakeApi, *, auto: bool = True, may_restart: bool = True) -> tuple[dict[str, dict[str, Any]], list[str]]:
    entries: dict[str, dict[str, Any]] = {id_: {"restart_method": "exit_code", "events": None} for id_ in api.instances}
    return entries, merge_events(api, entries, auto=auto, may_restart=may_restart)


@pytest.mark.parametrize(
    ("event", "options", "method"),
    [
        (REBOOT, {}, "api"),
        (REBOOT, {"auto": False}, "exit_code"),
        (REBOOT, {"may_restart": False}, "exit_code"),
        (replace(REBOOT, status="Inquiring"), {}, "exit_code"),
        (replace(REBOOT, status="Executing"), {}, "exit_code"),
        (replace(REBOOT, status="Avoided"), {}, "exit_code"),
        (replace(REBOOT, type="SystemMaintenance.Redeploy"), {}, "exit_code"),
        (replace(REBOOT, type="SystemMaintenance.Stop"), {}, "exit_code"),
        (replace(REBOOT, type="SystemMaintenance.RebootAndIsolateErrorDisk"), {}, "exit_code"),
        (replace(REBOOT, type="SystemFailure.Reboot", status="Executing"), {}, "exit_code"),
    ],
)
def test_only_a_scheduled_reboot_wants_the_api(event: EventRow, options: dict[str, bool], method: str) -> None:
    api = FakeApi.of(FakeClock(), "i-1", "i-2", events=[event])
    entries, notes = report(api, **options)
    assert notes == []
    assert (entries["i-1"]["restart_method"], entries["i-2"]["restart_method"]) == (method, "exit_code")
    assert [len(entries[id_]["events"]) for id_ in entries] == [0 if event.status == "Avoided" else 1, 0]


def test_events_of_a_hundred_instances_are_one_call() -> None:
    api = FakeApi.of(FakeClock(), *(f"i-{number}" for number in range(101)))
    report(api)
    assert [len(call) for call in api.called("describe_system_events")] == [100, 1]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (api_error("Forbidden.RAM", status=403), "The permission is ecs:DescribeInstanceHistoryEvents."),
        (no_answer(sent=True), "no answer"),
    ],
)
def test_what_cannot_be_read_is_a_note_and_no_failure(error: Exception, words: str) -> None:
    class Deaf(FakeApi):
        def describe_system_events(self, *_anything: Any) -> Any:
            raise error

    entries, notes = report(Deaf.of(FakeClock(), "i-1"))
    assert entries == {"i-1": {"restart_method": "exit_code", "events": None}}
    assert len(notes) == 1
    assert words in notes[0]


@pytest.mark.parametrize(
    ("settles", "method", "restart", "words"),
    [
        (True, "api", "if_required", ""),
        (True, "exit_code", "if_required", "A restart by exit code does not settle it"),
        (True, "api", "never", "this run may not restart"),
        (False, "api", "always", "A restart does not settle it"),
    ],
)
def test_what_a_run_does_not_settle_is_warned_of(settles: bool, method: str, restart: str, words: str) -> None:
    event = {"event_id": "e-1", "type": "T", "status": "Scheduled", "not_before": "N", "restart_settles": settles}
    warnings = warnings_of("web-01", [event], method=method, restart=restart)
    assert bool(warnings) == bool(words)
    for warning in warnings:
        assert warning.startswith("web-01: system event e-1 (T, Scheduled) is due at N")
        assert words in warning


def shown(row: EventRow) -> dict[str, Any]:
    return {
        "event_id": row.event_id,
        "type": row.type,
        "status": row.status,
        "not_before": format_time(row.not_before),
        "restart_settles": True,
    }


RESTART = {"requested_at": format_time(START + 10), "proven_at": format_time(START + 60)}
AVOIDED = replace(REBOOT, status="Avoided", finished=START + 12)


@pytest.mark.parametrize(
    ("after", "restarts", "status", "closed"),
    [
        ([AVOIDED], [RESTART], "Avoided", True),
        ([replace(AVOIDED, finished=None)], [RESTART], "Avoided", True),
        # Somebody else did, before the run or without a restart of it.
        ([AVOIDED], [], "Avoided", False),
        ([replace(AVOIDED, finished=START - 3600)], [RESTART], "Avoided", False),
        ([replace(AVOIDED, finished=START + 3600)], [RESTART], "Avoided", False),
        ([replace(REBOOT, status="Executed", finished=START + 12)], [RESTART], "Executed", False),
        ([REBOOT], [RESTART], "Scheduled", False),
        ([], [RESTART], None, False),
    ],
)
def test_an_event_is_closed_by_the_run_when_its_restart_was(
    after: list[EventRow], restarts: list[dict[str, Any]], status: str | None, closed: bool
) -> None:
    (event,) = compare([shown(REBOOT)], after, restarts)
    assert (event["status_before"], event["status_after"], event["closed_by_run"]) == ("Scheduled", status, closed)


def test_what_an_earlier_start_of_the_run_has_closed_is_told_too() -> None:
    other = replace(AVOIDED, event_id="e-0", finished=START - 86400)
    (event,) = compare([], [other, AVOIDED], [RESTART])
    assert (event["event_id"], event["status_before"], event["closed_by_run"]) == ("e-1", None, True)
