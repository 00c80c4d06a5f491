# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""The report of a run: counts, a table for people, a document for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .._instances.events import PENDING
from .._restart.receipts import BOOT_TIME

_NOT_REACHED = {"status": "not_reached", "ok": True, "changed": False}
_UNTOUCHED = ("not_reached", "left_by_hook", "checked")
_PACKAGES_WIDTH = 44
METHODS = {"exit_code": "by exit code", "api": "through the API"}


def build_report(
    results: Mapping[str, Mapping[str, Any]],
    stopped: Mapping[str, Any] | None = None,
    left_out_before: Sequence[str] = (),
) -> dict[str, Any]:
    """The whole report.

    ``results`` holds the verdict on each host by its name, empty where no batch reached it; ``stopped`` is why the run
    stopped before its end, in the shape of the module ecs_patch_info. ``left_out_before`` are the hosts that the report
    in whose place this one comes calls left out: they are so still, unless all went well with them this time.
    """
    hosts = {name: dict(result) or dict(_NOT_REACHED) for name, result in results.items()}
    run_ids = [result["run_id"] for result in hosts.values() if result.get("run_id")]
    still_out = [name for name in left_out_before if not _is_done(hosts.get(name, _NOT_REACHED))]
    return {
        "run_id": run_ids[0] if run_ids else None,
        "counts": dict(Counter(result["status"] for result in hosts.values())),
        "failed_hosts": [name for name, result in hosts.items() if not result["ok"]],
        "left_out": list(dict.fromkeys([*(name for name in hosts if hosts[name].get("left_out")), *still_out])),
        "stopped": dict(stopped) if stopped else None,
        "hosts": hosts,
    }


def _is_done(result: Mapping[str, Any]) -> bool:
    return bool(result["ok"]) and result["status"] not in _UNTOUCHED


