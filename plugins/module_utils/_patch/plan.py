# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""The plan of a run, from its assessment: batches, what each host would get, who is left out, how long it may take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._progress import count, duration
from .._sdk.errors import BadInput
from .._sdk.shapes import parse_time
from .budget import Share, read_share
from .plan_batches import plan_batches
from .report import METHODS, columns, packages_text

VERSION = 1
_FIT = ("assessed", "checked")
COMES = ("now", "likely")
"""``restart`` of hosts that a run would restart."""


@dataclass(frozen=True)
class Expectation:
    """How long a host is expected to take: as in an earlier run, where that is known, else these seconds.

    ``earlier`` holds the verdicts of that run by host.
    """

    patch_s: int = 300
    restart_s: int = 180
    earlier: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of(self, name: str, verdict: Mapping[str, Any]) -> tuple[int, str]:
        """Seconds, and where they come from: report or settings."""
        before = self.earlier.get(name) or {}
        comes = verdict.get("restart_expected") in COMES
        began, ended = parse_time(before.get("started_at") or ""), parse_time(before.get("finished_at") or "")
        if before.get("ok") and before.get("status") != "assessed" and began is not None and ended is not None:
            more = self.restart_s if comes and not before.get("restarted") else 0
            return round(ended - began) + more, "report"
        needed = any(step["state"] != "done" for step in (verdict.get("steps") or {}).values())
        return (self.patch_s if needed else 0) + (self.restart_s if comes else 0), "settings"


# What a run reads in a plan, and of each of its hosts.
_OF_PLAN = {"made_at", "inputs", "targets", "members"}
_OF_HOST = {"instance_id", "region_id", "zone_id", "agent_version", "restart_method", "restart", "restart_reason"}


