# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Restart instances through the API and prove it: boot id before, one RebootInstances, boot id after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .._cloud_assistant.submit import CommandApi
from .._instances.describe import glance, look, look_at_instances
from .._instances.failure import Failure, failure_of
from .._instances.outcome import fate, refuse_unknown
from .._instances.power import PowerApi, reboot
from .._instances.pursue import is_refused
from .._progress import Progress, count, duration
from .._sdk.errors import CloudError
from .._sdk.shapes import InstanceRow, format_time
from .._waiting import Clock, Deadline
from .boot_ids import Probe, probe_boot_ids
from .coming_back import wait_until_back
from .receipts import Receipt, is_new_boot, judge, not_asked


class RebootApi(CommandApi, PowerApi, Protocol):
    """The calls that a proven restart needs."""


@dataclass(frozen=True)
class Answer:
    """What an instance said after the restart was asked for, and when (seconds since the epoch)."""

    probe: Probe
    heard: float


@dataclass(frozen=True)
class Side:
    """What there is to know of an instance to prove its restart: its platform, and its boot id from before."""

    platform: str
    boot_id: str | None


def platform_of(instance: InstanceRow | None) -> str:
    """The platform of an instance; of one that is not there, any will do."""
    return "windows" if instance and instance.os_type == "windows" else "linux"


def reboot_and_prove(
    api: RebootApi,
    instance_ids: Sequence[str],
    *,
    force: bool,
    strict: bool = False,
    timeout_s: float,
    clock: Clock,
    progress: Progress,
) -> dict[str, dict[str, Any]]:
    """Restart each instance once; the result of each, with its receipt. Raises only before anything is restarted.

    An instance whose boot id cannot be read first is not restarted: nothing could be proven then. ``force`` lifts
    that, because a forced restart is for instances that do not answer any more. ``strict`` refuses all when there is
    an id among them that the region does not have.
    """
    with progress.when_interrupted("Interrupted. No instance was restarted yet."):
        rows = look_at_instances(api, instance_ids)
        if strict:
            refuse_unknown(rows, instance_ids, api.region_id)
        platforms = {instance_id: platform_of(rows.get(instance_id)) for instance_id in instance_ids}
        before = probe_boot_ids(api, platforms, clock=clock, progress=progress)
        ready = [instance_id for instance_id in instance_ids if force or before[instance_id].boot_id]
        since = _heartbeats(api, ready)
    requested_at = format_time(clock.time())
    with progress.when_interrupted(_what_goes_on(api.region_id, ready)):
        answers = reboot(api, ready, deadline=Deadline(clock, timeout_s), force=force)
        # A lost answer is not a refusal: the instance is looked into like the others, and never asked again.
        asked = [instance_id for instance_id in ready if not is_refused(answers[instance_id])]
        sides = {instance_id: Side(platforms[instance_id], before[instance_id].boot_id) for instance_id in asked}
        after = _prove(api, sides, since, timeout_s=timeout_s, clock=clock, progress=progress)
    results = {}
    for instance_id in instance_ids:
        if instance_id in asked:
            answer = after[instance_id]
            receipt = judge(
                method="api",
                before=before[instance_id].boot_id,
                after=answer.probe.boot_id,
                requested_at=requested_at,
                proven_at=format_time(answer.heard),
            )
        else:
            receipt = not_asked(before[instance_id].boot_id, _why_not(answers.get(instance_id)))
        failure = _failure(receipt, before[instance_id], answers.get(instance_id), timeout_s)
        results[instance_id] = result_of_receipt(api.region_id, receipt, failure)
    return results


def result_of_receipt(region_id: str, receipt: Receipt, failure: Failure | None) -> dict[str, Any]:
    """The result for one instance."""
    return {"region_id": region_id, **fate(failure), "receipt": receipt.as_dict()}


def _why_not(answer: Failure | None) -> str:
    """The evidence that an instance was not restarted."""
    if answer is None:
        return "RebootInstances was not sent, because its boot id could not be read first"
    if answer.code:
        return f"RebootInstances was refused with the code {answer.code}"
    return "RebootInstances was not sent"


def _what_goes_on(region_id: str, instance_ids: Sequence[str]) -> str:
    ids = ", ".join(instance_ids[:5]) + (f" and {len(instance_ids) - 5} more" if len(instance_ids) > 5 else "")
    return (
        f"Interrupted after RebootInstances on {ids} in {region_id}, which goes on, and nothing proves it any more. "
        "Look at them before you restart them again."
    )


def _heartbeats(api: RebootApi, instance_ids: Sequence[str]) -> dict[str, float]:
    return {instance_id: one.heartbeat or 0.0 for instance_id, one in look(api, instance_ids).items()}


def _prove(
    api: RebootApi,
    sides: Mapping[str, Side],
    since: Mapping[str, float],
    *,
    timeout_s: float,
    clock: Clock,
    progress: Progress,
) -> dict[str, Answer]:
    """Wait and ask until each instance has shown a new boot id or the time is up; the last answer of each."""
    after: dict[str, Answer] = {}
    waiting = {instance_id: since[instance_id] for instance_id in sides}
    deadline = Deadline(clock, timeout_s)
    if waiting:
        progress.say(f"Restarting {count(len(waiting), 'instance')}, at most {_limit(timeout_s)}")
    while waiting:
        back = wait_until_back(api, waiting, deadline=deadline, clock=clock, progress=progress)
        # At the end everyone is asked once more: silence is one thing, the old boot id another.
        ask = list(waiting) if deadline.passed else sorted(back)
        platforms = {instance_id: sides[instance_id].platform for instance_id in ask}
        after |= _ask(api, platforms, clock=clock, progress=progress)
        seen = glance(api, ask)
        for instance_id in ask:
            boot_id, before = after[instance_id].probe.boot_id, sides[instance_id].boot_id
            # Without one from before, there is nothing that it could differ from.
            if deadline.passed or (boot_id and (before is None or is_new_boot(before, boot_id))):
                del waiting[instance_id]
            else:
                # A heartbeat of the old agent: wait for the next one.
                heartbeat = seen[instance_id].heartbeat if instance_id in seen else None
                waiting[instance_id] = heartbeat or waiting[instance_id]
    return after


def _ask(api: RebootApi, platforms: Mapping[str, str], *, clock: Clock, progress: Progress) -> dict[str, Answer]:
    """Their boot ids now. The restart has been asked for, so an error is an answer like another."""
    try:
        probes = probe_boot_ids(api, platforms, clock=clock, progress=progress)
    except CloudError as error:
        probes = dict.fromkeys(platforms, Probe(None, failure_of(error)))
    return {instance_id: Answer(probe, clock.time()) for instance_id, probe in probes.items()}


def _failure(receipt: Receipt, before: Probe, answer: Failure | None, timeout_s: float) -> Failure | None:
    if receipt.verdict == "restarted":
        return None
    code = answer.code if answer else ""
    if receipt.method == "none":
        reason = answer or before.failure or Failure("agent", "")
        return Failure(reason.kind, f"The instance was not restarted. {reason.info}".strip(), reason.code)
    lost = f" {answer.info}" if answer else ""
    if receipt.verdict == "not_restarted":
        return Failure("instance", f"The instance still has its old boot id after {_limit(timeout_s)}.{lost}", code)
    return Failure(
        "lost",
        f"It is unknown whether the instance restarted.{lost} It has shown no new boot id within "
        f"{_limit(timeout_s)}; look at it before you restart it again.",
        code,
    )


def _limit(timeout_s: float) -> str:
    """A time with the option that it comes from."""
    return f"{duration(timeout_s)} (timeout)"
