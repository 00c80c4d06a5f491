# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What the modules ecs_patch_info and ecs_patch do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from .._instances.failure import Failure
from .._progress import Progress, count, duration
from .._sdk.errors import BadInput, CloudError
from .._sdk.shapes import parse_time
from .._waiting import Clock
from .batch import Batch, Limits
from .booking import book_batch
from .budget import read_budget
from .delivery import Courier
from .drift import Reality, check_plan, moved_entry
from .events import compare, events_after, merge_events, wants_restart, warnings_of, with_events
from .groups import batches_of, check_batches
from .hooks import check_hooks
from .host import Host, PatchApi, returning
from .lease import PREFIX
from .leasing import leased_by, release
from .preflight import (
    check_token,
    check_unique,
    examine,
    new_run_id,
    not_examined,
    set_aside,
    token_of,
    without_windows,
)
from .steps import check_run_id, inputs_of
from .stop import read_conditions, stop_before
from .verdict import verdict_of
from .work import Work, check_platforms

INSTANCE_SPEC: dict[str, dict[str, Any]] = {
    "instance_id": {"type": "str", "required": True},
    "name": {"type": "str"},
    "region_id": {"type": "str"},
}
# Of all modules that are called once for a batch: plugins/doc_fragments/_instances.py, BATCH.
BATCH_SPEC: dict[str, dict[str, Any]] = {
    "instances": {"type": "list", "elements": "dict", "required": True, "options": INSTANCE_SPEC},
}

Connect = Callable[[str], PatchApi]


def preflight(
    connect: Connect,
    instances: Sequence[Mapping[str, Any]],
    region_id: str | None,
    *,
    all_instance_ids: Mapping[str, str],
    run_id: str | None,
    batch: int,
    method: str,
    work: Work,
    runner_dir: str | None,
    plan: Mapping[str, Any],
    members: Sequence[str],
    hooks: Mapping[str, str],
    stop: Mapping[str, Any],
    max_unavailable: Mapping[str, Any] | None,
    serial: Sequence[int | str] | None,
    failed_instance_ids: Sequence[str],
    dry: bool,
    clock: Clock,
    progress: Progress,
) -> dict[str, Any]:
    """Look at a batch; fixes the run id and leaves the token that :func:`patch` asks for.

    ``stop`` says when the run stops: then the batch does not start, and is not looked at. A region that cannot be
    looked at is a failure of its hosts, unless it is the same with all of them. With a ``plan``, the first batch is
    refused when anything in all of it has moved; in later ones hosts that have are unfit. With ``max_unavailable``, the
    first one is refused when one of the batches that ``serial`` makes can never fit. What :func:`patch` would refuse of
    the ``work`` is refused here, before hooks do anything to a host. To assess, hosts of which the inventory does not
    say what they are do not keep the others from it.
    """
    budget = read_budget(max_unavailable, work.limits.most_s) if max_unavailable else None
    earlier = check_run_id(run_id) if run_id else None
    run_id = earlier or new_run_id(clock)
    aside = set_aside(instances, all_instance_ids, region_id) if work.mode == "assess" else {}
    if aside:
        instances = [one for one in instances if (one["name"] or one["instance_id"]) not in aside]
        all_instance_ids = {name: id_ for name, id_ in all_instance_ids.items() if name not in aside}
    names = _names(instances)
    check_unique(all_instance_ids or names)
    check_unique(names)
    run_hooks = check_hooks(hooks, work.mode)
    fixed = {"changed": False, "run_id": run_id, "batch": batch, "hooks": run_hooks}
    conditions = read_conditions(stop)
    why = stop_before(conditions, batch, stop.get("failed") or [], now=clock.time(), batch_s=stop.get("batch_s") or 0)
    if why:
        progress.say(f"Run {run_id} stops before batch {batch}: {why.reason}.")
        return fixed | {"stop": {"kind": why.kind, "reason": why.reason, "batch": batch}, "instances": {}}
    regions = _by_region(instances, region_id)
    if plan and batch == 1:
        regions = _with_planned(regions, plan, all_instance_ids)
    report: dict[str, dict[str, Any]] = {}
    notes: list[str] = []
    errors: list[CloudError] = []
    apis: dict[str, PatchApi] = {}
    for region, ids in regions.items():
        try:
            apis[region] = api = connect(region)
            found = examine(api, ids, method, earlier, now=clock.time())
            notes += merge_events(api, found, auto=method == "auto", may_restart=work.restart != "never")
            report |= without_windows(found) if work.mode == "assess" else found
        except CloudError as error:
            errors.append(error)
            report |= not_examined(region, ids, error)
    if len(errors) == len(regions):
        raise errors[0]
    if plan:
        reality = Reality(all_instance_ids, members, inputs_of(work.steps, work.restart), report)
        if batch == 1:
            check_plan(plan, list(names), reality)
        else:
            report |= {id_: report[id_] | moved_entry(plan, name, reality) for name, id_ in names.items()}
        report = {instance_id: report[instance_id] for instance_id in names.values()}
    fit, _unfit = _hosts(apis.__getitem__, instances, region_id, {"instances": report}, run_id, work)
    check_platforms(fit, work)
    if runner_dir:
        _batch_of(fit, run_id, work, work.limits, runner_dir, clock, progress).check()
    progress.say(f"Run {run_id}, batch {batch}: {len(fit)} of {count(len(names), 'host')} fit")
    if budget:
        play = all_instance_ids or names
        if batch == 1:
            check_batches(apis.values(), budget, batches_of(play, serial, names), play.values())
        if conditions.deadline is not None:  # the batch has to end before that, however long it waits
            left_s = int(conditions.deadline - clock.time()) - (stop.get("batch_s") or 0)
            budget = replace(budget, wait_s=max(0, min(budget.wait_s, left_s)))
        notes += book_batch(
            apis,
            report,
            budget=budget,
            owner=run_id,
            play=play.values(),
            failed=failed_instance_ids,
            dry=dry,
            clock=clock,
            progress=progress,
        )
    if "before" in run_hooks and fit and not dry:
        progress.say(
            "The hook before takes hosts out of service. If this is interrupted, they stay so until the same command "
            f"is started again with the run id {run_id}."
        )
    return fixed | {
        "token": token_of(run_id, report),
        "deadline": conditions.deadline,
        "instances": report,
        "set_aside": aside,
        "notes": notes,
        "warnings": notes + _event_warnings(names, report, work.restart),
    }