def build_plan(
    results: Mapping[str, Mapping[str, Any]],
    *,
    sizes: Sequence[int | str],
    targets: str,
    members: Sequence[str],
    made_at: str,
    expectation: Expectation | None = None,
    max_unavailable: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The plan. ``results`` are the verdicts of an assessment by host, in the order of the play.

    ``targets`` is the pattern that chose the hosts, and ``members`` are those that it stands for; ``sizes`` are those
    of the batches, ``max_unavailable`` is the variable of the role. Raises :class:`BadInput` when nothing was assessed,
    and when that variable is none.
    """
    inputs = next((verdict["inputs"] for verdict in results.values() if verdict.get("inputs")), None)
    if inputs is None:
        why = next((verdict["error_info"] for verdict in results.values() if verdict.get("error_info")), "")
        raise BadInput(f"There is no plan, because nothing was assessed. {why}".rstrip())
    expectation = expectation or Expectation()
    hosts = {name: _entry(verdict) for name, verdict in results.items()}
    # In check mode hosts are not asked, so nobody knows.
    asked = {name: verdict for name, verdict in results.items() if verdict.get("status") != "checked"}
    times = {name: expectation.of(name, verdict) for name, verdict in asked.items() if hosts[name]["fit"]}
    for name, (seconds, _source) in times.items():
        hosts[name]["expected_s"] = seconds
    batches = _batches(results, hosts, sizes, max_unavailable or {})
    batches_s = [max(times[name][0] if name in times else 0 for name in batch) for batch in batches]
    return {
        "version": VERSION,
        "made_at": made_at,
        "assessment": next((verdict["run_id"] for verdict in results.values() if verdict.get("run_id")), None),
        "inputs": {**inputs, "batches": list(sizes), "max_unavailable": dict(max_unavailable or {})},
        "targets": targets,
        "members": list(members),
        "batches": batches,
        "expected": {
            "batches_s": batches_s,
            "total_s": sum(batches_s),
            "hosts_from": dict(Counter(source for _seconds, source in times.values())),
        },
        "hosts": hosts,
    }


def check_document(plan: Any) -> dict[str, Any]:
    """A plan as :func:`build_plan` makes it, or :class:`BadInput`: what it is in place of one."""
    if not isinstance(plan, dict) or not isinstance(plan.get("version"), int):
        raise BadInput("is no plan")
    if plan["version"] != VERSION:
        age = "newer" if plan["version"] > VERSION else "older"
        raise BadInput(f"is a plan of {age} version, {plan['version']}, and this collection reads version {VERSION}")
    try:
        names = [name for batch in plan["batches"] for name in batch]
        whole = (
            len(set(names)) == len(names)
            and all(plan["batches"])
            and all(plan["hosts"][name].keys() >= _OF_HOST for name in names)
            and plan["inputs"].keys() >= {"steps", "restart"}
            and plan.keys() >= _OF_PLAN
        )
    except (AttributeError, KeyError, TypeError):
        whole = False
    if not whole:
        raise BadInput("is a plan that is damaged")
    return plan


def _entry(verdict: Mapping[str, Any]) -> dict[str, Any]:
    fit = bool(verdict.get("ok")) and verdict.get("status") in _FIT
    known = ("instance_id", "region_id", "zone_id", "agent_version", "restart_method")
    return {
        **{key: verdict.get(key) for key in known},
        "fit": fit,
        "failure": None if fit else verdict.get("failure") or "input",
        "why_unfit": None if fit else verdict.get("error_info") or "It was not assessed.",
        "steps": {name: step["state"] for name, step in (verdict.get("steps") or {}).items()},
        "packages": verdict.get("packages") or [],
        "packages_count": verdict.get("packages_count") or 0,
        "restart": (verdict.get("restart_expected") or "unknown") if fit else None,
        "restart_reason": verdict.get("restart_expected_reason") if fit else None,
        "expected_s": None,
    }


def _batches(
    results: Mapping[str, Mapping[str, Any]],
    hosts: Mapping[str, Mapping[str, Any]],
    sizes: Sequence[int | str],
    max_unavailable: Mapping[str, Any],
) -> list[list[str]]:
    """Those that are fit, in batches that take no more of a zone or tag group than may be away.

    A host that is not fit is away as well. The others of a group that are no hosts of the play are not known here.
    """
    share = _share(max_unavailable)
    groups: dict[str, tuple[str, ...] | None] = {
        name: share.key_of(verdict.get("zone_id") or "", verdict.get("tags") or {}) if share else None
        for name, verdict in results.items()
    }
    members = Counter(group for group in groups.values() if group is not None)
    away = Counter(groups[name] for name in hosts if not hosts[name]["fit"])
    most = {group: max(share.most_of(size) - away[group], 1) for group, size in members.items()} if share else {}
    return plan_batches({name: groups[name] for name in hosts if hosts[name]["fit"]}, sizes, most)


def _share(max_unavailable: Mapping[str, Any]) -> Share | None:
    """What may be unavailable, as the preflight counts it."""
    if not max_unavailable:
        return None
    by = max_unavailable.get("by") or ["zone"]
    return read_share({**max_unavailable, "by": [by] if isinstance(by, str) else by})


def plan_table(plan: Mapping[str, Any]) -> list[str]:
    """The plan as lines of text: a row for each host, batch after batch, then how long it may take."""
    rows = [("HOST", "BATCH", "TO DO", "RESTART", "EXPECTED")]
    for number, batch in enumerate(plan["batches"], start=1):
        rows += [_row(name, plan["hosts"][name], str(number)) for name in batch]
    unfit = {name: host for name, host in plan["hosts"].items() if not host["fit"]}
    rows += [
        (name, "-", "-", "-", f"left out ({host['failure']}): {host['why_unfit']}") for name, host in unfit.items()
    ]
    return [*columns(rows), "", *_summary(plan, len(unfit))]


def _row(name: str, host: Mapping[str, Any], batch: str) -> tuple[str, str, str, str, str]:
    restart = {"no": "no", "unknown": "not known"}.get(host["restart"], host["restart"])
    reason = "a system event" if host["restart_reason"] == "system_event" else host["restart_reason"]
    if host["restart"] in COMES:
        method = METHODS.get(host["restart_method"], "by itself")
        restart = f"{'yes' if host['restart'] == 'now' else 'probably'}, {method}: {reason}"
    elif host["restart"] == "unknown" and reason:
        restart = f"not known ({reason})"
    return (
        name,
        batch,
        _to_do(host),
        restart,
        "not known" if host["expected_s"] is None else duration(host["expected_s"]),
    )


def _to_do(host: Mapping[str, Any]) -> str:
    updates = packages_text(host) if host["packages_count"] else ""
    others = [
        f"{name} (unknown)" if state == "unknown" else name
        for name, state in host["steps"].items()
        if state != "done" and not (name == "os_updates" and updates)
    ]
    return ", ".join([updates] * bool(updates) + others) or ("nothing" if host["steps"] else "-")


def _summary(plan: Mapping[str, Any], unfit: int) -> list[str]:
    expected = plan["expected"]
    fit = sum(len(batch) for batch in plan["batches"])
    sources = {"report": "an earlier report", "settings": "the settings"}
    origin = " and ".join(
        f"{sources[key]} for {count(number, 'host')}" for key, number in expected["hosts_from"].items()
    )
    each = ", ".join(duration(seconds) for seconds in expected["batches_s"])
    batches = f"{len(plan['batches'])} {'batch' if len(plan['batches']) == 1 else 'batches'}"
    lines = [f"{count(fit, 'host')} in {batches}" + (f", {count(unfit, 'host')} left out" if unfit else "")]
    unsure = [name for batch in plan["batches"] for name in batch if plan["hosts"][name]["restart"] == "unknown"]
    if fit and not origin:
        lines.append("Expected: not known, because the hosts were not asked what there is to do (check mode)")
    elif fit:
        more = f"; a restart of {count(len(unsure), 'host')} is not known, and not counted" if unsure else ""
        lines.append(f"Expected: {duration(expected['total_s'])} ({each}), from {origin}{more}")
    return lines
