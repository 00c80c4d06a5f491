# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Running a batch: the loop around ``continue``, for all hosts at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from .._cloud_assistant.command import Command
from .._cloud_assistant.results import Result, result_of_failure
from .._cloud_assistant.submit import CommandApi, Invocation, submit
from .._cloud_assistant.wait import wait_for
from .._instances.describe import Seen, look
from .._instances.failure import Failure
from .._instances.power import PowerApi, reboot
from .._progress import Progress, count, duration
from .._restart.coming_back import looks_back
from .._sdk.errors import ApiError, CloudError, NoAnswer
from .._sdk.limits import DELIVERY_S
from .._sdk.shapes import parse_time
from .._waiting import Clock, Deadline, wait_until
from .decisions import Decision, Move, decide
from .delivery import Courier
from .steps import Policy, Step
from .trailer import Trailer, read_trailer
from .verdict import verdict_of

RUN_TAG = "cloudops-run"
# How often a host may answer that it does not know, before nobody does.
_MOST_ASKS = 5
# After the agent has reported, the restart begins 0.1 s later; the API needs this long to look into the report.
_ANSWER_MARGIN_S = 30
# Hosts that are back wait this long for the next one to come back before they go on without it.
_STRAGGLER_S = 30


class PatchApi(CommandApi, PowerApi, Protocol):
    """The calls that patching needs."""


@dataclass(frozen=True)
class Limits:
    """How long and how often.

    ``timeout_s`` is for the whole batch, ``restart_timeout_s`` for one restart, ``most_restarts`` for a host.
    """

    timeout_s: int
    restart_timeout_s: int
    most_restarts: int


@dataclass
class Host:
    """One host of the batch and how far it is."""

    name: str
    instance_id: str
    api: PatchApi
    method: str
    cycles: int = 0
    restarts: int = 0
    asks: int = 0
    invoke_ids: list[str] = field(default_factory=list)
    output: str = ""
    trailer: Trailer | None = None
    verdict: dict[str, Any] | None = None
    away: Away | None = None


@dataclass(frozen=True)
class Away:
    """A host that is restarting, or may be.

    It is asked again when its agent has said hello after ``since``, when it has been online for the settle time
    after ``asked`` all the same, or given up when ``patience`` is over.
    """

    since: float
    asked: float
    patience: Deadline
    reason: Failure