def put_back(results: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The verdicts of a run that only puts hosts back: whatever went well has been."""
    return {
        name: {**result, "status": "put_back"} if result and _is_done(result) else dict(result)
        for name, result in results.items()
    }


def with_put_back(document: Mapping[str, Any], report: Mapping[str, Any], at: str) -> dict[str, Any]:
    """The report of a run, after those of its hosts that ``report`` calls put back have been, at a time."""
    now_back = {
        name: {"run_id": result["run_id"], "at": at}
        for name, result in report["hosts"].items()
        if result["status"] == "put_back"
    }
    hosts = {
        name: {**result, "left_out": False} if name in now_back else result
        for name, result in (document.get("hosts") or {}).items()
    }
    return {
        **document,
        "left_out": report["left_out"],
        "put_back": {**(document.get("put_back") or {}), **now_back},
        "hosts": hosts,
    }


def table(report: Mapping[str, Any]) -> list[str]:
    """The report as lines of text: a row for each host, then the counts."""
    rows = [("HOST", "BATCH", "PACKAGES UPDATED", "RESTART", "RESULT")]
    refused = _refused(report)
    rows += [
        (
            name,
            str(result.get("batch") or "-"),
            packages_text(result),
            _restart(result),
            "not reached" if refused and not result["ok"] else _outcome(result),
        )
        for name, result in report["hosts"].items()
    ]
    lines = columns(rows)
    counts = ", ".join(f"{number} {status.replace('_', ' ')}" for status, number in report["counts"].items())
    run = f"Run {report['run_id']}" if report["run_id"] else "No run began"
    return [*lines, "", f"{run}: {counts}", *_notes(report)]


def _notes(report: Mapping[str, Any]) -> list[str]:
    """What people have to know besides."""
    notes = []
    if not was_begun(report):
        notes.append(
            "Nothing was done: no host came to its preflight. If the play was started in the middle (--start-at-task), "
            "start it from its beginning, with the same run id."
        )
    if refused := _refused(report):
        notes.append(f"Refused: {refused}")
    if stopped := report["stopped"]:
        notes.append(f"The run stopped before batch {stopped['batch']}: {stopped['reason']}.")
    if report["left_out"]:
        notes.append(f"Left out of service: {', '.join(report['left_out'])}. The playbook put_back.yml puts them back.")
    return notes


def was_begun(report: Mapping[str, Any]) -> bool:
    """Whether any host came to its preflight."""
    return bool(report["stopped"]) or any(result != _NOT_REACHED for result in report["hosts"].values())


def _refused(report: Mapping[str, Any]) -> str:
    """The one sentence for which nothing was done to several hosts; empty when they have failed in different ways."""
    failed = [result for result in report["hosts"].values() if not result["ok"]]
    why = {str(result["error_info"]) if _is_refused(result) else "" for result in failed}
    return why.pop() if len(failed) > 1 and len(why) == 1 else ""


def _is_refused(result: Mapping[str, Any]) -> bool:
    return result["status"] == "not_reached" and result.get("failure") == "input"


def columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines, with all cells but the last of a row as wide as the widest of their column."""
    widths = [max(map(len, column)) for column in zip(*rows)][:-1]
    return ["  ".join([*map(str.ljust, row, widths), row[-1]]).rstrip() for row in rows]


def packages_text(result: Mapping[str, Any]) -> str:
    """The first packages of a verdict with their versions, and how many there are besides."""
    count = result.get("packages_count") or 0
    if not count:
        return "-"
    shown: list[str] = []
    for package in result["packages"]:
        text = f"{package['name']} {package['from']} -> {package['to']}"
        if shown and len(", ".join([*shown, text])) > _PACKAGES_WIDTH:
            break
        shown.append(text)
    more = count - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _restart(result: Mapping[str, Any]) -> str:
    """Whether it restarted, and how that is proven."""
    receipts = result.get("receipts") or []
    proven = [receipt for receipt in receipts if receipt["verdict"] == "restarted"]
    others = "not proven" if any(receipt["verdict"] == "unknown" for receipt in receipts) else "did not happen"
    if not proven:
        return others if receipts else "none"
    last = proven[-1]
    times = f", {len(proven)} times" if len(proven) > 1 else ""
    boots = _boots(str(last["boot_id_before"]), str(last["boot_id_after"]))
    more = f"; another {others}" if len(receipts) > len(proven) else ""
    return f"{METHODS.get(last['method'], last['method'])}{times}, {boots}{more}"


def _boots(before: str, after: str) -> str:
    """What of two boots people can tell apart at a glance: the time to the second, or the beginning of an id."""
    if BOOT_TIME.fullmatch(after):
        return f"boot time {before[:19]}Z -> {after[:19]}Z"
    return f"boot id {before[:8]} -> {after[:8]}"


def _outcome(result: Mapping[str, Any]) -> str:
    status = result["status"].replace("_", " ")
    if status == "checked":
        return "fit; nothing was run in check mode"
    if status == "assessed":
        return "assessed; nothing was changed"
    if result["ok"]:
        notes = [
            f"{name} passed on attempt {step['attempts']}"
            for name, step in (result.get("steps") or {}).items()
            if step["attempts"] > 1
        ]
        if result.get("differences"):
            notes.append(f"not as before: {', '.join(result['differences'])}")
        if result.get("restart_stale"):
            notes.append(f"a restart is still reported as required: {result['restart_stale']}")
        notes += _events(result)
        return f"{status} ({'; '.join(notes)})" if notes else status
    info = " ".join([str(result.get("error_info")), *(f"({note})" for note in _events(result))])
    return f"{status} ({result.get('blame') or result.get('failure')}): {info}"


def _events(result: Mapping[str, Any]) -> list[str]:
    """Which system events the run has closed, and which are still to come."""
    notes = []
    for event in result.get("events") or ():
        if event["closed_by_run"]:
            notes.append(f"closed system event {event['event_id']}")
        elif event["status_after"] in PENDING:
            what = f"{event['type']} is {event['status_after']}"
            notes.append(f"system event {event['event_id']} ({what}) is due at {event['not_before']}")
    return notes
