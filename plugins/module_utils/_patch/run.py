# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What the modules ecs_patch_info and ecs_patch do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._progress import Progress
from .._sdk.errors import BadInput
from .._waiting import Clock
from .batch import Batch, Host, Limits, PatchApi
from .delivery import Courier
from .preflight import check_token, check_unique, examine, new_run_id, token_of
from .steps import Policy, check_run_id, read_steps
from .verdict import verdict_of

INSTANCE_SPEC: dict[str, dict[str, Any]] = {
    "instance_id": {"type": "str", "required": True},
    "name": {"type": "str"},
    "region_id": {"type": "str"},
}
STEP_SPEC: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "script": {"type": "str"},
    "src": {"type": "path"},
    "unless": {"type": "str"},
    "restart": {"type": "str", "choices": ["never", "if_required", "always"], "default": "if_required"},
    "timeout_s": {"type": "int", "default": 3600},
    "attempts": {"type": "int", "default": 1},
    "rerun": {"type": "bool", "default": False},
}

Connect = Callable[[str], PatchApi]


def preflight(
    connect: Connect,
    instances: Sequence[Mapping[str, Any]],
    region_id: str | None,
    *,
    all_instance_ids: Mapping[str, str],
    run_id: str | None,
    method: str,
    clock: Clock,
) -> dict[str, Any]:
    """Look at a batch; fixes the run id and leaves the token that :func:`patch` asks for."""
    run_id = check_run_id(run_id) if run_id else new_run_id(clock)
    names = _names(instances)
    check_unique(all_instance_ids or names)
    check_unique(names)
    report: dict[str, dict[str, Any]] = {}
    for region, ids in _by_region(instances, region_id).items():
        report |= examine(connect(region), ids, method)
    return {
        "changed": False,
        "run_id": run_id,
        "token": token_of(run_id, report),
        "instances": report,
    }


def patch(
    connect: Connect,
    instances: Sequence[Mapping[str, Any]],
    region_id: str | None,
    *,
    preflight: Mapping[str, Any],
    steps: Sequence[Mapping[str, Any]],
    restart: str,
    settle_s: int,
    limits: Limits,
    runner_dir: str | None,
    dry: bool,
    clock: Clock,
    progress: Progress,
) -> dict[str, Any]:
    """Patch a batch; the verdict on each host. Everything that can be refused is refused before the first request."""
    names = _names(instances)
    ids = list(names.values())
    check_unique(names)
    run_id = check_run_id(str(preflight.get("run_id") or "unknown"))
    check_token(str(preflight.get("token")), run_id, ids)
    if not runner_dir:
        raise BadInput("runner_dir is not set; the collection's action plugin sets it when Ansible runs this module.")
    work = read_steps([_with_script(step) for step in steps])
    _check_limits(settle_s, limits)
    methods = {key: report["restart_method"] for key, report in preflight["instances"].items()}
    hosts = []
    for region, region_ids in _by_region(instances, region_id).items():
        api = connect(region)
        hosts += [Host(name, key, api, methods[key]) for name, key in names.items() if key in region_ids]
    if dry:
        verdicts = {host.instance_id: _untouched(host, run_id) for host in hosts}
    else:
        policy = Policy(run_id, restart, "exit_code", settle_s)
        batch = Batch(
            hosts,
            courier=Courier(runner_dir),
            policy=policy,
            steps=work,
            limits=limits,
            clock=clock,
            progress=progress,
        )
        verdicts = batch.run()
    return {
        "changed": any(verdict["changed"] for verdict in verdicts.values()),
        "run_id": run_id,
        "instances": verdicts,
    }


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


def _with_script(step: Mapping[str, Any]) -> dict[str, Any]:
    if step["src"] and step["script"]:
        raise BadInput(f"The step {step['name']!r} has both script and src; give one of them.")
    if not step["src"]:
        return dict(step)
    try:
        return {**step, "script": Path(step["src"]).read_text(encoding="utf-8")}
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadInput(f"The step {step['name']!r}: cannot read {step['src']}: {reason}.") from error


def _check_limits(settle_s: int, limits: Limits) -> None:
    for what, value in (
        ("settle_time", settle_s),
        ("timeout", limits.timeout_s),
        ("restart_timeout", limits.restart_timeout_s),
    ):
        if value < 1:
            raise BadInput(f"{what} must be at least 1 second.")
    if limits.most_restarts < 0:
        raise BadInput("max_restarts must not be negative.")


def _untouched(host: Host, run_id: str) -> dict[str, Any]:
    return verdict_of(
        name=host.name,
        instance_id=host.instance_id,
        region_id=host.api.region_id,
        run_id=run_id,
        status="not_reached",
        failure=None,
        trailer=None,
        cycles=0,
        invoke_ids=[],
        output="Check mode: nothing was run on the host, so it is not known what there is to do.",
    )
