# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Looking at a batch before anything is done to it, and the token that says it has been looked at."""

from __future__ import annotations

import hashlib
import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from .._cloud_assistant.fitness import unfitness
from .._cloud_assistant.submit import CommandApi
from .._instances.agent_version import agent_version
from .._instances.describe import Seen, look
from .._instances.failure import Failure, failure_of
from .._restart.reboot import platform_of
from .._sdk.errors import BadInput, CloudError
from .._sdk.shapes import AgentRow, InstanceRow
from .._waiting import Clock
from .earlier import asked_before

# The agent acts on exit code 194, 3010 on Windows, from this version on.
EXIT_CODE_AGENT = (2, 2, 3, 317)
# Windows builds are numbered 2.1.x and are a family of their own.
_EXIT_CODE_AGENTS = {"linux": EXIT_CODE_AGENT, "windows": (2, 1, 3, 317)}
_BETWEEN_BOOTS = ("Stopping", "Starting", "Running")
# An agent that said hello so lately is rather away for a restart than missing: role and modules give a restart 15 min.
_RECENT_S = 900


def new_run_id(clock: Clock) -> str:
    """A run id for those who give none: when, and something that nobody else has."""
    moment = datetime.fromtimestamp(clock.time(), timezone.utc)
    return f"{moment:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def token_of(run_id: str, instance_ids: Iterable[str]) -> str:
    """Says that these instances have been through the preflight of this run."""
    text = "\n".join([run_id, *sorted(instance_ids)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_token(token: str, run_id: str, examined: Iterable[str], instance_ids: Iterable[str]) -> None:
    """Raise :class:`BadInput` when a batch comes without its preflight.

    ``examined`` are the instances that the preflight tells of. Some may have left the batch since.
    """
    examined = set(examined)
    if token != token_of(run_id, examined) or not examined.issuperset(instance_ids):
        raise BadInput(
            "This batch has not been through its preflight (was the play started in the middle, with "
            "--start-at-task?). Nothing was done; start the play from its beginning with the same run id."
        )


def check_unique(instance_ids: Mapping[str, str]) -> None:
    """Raise :class:`BadInput` when a host (key) has no instance id (value) or shares it with another."""
    owners: dict[str, list[str]] = defaultdict(list)
    for name, instance_id in instance_ids.items():
        owners[instance_id].append(name)
    nameless = owners.pop("", [])
    problems = [
        f"The hosts {', '.join(names)} have the same instance id, {instance_id}."
        for instance_id, names in owners.items()
        if len(names) > 1
    ]
    if nameless:
        hosts = f"host {nameless[0]} has" if len(nameless) == 1 else f"hosts {', '.join(nameless)} have"
        problems.append(f"The {hosts} no instance id: set ecs_instance_id in the inventory.")
    if problems:
        raise BadInput(f"Nothing was done. {' '.join(problems)}")


def set_aside(
    instances: Sequence[Mapping[str, Any]], all_instance_ids: Mapping[str, str], region_id: str | None
) -> dict[str, str]:
    """Hosts of which the inventory does not say what they are, and a sentence on each: how to mend it.

    Empty when these are all hosts; the run is then refused, as it is where it is not only to look.
    """
    ids = {**{one["name"] or one["instance_id"]: one["instance_id"] for one in instances}, **all_instance_ids}
    found: dict[str, str] = {}
    for instance in instances:
        instance_id = instance["instance_id"]
        name = instance["name"] or instance_id
        others = [other for other, its_id in ids.items() if its_id == instance_id and other != name]
        if not instance_id:
            found[name] = "It has no instance id: set ecs_instance_id in the inventory."
        elif others:
            found[name] = (
                f"It has the same instance id as {', '.join(others)}, {instance_id}: give each its own "
                "ecs_instance_id, or take one of them out of the inventory."
            )
        elif not (instance["region_id"] or region_id):
            found[name] = "Its region is not known: set ecs_region_id, or export ALIBABA_CLOUD_REGION_ID."
    return found if len(found) < len(instances) else {}


def settle_method(wanted: str, agent: AgentRow | None, platform: str = "linux") -> str:
    """``auto`` becomes exit_code, or api where the agent is too old for exit codes (or does not tell its version)."""
    if wanted != "auto":
        return wanted
    return "exit_code" if agent and agent_version(agent.version) >= _EXIT_CODE_AGENTS[platform] else "api"


def examine(
    api: CommandApi, instance_ids: Sequence[str], method: str, run_id: str | None = None, *, now: float
) -> dict[str, dict[str, Any]]:
    """Each instance: name, platform, fit or not and why, agent version, and how it would be restarted.

    Of a run that had its id before, some instances may be restarting for its sake: they are waited for. ``now`` is in
    seconds since the epoch.
    """
    resumed = asked_before(api, run_id) if run_id else set()
    report = {}
    for instance_id, seen in look(api, instance_ids).items():
        settled = settle_method(method, seen.agent, platform_of(seen.instance))
        returning = instance_id in resumed and _is_away(seen)
        failure = None if returning else _unfit(seen, settled, api.region_id, now)
        found = {"resumed": instance_id in resumed, "returning": returning}
        report[instance_id] = _entry(api.region_id, settled, seen, failure) | found
    return report


def _is_away(seen: Seen) -> bool:
    """Between two boots, as far as the API can tell; a stopped instance is not."""
    return bool(seen.instance and seen.instance.status in _BETWEEN_BOOTS and not seen.online)


def _unfit(seen: Seen, method: str, region_id: str, now: float) -> Failure | None:
    failure = unfitness(seen, platform_of(seen.instance), region_id)
    if failure and seen.instance and _may_restart(seen.instance, seen, now):
        info = (
            f"It may be restarting, for another run perhaps: it is {seen.instance.status}, and its Cloud Assistant "
            "Agent is not online. Nothing was done to it; start the same command again when it is back. If it stays "
            "away, start the agent on the instance."
        )
        return Failure(failure.kind, info)
    return failure or _too_old(seen, method)


def _may_restart(instance: InstanceRow, seen: Seen, now: float) -> bool:
    """Between two boots, on its way back or with an agent that was there not long ago."""
    if not _is_away(seen):
        return False
    return instance.status == "Starting" or (seen.heartbeat is not None and now - seen.heartbeat < _RECENT_S)


def without_windows(report: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The same with hosts with Windows as unfit, which cannot be assessed yet."""
    info = (
        "Hosts with Windows cannot be assessed yet. A run that follows the plan leaves it out: patch it in a run of "
        "its own, without a plan."
    )
    unfit = {"ok": False, "failure": "input", "error_code": None, "error_info": info}
    return {
        key: {**entry, **unfit} if entry["ok"] and entry["platform"] == "windows" else dict(entry)
        for key, entry in report.items()
    }


def not_examined(region_id: str, instance_ids: Sequence[str], error: CloudError) -> dict[str, dict[str, Any]]:
    """The same for a region that could not be looked at."""
    failure = failure_of(error)
    return {instance_id: _entry(region_id, None, Seen(None, None), failure) for instance_id in instance_ids}


def _too_old(seen: Seen, method: str) -> Failure | None:
    version = seen.agent.version if seen.agent else ""
    enough = _EXIT_CODE_AGENTS[platform_of(seen.instance)]
    if method != "exit_code" or agent_version(version) >= enough:
        return None
    least = ".".join(map(str, enough))
    return Failure(
        "agent",
        f"Its agent {version or '(version unknown)'} cannot restart by exit code, {least} and later can. "
        "Upgrade the agent, or restart through the API.",
    )


def _entry(region_id: str, method: str | None, seen: Seen, failure: Failure | None) -> dict[str, Any]:
    return {
        "region_id": region_id,
        "instance_name": seen.instance.name if seen.instance else None,
        "zone_id": seen.instance.zone_id if seen.instance else None,
        "tags": dict(seen.instance.tags) if seen.instance else {},
        "platform": platform_of(seen.instance) if seen.instance else None,
        "status": seen.instance.status if seen.instance else None,
        "agent_version": (seen.agent.version or None) if seen.agent else None,
        "restart_method": method,
        "events": None,
        "leased_until": None,
        "resumed": False,
        "returning": False,
        "moved": False,
        "ok": failure is None,
        "failure": failure.kind if failure else None,
        "error_code": (failure.code or None) if failure else None,
        "error_info": failure.info if failure else None,
    }
