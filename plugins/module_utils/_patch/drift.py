# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Whether reality is still as a plan says: pure comparisons, a sentence for each kind of difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._sdk.errors import BadInput
from .events import wants_restart
from .plan import COMES
from .report import METHODS

_ADVICE = "make a new plan with the playbook assess"
_POLICIES = {"never": "never", "if_required": "where it is required", "always": "in any case"}


@dataclass(frozen=True)
class Reality:
    """What is to be compared with a plan.

    ``instance_ids`` are those of all hosts of the play by host, ``members`` the hosts that the plan's targets are now,
    ``inputs`` the sum of the steps and the policy of restarts, ``reports`` what the preflight found, by instance id.
    """

    instance_ids: Mapping[str, str]
    members: Sequence[str]
    inputs: Mapping[str, Any]
    reports: Mapping[str, Mapping[str, Any]]


def check_plan(plan: Mapping[str, Any], batch: Sequence[str], reality: Reality) -> None:
    """Raise :class:`BadInput` when anything has moved since the plan was made, for the first batch of a play."""
    sentences = list(differences(plan, batch, reality))
    if sentences:
        raise BadInput(f"Nothing was done, because the plan no longer holds: {_ADVICE}. {' '.join(sentences)}")


def differences(plan: Mapping[str, Any], batch: Sequence[str], reality: Reality) -> Iterator[str]:
    """A sentence for each kind of what has moved. ``batch`` are the hosts of the batch that is about to begin."""
    planned = [name for hosts in plan["batches"] for name in hosts]
    present = [name for name in planned if name in reality.instance_ids]
    gone = [name for name in planned if name not in reality.instance_ids]
    added = [name for name in reality.members if name not in plan["members"]]
    strange = [name for name in reality.instance_ids if name not in planned]
    if gone:
        yield f"{_listed(gone)}: in the plan, and not in this play (gone from the inventory, or left out by --limit)."
    if added:
        yield f"{_listed(added)}: new among the targets ({plan['targets']})."
    if strange:
        yield f"{_listed(strange)}: in this play, and in no batch of the plan."
    elif not any(set(batch) <= set(hosts) for hosts in plan["batches"]):
        yield f"{_listed(batch)}: no batch of the plan (serial has to be that of the plan)."
    if reality.inputs["steps"] != plan["inputs"]["steps"]:
        yield "The steps are not those of the plan."
    if reality.inputs["restart"] != plan["inputs"]["restart"]:
        was, now = (_POLICIES[inputs["restart"]] for inputs in (plan["inputs"], reality.inputs))
        yield f"The run would restart hosts {now}, and the plan does {was}."
    changes = [moved for name in present for moved in host_moved(plan, name, reality)]
    for kind in dict.fromkeys(kind for kind, _words in changes):
        yield f"{kind}: {', '.join(words for moved, words in changes if moved == kind)}."


def host_moved(plan: Mapping[str, Any], name: str, reality: Reality) -> Iterator[tuple[str, str]]:
    """How a host differs from the plan: kinds, and words on each."""
    planned, instance_id = plan["hosts"][name], reality.instance_ids[name]
    if instance_id != planned["instance_id"]:
        yield "Other instances", f"{name} was {planned['instance_id']} and is {instance_id}"
        return
    report = reality.reports[instance_id]
    if not report["ok"]:
        yield "No longer fit", f"{name} ({report['error_info'].rstrip('.')})"
        return
    if report["zone_id"] != planned["zone_id"]:
        yield "Other zones", f"{name} was in {planned['zone_id']} and is in {report['zone_id']}"
    if report["resumed"]:
        return  # this very run has been there, and may have closed a system event by now
    event, method = wants_restart(report["events"]), report["restart_method"]
    if event and method == "api" and reality.inputs["restart"] != "never" and planned["restart"] not in COMES:
        yield "A restart that the plan does not have", f"{name} (a system event wants it, through the API)"
    elif planned["restart_reason"] == "system_event" and report["events"] is not None and not event:
        yield "A restart that nothing asks for any more", f"{name} (its system event is gone)"
    elif method != planned["restart_method"]:
        was, now = (METHODS.get(one["restart_method"], "not at all") for one in (planned, report))
        yield "Another way to restart", f"{name} restarts {now} and not {was}{_why(planned, report, event)}"


def _why(planned: Mapping[str, Any], report: Mapping[str, Any], event: bool) -> str:
    """What has changed how a host restarts, where that can be told; nothing is left but the option of the role."""
    # Agents update themselves: a version matters only for how the host restarts.
    if report["agent_version"] != planned["agent_version"]:
        return f" (its agent was {planned['agent_version']} and is {report['agent_version']})"
    return " (for a system event)" if event else ""


def moved_entry(plan: Mapping[str, Any], name: str, reality: Reality) -> dict[str, Any]:
    """What a later batch changes in the preflight's report on a host that has moved since; empty where it has not."""
    report = reality.reports[reality.instance_ids[name]]
    words = [f"{kind.lower()}: {what}" for kind, what in host_moved(plan, name, reality)]
    if not words or not report["ok"]:
        return {}  # what is not fit has its reason already
    info = f"The plan no longer holds for it ({'; '.join(words)}). Nothing was done to it; {_ADVICE}."
    return {"ok": False, "failure": "input", "error_code": None, "error_info": info, "moved": True}


def _listed(names: Sequence[str]) -> str:
    """At most ten names."""
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more