class Batch:
    """The hosts of one batch, until each has its verdict."""

    def __init__(
        self,
        hosts: Sequence[Host],
        *,
        courier: Courier,
        policy: Policy,
        steps: Sequence[Step],
        limits: Limits,
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._hosts = list(hosts)
        self._courier = courier
        self._policy = policy
        self._steps = steps
        self._limits = limits
        self._clock = clock
        self._progress = progress
        self._deadline = Deadline(clock, limits.timeout_s)
        self._not_after = int(clock.time() + limits.timeout_s)

    def run(self) -> dict[str, dict[str, Any]]:
        """The verdict on each host by instance id. Nothing that happens to a host keeps another from its verdict."""
        self._progress.say(
            f"Run {self._policy.run_id}: patching {count(len(self._hosts), 'host')}, at most "
            f"{duration(self._limits.timeout_s)}"
        )
        while open_hosts := [host for host in self._hosts if host.verdict is None]:
            ready = [host for host in open_hosts if host.away is None]
            if self._deadline.passed:
                self._give_up(open_hosts)
            elif ready:
                self._continue(ready)
            else:
                self._wait_for_the_next(open_hosts)
        return {host.instance_id: host.verdict for host in self._hosts if host.verdict}

    # --- continue ----------------------------------------------------------------------------------------------

    def _continue(self, hosts: Sequence[Host]) -> None:
        """One command for all of them (one for each region and method), then the next move of each."""
        groups: dict[tuple[int, str], list[Host]] = defaultdict(list)
        for host in hosts:
            groups[id(host.api), host.method].append(host)
        results: dict[str, Result] = {}
        invocations: list[Invocation] = []
        for group in groups.values():
            submitted, failed = self._submit(group)
            invocations += submitted
            results |= failed
        results |= self._wait(invocations)
        decisions = {host.instance_id: self._hear(host, results[host.instance_id]) for host in hosts}
        self._restart_through_api([host for host in hosts if decisions[host.instance_id].move is Move.RESTART])
        for host in hosts:
            self._apply(host, decisions[host.instance_id], results[host.instance_id])
        self._tell(decisions)

    def _submit(self, hosts: Sequence[Host]) -> tuple[list[Invocation], dict[str, Result]]:
        api = hosts[0].api
        policy = replace(self._policy, method=hosts[0].method)
        script = self._courier.script(policy, self._steps, sent_at=int(self._clock.time()), not_after=self._not_after)
        command = Command(
            content=script,
            timeout_s=max(int(self._deadline.left_s), 10) + _ANSWER_MARGIN_S,
            name="cloudops-patch",
            description=f"run {self._policy.run_id}, cycle {hosts[0].cycles + 1}",
            tags={RUN_TAG: self._policy.run_id},
        )
        ids = [host.instance_id for host in hosts]
        try:
            submission = submit(api, command, ids)
        except (ApiError, NoAnswer) as error:
            kind = "lost" if isinstance(error, NoAnswer) else "input"
            code = error.code if isinstance(error, ApiError) else ""
            failures = dict.fromkeys(ids, Failure(kind, str(error), code))
            return [], {key: result_of_failure(failure, region_id=api.region_id) for key, failure in failures.items()}
        failed = {
            instance_id: result_of_failure(failure, region_id=api.region_id)
            for instance_id, failure in submission.failures.items()
        }
        return submission.invocations, failed

    def _wait(self, invocations: Sequence[Invocation]) -> dict[str, Result]:
        deadline = Deadline(self._clock, self._deadline.left_s + _ANSWER_MARGIN_S + DELIVERY_S)
        try:
            return wait_for(invocations, deadline=deadline, clock=self._clock, progress=self._progress)
        except CloudError as error:
            return {
                instance_id: result_of_failure(
                    Failure("lost", str(error)),
                    region_id=invocation.api.region_id,
                    invoke_id=invocation.invoke_id,
                )
                for invocation in invocations
                for instance_id in invocation.instance_ids
            }

    def _hear(self, host: Host, result: Result) -> Decision:
        """Take in an answer; the next move."""
        first = host.cycles == 0
        host.cycles += 1
        if result["invoke_id"]:
            host.invoke_ids.append(result["invoke_id"])
        trailer = read_trailer(result["output"], self._policy.run_id)
        if result["output"]:
            host.output = result["output"]
        if trailer and trailer.whole:
            host.trailer = trailer
        decision = decide(result, trailer, first=first)
        if decision.move in (Move.RESTART, Move.AWAIT_RESTART) and host.restarts >= self._limits.most_restarts:
            return Decision(
                Move.FAILED,
                Failure("script", f"It asks for another restart after {host.restarts}, the most that this run allows."),
            )
        return decision

    def _apply(self, host: Host, decision: Decision, result: Result) -> None:
        """Make the move, unless the restart through the API has settled the host's fate already."""
        if host.verdict or host.away:
            return
        if decision.move is Move.DONE:
            self._conclude(host, None, None)
        elif decision.move is Move.FAILED:
            self._conclude(host, "failed", decision.failure)
        elif decision.move is Move.AWAIT_RESTART:
            host.restarts += 1
            host.asks = 0
            self._send_away(host, since=_finished(result, self._clock.time()))
        else:
            host.asks += 1
            if host.asks >= _MOST_ASKS:
                self._conclude(host, "unknown", decision.failure)
            else:
                self._send_away(host, since=self._clock.time(), reason=decision.failure)

    # --- restarts ----------------------------------------------------------------------------------------------

    def _restart_through_api(self, hosts: Sequence[Host]) -> None:
        """RebootInstances once for those whose record on the host says so."""
        for api in {id(host.api): host.api for host in hosts}.values():
            group = {host.instance_id: host for host in hosts if host.api is api}
            try:
                seen = look(api, list(group))
            except (ApiError, NoAnswer) as error:
                for host in group.values():
                    self._conclude(host, "failed", Failure("lost", f"It was not restarted. {error}"))
                continue
            self._progress.say(f"Restarting {count(len(group), 'host')} through the API")
            for instance_id, answer in reboot(api, list(group)).items():
                host = group[instance_id]
                if answer and answer.kind != "lost":
                    self._conclude(host, "failed", answer)
                    continue
                host.restarts += 1
                host.asks = 0
                self._send_away(host, since=_heartbeat(seen[instance_id]), reason=answer)

    def _send_away(self, host: Host, *, since: float, reason: Failure | None = None) -> None:
        patience = Deadline(self._clock, min(self._limits.restart_timeout_s, self._deadline.left_s))
        silence = Failure(
            "lost",
            "A restart was requested, and the host has not been seen since. Look at it before you restart it again.",
        )
        host.away = Away(since, self._clock.time(), patience, reason or silence)

    def _wait_for_the_next(self, away: Sequence[Host]) -> None:
        """Wait until hosts are back, or have nothing more to wait for."""
        self._progress.say(f"Waiting for {count(len(away), 'host')} to come back")
        last_return = self._clock.monotonic()

        def take() -> list[Host]:
            nonlocal last_return
            waiting = [host for host in away if host.away]
            returned = self._returned(waiting)
            for host in returned:
                host.away = None
                last_return = self._clock.monotonic()
            for host in waiting:
                if host.away and host.away.patience.passed:
                    self._conclude(host, "unknown", host.away.reason)
            left = [host for host in away if host.away]
            self._progress.update(f"{len(away) - len(left)} of {count(len(away), 'host')} back")
            return left

        def done(left: list[Host]) -> bool:
            some_are_back = any(host.away is None and host.verdict is None for host in away)
            return not left or (some_are_back and self._clock.monotonic() - last_return > _STRAGGLER_S)

        wait_until(take, done, deadline=self._deadline, clock=self._clock)

    def _returned(self, hosts: Sequence[Host]) -> list[Host]:
        """Those that are worth asking again."""
        seen: dict[str, Seen] = {}
        for api in {id(host.api): host.api for host in hosts}.values():
            try:
                seen |= look(api, [host.instance_id for host in hosts if host.api is api])
            except (ApiError, NoAnswer):
                continue  # no news
        now = self._clock.time()
        return [
            host
            for host in hosts
            if host.away and host.instance_id in seen and self._worth_asking(seen[host.instance_id], host.away, now)
        ]

    def _worth_asking(self, seen: Seen, away: Away, now: float) -> bool:
        if looks_back(seen, away.since):
            return True
        online = bool(seen.instance and seen.instance.status == "Running" and seen.agent and seen.agent.online)
        return online and now - away.asked >= self._policy.settle_s

    # --- verdicts ----------------------------------------------------------------------------------------------

    def _give_up(self, hosts: Sequence[Host]) -> None:
        limit = duration(self._limits.timeout_s)
        for host in hosts:
            reason = f" {host.away.reason.info}" if host.away else ""
            self._conclude(host, "unknown", Failure("timeout", f"The batch's time of {limit} is over.{reason}"))

    def _conclude(self, host: Host, status: str | None, failure: Failure | None) -> None:
        host.away = None
        host.verdict = verdict_of(
            name=host.name,
            instance_id=host.instance_id,
            region_id=host.api.region_id,
            run_id=self._policy.run_id,
            status=status,
            failure=failure,
            trailer=host.trailer,
            cycles=host.cycles,
            invoke_ids=host.invoke_ids,
            output=_without_trailer(host.output),
        )

    def _tell(self, decisions: Mapping[str, Decision]) -> None:
        words = {
            Move.DONE: "done",
            Move.FAILED: "failed",
            Move.AWAIT_RESTART: "restarting",
            Move.RESTART: "restarting",
            Move.ASK_AGAIN: "unclear",
        }
        counts: dict[str, int] = defaultdict(int)
        for decision in decisions.values():
            counts[words[decision.move]] += 1
        self._progress.say(", ".join(f"{number} {word}" for word, number in counts.items()))


def _finished(result: Result, now: float) -> float:
    """When the command finished by the service's clock, in whole seconds, or now."""
    return parse_time(result["finished_at"]) or now


def _heartbeat(seen: Seen) -> float:
    return (seen.agent.last_heartbeat or 0.0) if seen.agent else 0.0


def _without_trailer(output: str) -> str:
    lines = output.rstrip("\n").splitlines()
    if lines and lines[-1].startswith("cloudops.alibaba/"):
        lines = lines[:-1]
    return "\n".join(lines)
