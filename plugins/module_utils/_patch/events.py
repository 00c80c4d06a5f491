# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""System events: which of them a restart of ours settles, and which of them it has settled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._instances.events import OVER, PENDING, EventApi, events_of
from .._sdk.errors import ApiError, CloudError
from .._sdk.shapes import EventRow, format_time, parse_time
from .._waiting import Clock, Deadline, wait_until

# "For SystemMaintenance.Reboot: restart the instance before the scheduled time" (Alibaba's page on system events), by
# console or the API; a restart inside the guest does not count. What is executing is restarted by the service,
# and what is inquiring waits for somebody's consent.
_SETTLED_BY_RESTART = ("SystemMaintenance.Reboot", "Scheduled")
# How long after a restart the service may take to close an event is not documented; nobody is kept longer for it.
_CLOSING_S = 30.0
# A host's clock and the service's may differ by as much: the step runner refuses a host whose clock differs by more.
_SKEW_S = 300.0
# What the step runner says of a restart for the sake of an event.
_RUNNERS_REASON = "reason: system_event"


def describe_event(event: EventRow) -> dict[str, Any]:
    """An event as the preflight shows it. ``restart_settles``: a restart through the API does away with it."""
    return {
        "event_id": event.event_id,
        "type": event.type,
        "status": event.status,
        "not_before": format_time(event.not_before),
        "restart_settles": (event.type, event.status) == _SETTLED_BY_RESTART,
    }


def wants_restart(events: Iterable[Mapping[str, Any]] | None) -> bool:
    """Whether one of an instance's events, as the preflight shows them, is settled by a restart through the API."""
    return any(event["restart_settles"] for event in events or ())


def merge_events(api: EventApi, report: dict[str, dict[str, Any]], *, auto: bool, may_restart: bool) -> list[str]:
    """Give the preflight's report on a region its instances' pending events; sentences on what could not be read.

    With ``auto``, an instance with an event that wants a restart is restarted through the API, if the run restarts at
    all. Nobody's patches wait for this: events are worth a look, and not a failure.
    """
    try:
        rows = events_of(api, list(report), PENDING)
    except CloudError as error:
        advice = ""
        if isinstance(error, ApiError) and error.code.split(".")[0] in ("Forbidden", "NoPermission"):
            advice = " The permission is ecs:DescribeInstanceHistoryEvents."
        return [f"System events are not known in this run, and none is merged into its restarts. {error}{advice}"]
    for instance_id, entry in report.items():
        entry["events"] = [describe_event(row) for row in rows.get(instance_id, ())]
        if auto and may_restart and wants_restart(entry["events"]):
            entry["restart_method"] = "api"
    return []


def warnings_of(name: str, events: Iterable[Mapping[str, Any]], *, method: str, restart: str) -> list[str]:
    """A sentence on each pending event of a host that this run does not settle.

    ``method`` is how the host would be restarted, ``restart`` whether the run restarts hosts.
    """
    found = []
    for event in events:
        kind = f"{event['type']}, {event['status']}"
        what = f"{name}: system event {event['event_id']} ({kind}) is due at {event['not_before']}"
        if not event["restart_settles"]:
            found.append(f"{what}. A restart does not settle it, and nothing is done about it: see it in the console.")
        elif restart == "never":
            found.append(f"{what}, and this run may not restart: the event stays.")
        elif method != "api":
            found.append(f"{what}. A restart by exit code does not settle it; restart_method auto or api does.")
    return found


def events_after(
    api: EventApi,
    verdicts: Mapping[str, Mapping[str, Any]],
    before: Mapping[str, Sequence[Mapping[str, Any]]],
    clock: Clock,
) -> dict[str, list[dict[str, Any]]]:
    """What has become of the events of a region's hosts, for those that had some or were restarted through the API.

    ``before`` is what the preflight has shown of all hosts. Where the service does not tell, ``status_after`` is None.
    """
    restarted = {key for key, verdict in verdicts.items() if _api_restarts(verdict)}
    asked = [key for key in before if before[key] or key in restarted]
    if not asked:
        return {}

    def take() -> dict[str, list[EventRow]] | None:
        try:
            return events_of(api, asked, PENDING + OVER)
        except CloudError:
            return None  # the restarts are proven all the same

    def done(rows: dict[str, list[EventRow]] | None) -> bool:
        seen = {row.event_id: row.status for of_host in (rows or {}).values() for row in of_host}
        ours = [
            event["event_id"]
            for key in restarted.intersection(before)
            for event in before[key]
            if event["restart_settles"]
        ]
        return rows is None or all(seen.get(event_id) not in PENDING for event_id in ours)

    rows = wait_until(take, done, deadline=Deadline(clock, _CLOSING_S), clock=clock)
    return {key: compare(before[key], (rows or {}).get(key, ()), _api_restarts(verdicts[key])) for key in asked}


def compare(
    before: Sequence[Mapping[str, Any]], after: Sequence[EventRow], restarts: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """A host's events for its verdict: those that were pending, and those that an earlier start of the run has closed.

    ``restarts`` are the receipts of its proven restarts through the API. The statuses are None where they are unknown.
    """
    known = {event["event_id"]: event for event in before}
    now = {row.event_id: row for row in after}
    found = [
        {
            "event_id": event_id,
            "type": event["type"],
            "not_before": event["not_before"],
            "status_before": event["status"],
            "status_after": now[event_id].status if event_id in now else None,
            "closed_by_run": event_id in now and _closed(now[event_id], restarts),
        }
        for event_id, event in known.items()
    ]
    found += [
        {
            "event_id": row.event_id,
            "type": row.type,
            "not_before": format_time(row.not_before),
            "status_before": None,
            "status_after": row.status,
            "closed_by_run": True,
        }
        for row in after
        if row.event_id not in known and _closed(row, restarts)
    ]
    return found


def _closed(row: EventRow, restarts: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an event is avoided, and one of these restarts was under way when it became so."""
    if row.type != _SETTLED_BY_RESTART[0] or row.status != "Avoided":
        return False
    times = [(parse_time(receipt["requested_at"]), parse_time(receipt["proven_at"])) for receipt in restarts]
    return any(
        row.finished is None or (start or 0.0) - _SKEW_S <= row.finished <= (end or row.finished) + _SKEW_S
        for start, end in times
    )


def _api_restarts(verdict: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        receipt for receipt in verdict["receipts"] if receipt["method"] == "api" and receipt["verdict"] == "restarted"
    ]


def with_events(verdict: Mapping[str, Any], events: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    """A verdict with what became of its events (None: they were not read); receipts name the event they are for."""
    due = [
        f"reason: system event {event['event_id']} is due at {event['not_before']}"
        for event in events or ()
        if event["type"] == _SETTLED_BY_RESTART[0]
    ]
    receipts = [
        receipt
        | {
            "evidence": [
                line for text in receipt["evidence"] for line in (due if due and text == _RUNNERS_REASON else [text])
            ]
        }
        for receipt in verdict["receipts"]
    ]
    return {**verdict, "receipts": receipts, "events": None if events is None else list(events)}
