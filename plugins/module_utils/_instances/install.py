# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Bringing the agents of instances online, new enough, with InstallCloudAssistant where that is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from .._progress import Progress, count, duration
from .._sdk import limits
from .._sdk.errors import BadInput
from .._sdk.shapes import PowerRow
from .._waiting import Clock, Deadline
from .agents import Demand, agent_state, failure_in, unreachable, wanted_state
from .describe import DescribeApi, Seen, look
from .failure import Failure
from .ids import check_ecs_ids
from .info import describe_agent
from .outcome import failure_sentence, fate, refuse_unknown, summarize
from .pursue import Pursuit


class InstallApi(DescribeApi, Protocol):
    """The calls that this needs; :class:`~.._sdk.ecs.Ecs` has them."""

    def install_cloud_assistant(self, instance_ids: Sequence[str], *, within_s: float) -> None: ...


def ensure_agents(
    connect: Callable[[], InstallApi],
    instance_ids: list[str],
    demand: Demand,
    *,
    install_after_s: int | None,
    timeout_s: int,
    dry: bool,
    fail: bool,
    clock: Clock,
    progress: Progress,
) -> dict[str, Any]:
    """Wait until agents are as they are to be; one that is silent for ``install_after_s`` seconds is installed.

    Without that number none is installed. With ``dry``, only say on which instances one would be.
    """
    check_ecs_ids(instance_ids, "Its agent is installed when it is registered, with an activation code.")
    demand.check()
    if timeout_s < 1 or (install_after_s or 0) < 0:
        raise BadInput("timeout must be at least 1 second, and install_after not less than 0.")
    api = connect()
    before = look(api, instance_ids)
    if fail:
        there = {key for key, seen in before.items() if seen.instance}
        refuse_unknown(there, instance_ids, api.region_id)
    if dry:
        results = {key: _predict(api.region_id, demand, before[key], install_after_s) for key in instance_ids}
        after = {key: wanted_state(demand, seen) for key, seen in before.items()}
    else:
        pursuit = _install(api, demand, before, install_after_s, timeout_s, clock, progress)
        results = {key: _result(api.region_id, demand, key, before[key], pursuit, timeout_s) for key in instance_ids}
        after = {key: agent_state(seen) for key, seen in pursuit.seen.items()}
    changed = [key for key in instance_ids if results[key]["changed"]]
    outcome = summarize(results, instance_ids) | {
        "changed": bool(changed),
        "diff": {
            "before": {key: agent_state(before[key]) for key in changed},
            "after": {key: after.get(key, "gone") for key in changed},
        },
    }
    sentence = failure_sentence(results, "Bringing the agent online")
    return outcome | ({"failed": True, "msg": sentence} if sentence and fail else {})


def _install(
    api: InstallApi,
    demand: Demand,
    before: Mapping[str, Seen],
    install_after_s: int | None,
    timeout_s: int,
    clock: Clock,
    progress: Progress,
) -> Pursuit[Seen]:
    """Install what has to be, and wait until it is so or the time is up."""
    patience = Deadline(clock, install_after_s or 0)

    def send(instance_ids: Sequence[str], within_s: float) -> list[PowerRow]:
        api.install_cloud_assistant(instance_ids, within_s=within_s)
        return [PowerRow(instance_id, "200", "") for instance_id in instance_ids]

    def ready(seen: Seen) -> bool:
        """An old agent is installed over at once; a silent one may be about to say hello."""
        running = bool(seen.instance and seen.instance.status == "Running")
        return install_after_s is not None and running and (demand.is_old(seen) or patience.passed)

    pursuit = Pursuit(
        action="InstallCloudAssistant",
        send=send,
        look=lambda instance_ids: {key: seen for key, seen in look(api, instance_ids).items() if seen.instance},
        done=demand.is_met,
        ready=ready,
        seen={key: seen for key, seen in before.items() if not unreachable(seen, api.region_id)},
        deadline=Deadline(clock, timeout_s),
        most=limits.INSTALL_IDS,
    )
    if pursuit.open_ids:
        agents = count(len(pursuit.open_ids), "agent")
        progress.say(f"Waiting for {agents} to be online, at most {duration(timeout_s)}")
        pursuit.wait(clock, progress)
    return pursuit


def _predict(region_id: str, demand: Demand, seen: Seen, install_after_s: int | None) -> dict[str, Any]:
    """What would come of an instance; nobody knows yet how it would go where something has to be done."""
    failure = unreachable(seen, region_id)
    result = _shape(region_id, demand, seen, seen, failure)
    if failure is None and not demand.is_met(seen):
        result |= {"ok": None, "changed": install_after_s is not None}
    return result


def _result(
    region_id: str, demand: Demand, key: str, before: Seen, pursuit: Pursuit[Seen], timeout_s: float
) -> dict[str, Any]:
    """What came of an instance. A lost answer counts as a change: it may be one."""
    failure, after = unreachable(before, region_id), before
    asked, answer = pursuit.asked(key), pursuit.answers.get(key)
    if failure is None:
        after = pursuit.seen.get(key, Seen(None, None))
        failure = unreachable(after, region_id) or failure_in(demand, after, answer, asked=asked, timeout_s=timeout_s)
    return _shape(region_id, demand, before, after, failure) | {"changed": asked}


def _shape(region_id: str, demand: Demand, before: Seen, after: Seen, failure: Failure | None) -> dict[str, Any]:
    return {
        "region_id": region_id,
        "os_type": before.instance.os_type if before.instance else None,
        "minimum_version": demand.minimum_for(before),
        "agent_before": describe_agent(before.agent),
        "agent": describe_agent(after.agent),
        "changed": False,
        **fate(failure),
    }