def _event_warnings(names: Mapping[str, str], report: Mapping[str, Mapping[str, Any]], restart: str) -> list[str]:
    return [
        warning
        for name, instance_id in names.items()
        for warning in warnings_of(
            name, report[instance_id]["events"] or (), method=report[instance_id]["restart_method"], restart=restart
        )
    ]


def _with_planned(
    regions: Mapping[str, Sequence[str]], plan: Mapping[str, Any], instance_ids: Mapping[str, str]
) -> dict[str, list[str]]:
    """All hosts of a plan that still are the instances that they were, and not only those of a batch."""
    known = {instance_id for ids in regions.values() for instance_id in ids}
    all_regions = {region: list(ids) for region, ids in regions.items()}
    for name in (name for batch in plan["batches"] for name in batch):
        host = plan["hosts"][name]
        if host["instance_id"] not in known and instance_ids.get(name) == host["instance_id"]:
            all_regions.setdefault(host["region_id"], []).append(host["instance_id"])
    return all_regions


def patch(
    connect: Connect,
    instances: Sequence[Mapping[str, Any]],
    region_id: str | None,
    *,
    preflight: Mapping[str, Any],
    work: Work,
    runner_dir: str | None,
    dry: bool,
    clock: Clock,
    progress: Progress,
) -> dict[str, Any]:
    """Patch a batch; the verdict on each host. Everything that can be refused is refused before the first request.

    What the preflight found unfit gets its verdict from there, and nothing is sent to it.
    """
    names = _names(instances)
    check_unique(names)
    run_id = check_run_id(str(preflight.get("run_id") or "unknown"))
    check_token(str(preflight.get("token")), run_id, preflight.get("instances") or {}, names.values())
    if not runner_dir:
        raise BadInput("runner_dir is not set; the collection's action plugin sets it when Ansible runs this module.")
    limits = _until_deadline(work.limits, preflight.get("deadline"), clock)
    limits = _within_leases(limits, preflight["instances"].values(), clock)
    fit, verdicts = _hosts(connect, instances, region_id, preflight, run_id, work)
    for host in fit:
        if preflight["instances"][host.instance_id].get("returning"):
            host.place = returning(clock, limits.restart_timeout_s)
    check_platforms(fit, work)
    make_batch = partial(
        _batch_of,
        run_id=run_id,
        work=work,
        limits=limits,
        runner_dir=runner_dir,
        clock=clock,
        progress=progress,
    )
    batch = make_batch(fit, resumed={key for key, report in preflight["instances"].items() if report.get("resumed")})
    batch.check()
    verdicts |= {host.instance_id: _checked(host, run_id) for host in fit} if dry else batch.run()
    if limits.soak_s and not dry and work.mode == "patch":
        verdicts |= _after_soak(make_batch, fit, verdicts, limits.soak_s, clock, progress)
    events = _events([] if dry or work.mode == "assess" else fit, verdicts, preflight["instances"], clock)
    inputs = {"inputs": inputs_of(work.steps, work.restart)} if work.mode == "assess" else {}
    return {
        "changed": any(verdict["changed"] for verdict in verdicts.values()),
        "run_id": run_id,
        "instances": {
            instance_id: with_events(verdicts[instance_id], events.get(instance_id))
            | _seen_before(preflight, instance_id)
            | inputs
            for instance_id in names.values()
        },
    }


def _batch_of(
    hosts: Sequence[Host],
    run_id: str,
    work: Work,
    limits: Limits,
    runner_dir: str,
    clock: Clock,
    progress: Progress,
    resumed: Collection[str] = (),
) -> Batch:
    return Batch(
        hosts,
        resumed=resumed,
        courier=Courier(runner_dir),
        policy=work.policy(run_id),
        steps=work.steps,
        limits=limits,
        clock=clock,
        progress=progress,
    )


def _seen_before(preflight: Mapping[str, Any], instance_id: str) -> dict[str, Any]:
    """What a verdict repeats of the preflight: for the report, and for the plan."""
    report = preflight["instances"][instance_id]
    seen = {key: report.get(key) for key in ("zone_id", "tags", "agent_version", "restart_method")}
    return {"batch": preflight.get("batch"), **seen}


def _after_soak(
    make_batch: Callable[[Sequence[Host]], Batch],
    hosts: Sequence[Host],
    verdicts: Mapping[str, Mapping[str, Any]],
    soak_s: int,
    clock: Clock,
    progress: Progress,
) -> dict[str, dict[str, Any]]:
    """The verdicts after a while, on the hosts that went well: they are asked the same again, and have finished it."""
    good = [host.afresh() for host in hosts if verdicts[host.instance_id]["ok"]]
    if not good:
        return {}
    progress.say(f"Soaking {count(len(good), 'host')} for {duration(soak_s)}, then looking at them again")
    clock.sleep(soak_s)
    return {
        key: verdict
        | {
            "cycles": verdicts[key]["cycles"] + verdict["cycles"],
            "invoke_ids": verdicts[key]["invoke_ids"] + verdict["invoke_ids"],
            "error_info": verdict["error_info"] and f"All was well before its soak. {verdict['error_info']}",
        }
        for key, verdict in make_batch(good).run(again=True).items()
    }


def _until_deadline(limits: Limits, deadline: float | None, clock: Clock) -> Limits:
    """The preflight saw to it that the batch's time fits before the run's deadline; hooks may have taken some since."""
    if deadline is None:
        return limits
    return replace(limits, timeout_s=max(1, min(limits.timeout_s, int(deadline - clock.time()))))


def _hosts(
    connect: Connect,
    instances: Sequence[Mapping[str, Any]],
    region_id: str | None,
    preflight: Mapping[str, Any],
    run_id: str,
    work: Work,
) -> tuple[list[Host], dict[str, dict[str, Any]]]:
    """The hosts that the preflight found fit, and the verdicts on the others."""
    owners = {instance_id: name for name, instance_id in _names(instances).items()}
    fit: list[Host] = []
    verdicts: dict[str, dict[str, Any]] = {}
    for region, ids in _by_region(instances, region_id).items():
        reports = {instance_id: preflight["instances"][instance_id] for instance_id in ids}
        if any(report["ok"] for report in reports.values()):
            api = connect(region)
            fit += [
                Host(
                    owners[key],
                    key,
                    api,
                    report["restart_method"],
                    report["platform"],
                    event=work.restart != "never"
                    and report["restart_method"] == "api"
                    and wants_restart(report["events"]),
                )
                for key, report in reports.items()
                if report["ok"]
            ]
        verdicts |= {
            key: verdict_of(
                name=owners[key],
                instance_id=key,
                region_id=region,
                run_id=run_id,
                status="not_reached" if report.get("moved") or report["failure"] == "budget" else "failed",
                failure=Failure(report["failure"], report["error_info"], report["error_code"] or ""),
            )
            for key, report in reports.items()
            if not report["ok"]
        }
    return fit, verdicts


def _events(
    hosts: Sequence[Host],
    verdicts: Mapping[str, Mapping[str, Any]],
    reports: Mapping[str, Mapping[str, Any]],
    clock: Clock,
) -> dict[str, list[dict[str, Any]]]:
    """What became of the system events of each instance, in the batch's end; not there where they were not read."""
    known = {key: report["events"] for key, report in reports.items() if report["events"] is not None}
    found = {key: compare(events, (), ()) for key, events in known.items()}
    for api in {id(host.api): host.api for host in hosts}.values():
        ids = [host.instance_id for host in hosts if host.api is api and host.instance_id in known]
        found |= events_after(api, verdicts, {key: known[key] for key in ids}, clock)
    return found


def _within_leases(limits: Limits, reports: Iterable[Mapping[str, Any]], clock: Clock) -> Limits:
    """No host is worked on, or away for a restart, when its lease is over: hooks may have taken some of its time."""
    ends = [parse_time(report["leased_until"]) for report in reports if report.get("leased_until")]
    if not ends:
        return limits
    left_s = int(min(end or 0.0 for end in ends) - clock.time()) - limits.restart_timeout_s - limits.soak_s
    if left_s < 1:
        raise BadInput(
            "The hosts of the batch are leased for too short a time to begin now: lease_s of max_unavailable must be "
            "more than what hooks, the batch, its soak and a restart take. Nothing was done."
        )
    return replace(limits, timeout_s=min(limits.timeout_s, left_s))


def give_back(
    connect: Connect, instances: Sequence[Mapping[str, Any]], region_id: str | None, *, run_id: str, dry: bool
) -> dict[str, Any]:
    """Release what the run has leased. When that fails the leases end by themselves, so it is a warning.

    All are untagged, also those that are not seen to be leased, in case that a tag is read late.
    """
    run_id = check_run_id(run_id)
    check_unique(_names(instances))
    changed = False
    released: list[str] = []
    warnings: list[str] = []
    for region, ids in _by_region(instances, region_id).items():
        try:
            api = connect(region)
            changed |= bool(leased_by(api, ids, run_id))
            if not dry:
                release(api, ids, run_id)
            released += ids
        except CloudError as error:
            warnings.append(
                f"Leases of run {run_id} could not be removed from {', '.join(ids)}, and other runs leave these alone "
                f"until they end: the tag {PREFIX}{run_id} says when. Remove the tag to have it earlier. {error}"
            )
    return {"changed": changed, "released_ids": released, "warnings": warnings}


def _names(instances: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Instance ids by host name."""
    if not instances:
        raise BadInput("instances is empty: nothing to do.")
    names: dict[str, str] = {}
    for instance in instances:
        name = instance["name"] or instance["instance_id"]
        if name in names:
            raise BadInput(f"Two instances have the name {name!r}.")
        names[name] = instance["instance_id"]
    return names


def _by_region(instances: Sequence[Mapping[str, Any]], default: str | None) -> dict[str, list[str]]:
    regions: dict[str, list[str]] = {}
    for instance in instances:
        region = instance["region_id"] or default
        if not region:
            raise BadInput(
                f"The region of {instance['name'] or instance['instance_id']} is not known: set region_id, or export "
                "ALIBABA_CLOUD_REGION_ID."
            )
        regions.setdefault(region, []).append(instance["instance_id"])
    return regions


def _checked(host: Host, run_id: str) -> dict[str, Any]:
    return verdict_of(
        name=host.name,
        instance_id=host.instance_id,
        region_id=host.api.region_id,
        run_id=run_id,
        status="checked",
        failure=None,
        output="Check mode: nothing was run on the host, so it is not known what there is to do on it.",
    )
