# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Running a batch: the loop around ``continue``, for all hosts at once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from .._cloud_assistant.command import Command
from .._cloud_assistant.results import Result, result_of_failure
from .._cloud_assistant.submit import Invocation, submit
from .._cloud_assistant.wait import is_final, look_at, read_results
from .._instances.describe import Seen, glance
from .._instances.failure import Failure, failure_of
from .._instances.power import reboot
from .._progress import Progress, count, duration
from .._sdk.errors import CloudError
from .._sdk.limits import DELIVERY_S
from .._sdk.shapes import TaskRow, format_time, parse_time
from .._waiting import Clock, Deadline, wait_until
from .decisions import Move, decide
from .delivery import SCRIPT_TYPES, Courier
from .earlier import adopt, tags_of
from .host import Asked, Away, Due, Host, PatchApi, Place, Ready, Settled, no_answer_of
from .steps import Policy, Step, steps_for

# How often in a row a host may answer that it does not know, before nobody does.
_MOST_ASKS = 5
# Before a host that gave no answer is asked again.
_PAUSE_S = 10
_LONGEST_PAUSE_S = 30
# The runner ends by itself when its time is over; until then the agent must not kill it.
_RUNNER_ENDS_S = 30
# Hosts that could go on wait for others so that one command serves them all, but no longer than this.
_STRAGGLER_S = 30

_SILENCE = Failure(
    "lost", "A restart was requested, and the host has not been seen since. Look at it before you restart it again."
)
_STILL_THERE = Failure(
    "instance", "A restart was requested, and the host still has its old boot id. Look at it before you restart it."
)
_GONE = Failure(
    "instance", "The instance is not there any more: it was released during the run. Take it out of your inventory."
)
_NOT_OUR_WORD = Failure("lost", "It asked an earlier controller of the run for a restart, which may still send it.")
_TOO_OLD = Failure("lost", "It asked for a restart, and there was no time to send it while that was fresh.")

# What a run does to its hosts, and what holds when it is interrupted.
_WORDS = {
    "patch": (
        "patching",
        "Interrupted. The hosts go on by themselves and may still restart; start the same command again with the "
        "run id {run_id} to go on.",
    ),
    "assess": ("assessing", "Interrupted. Nothing was changed on the hosts."),
    "look": ("looking at", "Interrupted. Nothing was changed on the hosts."),
}

_Where = TypeVar("_Where", bound=Place)


@dataclass(frozen=True)
class Limits:
    """How long: ``timeout_s`` is for the whole batch, ``restart_timeout_s`` for one restart.

    After ``soak_s`` the hosts that went well are looked at once more.
    """

    timeout_s: int
    restart_timeout_s: int
    soak_s: int = 0

    @property
    def most_s(self) -> int:
        """How long hosts may be away for a batch that begins now."""
        return self.timeout_s + self.soak_s + self.restart_timeout_s


class Batch:
    """The hosts of one batch, until each has its verdict."""

    def __init__(
        self,
        hosts: Sequence[Host],
        *,
        resumed: Collection[str] = (),
        courier: Courier,
        policy: Policy,
        steps: Sequence[Step],
        limits: Limits,
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._hosts = list(hosts)
        self._resumed = resumed
        self._courier = courier
        self._policy = policy
        self._steps = steps
        self._limits = limits
        self._clock = clock
        self._progress = progress
        self._deadline = Deadline(clock, limits.timeout_s)
        self._answers_until = Deadline(clock, limits.timeout_s + _RUNNER_ENDS_S + DELIVERY_S)
        self._not_after = int(clock.time() + limits.timeout_s)

    def check(self) -> None:
        """Raise :class:`BadInput` for what would be refused on the way to the hosts; sends nothing."""
        for group in _alike(self._hosts):
            self._command(group[0]).check()

    def run(self, *, again: bool = False) -> dict[str, dict[str, Any]]:
        """The verdict on each host by instance id. Nothing that happens to a host keeps another from its verdict.

        ``again`` says that they have finished, and are looked at once more.
        """
        if not self._hosts:
            return {}
        nothing_to_do = self._policy.mode == "patch" and not self._steps and self._policy.restart == "never"
        doing, interrupted = _WORDS["look" if nothing_to_do or again else self._policy.mode]
        self._progress.say(
            f"Run {self._policy.run_id}: {doing} {count(len(self._hosts), 'host')}, at most "
            f"{duration(self._limits.timeout_s)}"
        )
        with self._progress.when_interrupted(interrupted.format(run_id=self._policy.run_id)):
            self._see_through()
        return {host.instance_id: settled.verdict for host, settled in self._at(Settled)}

    def _see_through(self) -> None:
        """Ask, listen and restart until each host has its verdict."""
        self._adopt()
        while not self._deadline.passed and len(self._at(Settled)) < len(self._hosts):
            self._ask([host for host, _ready in self._at(Ready)])
            self._listen(self._deadline)
            self._restart(self._at(Due))
        # Now no host begins anything any more. Those who were asked still have a word.
        self._end_of_time(Ready, Due, Away)
        while self._at(Asked) and not self._answers_until.passed:
            self._listen(self._answers_until)
            self._end_of_time(Ready, Due, Away)
        self._end_of_time(Asked)

    def _at(self, kind: type[_Where]) -> list[tuple[Host, _Where]]:
        """The hosts in a kind of place, with their place."""
        return [(host, host.place) for host in self._hosts if isinstance(host.place, kind)]

    # --- asking ------------------------------------------------------------------------------------------------

    def _ask(self, hosts: Iterable[Host]) -> None:
        """One command for all of them (one for each region, platform, method, and whether an event wants a restart)."""
        for group in _alike(hosts):
            self._ask_group({host.instance_id: host for host in group})

    def _adopt(self) -> None:
        """Take over what an earlier controller of the run has asked the very same hosts."""
        resumed = [host for host, _ready in self._at(Ready) if host.instance_id in self._resumed]
        old_answers = not self._policy.health.wanted
        for group in _alike(resumed):
            tags = self._tags(group[0])
            for host, result in adopt(group, tags, self._policy.run_id, self._clock, old_answers=old_answers):
                self._hear(host, result, self._clock.monotonic())
            working = sum(isinstance(host.place, Asked) for host in group)
            if working:
                self._progress.say(f"{count(working, 'host')} still at work for an earlier start of the run")

    def _ask_group(self, hosts: dict[str, Host]) -> None:
        some = next(iter(hosts.values()))
        asked = self._clock.monotonic()
        try:
            submission = submit(some.api, self._command(some), list(hosts))
        except CloudError as error:
            invocations, failures = [], dict.fromkeys(hosts, failure_of(error))
        else:
            invocations, failures = submission.invocations, submission.failures
        for instance_id, failure in failures.items():
            self._hear(hosts[instance_id], result_of_failure(failure, region_id=some.api.region_id), asked)
        for invocation in invocations:
            self._progress.say(
                f"Asked {count(len(invocation.instance_ids), 'host')} to continue: invocation {invocation.invoke_id}"
            )
            for instance_id in invocation.instance_ids:
                hosts[instance_id].place = Asked(invocation, asked)

    def _command(self, host: Host) -> Command:
        script = self._courier.script(
            self._policy_of(host),
            steps_for(host.platform, self._steps),
            method=host.method,
            sent_at=int(self._clock.time()),
            not_after=self._not_after,
            platform=host.platform,
        )
        return Command(
            content=script,
            type=SCRIPT_TYPES[host.platform],
            timeout_s=int(self._deadline.left_s) + _RUNNER_ENDS_S,
            name=f"cloudops-{self._policy.mode}",
            description=f"run {self._policy.run_id}",
            tags=self._tags(host),
        )

    def _tags(self, host: Host) -> dict[str, str]:
        return tags_of(self._policy_of(host), steps_for(host.platform, self._steps), host.method)

    def _policy_of(self, host: Host) -> Policy:
        return replace(self._policy, event=host.event)

    # --- listening ---------------------------------------------------------------------------------------------

    def _listen(self, deadline: Deadline) -> None:
        """Wait until nobody is out any more, or until those who could go on have waited long enough for the others."""
        straggler_s = min(_STRAGGLER_S, self._policy.settle_s / 4)
        first_arrival: float | None = None

        def take() -> None:
            nonlocal first_arrival
            invocations = {asked.invocation.invoke_id: asked.invocation for _host, asked in self._at(Asked)}
            for invocation in invocations.values():
                self._hear_from(invocation)
            self._look_after(self._at(Away))
            if first_arrival is None and any(isinstance(host.place, (Ready, Due)) for host in self._hosts):
                first_arrival = self._clock.monotonic()
            self._progress.update(self._line())

        def done(_snapshot: None) -> bool:
            if not self._at(Asked) and not self._at(Away):
                return True
            return first_arrival is not None and self._clock.monotonic() - first_arrival >= straggler_s

        wait_until(take, done, deadline=deadline, clock=self._clock)
        self._progress.say(self._line())

    def _hear_from(self, invocation: Invocation) -> None:
        """Take in the answers to an invocation that have come since the last time."""
        waiting = {host.instance_id: (host, asked) for host, asked in self._at(Asked) if asked.invocation is invocation}
        tasks: Mapping[str, TaskRow] = {}
        looked = self._clock.monotonic()
        try:
            tasks = look_at(invocation)
            arrived = [instance_id for instance_id in waiting if is_final(tasks.get(instance_id))]
        except CloudError:
            arrived = list(waiting)  # reading the results says why
        for instance_id in (waiting.keys() & tasks.keys()).difference(arrived):
            host, asked = waiting[instance_id]
            host.place = replace(asked, silent=looked)
        if arrived:
            results = read_results(invocation)
            for instance_id in arrived:
                host, asked = waiting[instance_id]
                self._hear(host, results[instance_id], asked.silent)
            restarting = sum(_restarts(waiting[instance_id][0].place) for instance_id in arrived)
            if restarting:
                self._progress.say(f"Restarting {count(restarting, 'host')} by exit code")

    def _hear(self, host: Host, result: Result, silent: float) -> None:
        """Take in an answer, which was not there yet at ``silent``, and make the move that follows from it."""
        first = host.cycles == 0
        adopted = isinstance(host.place, Asked) and host.place.adopted
        trailer = host.take_in(result, self._policy.run_id)
        decision = decide(result, trailer, first=first)
        if decision.move is Move.DONE:
            host.conclude(self._policy.run_id, "assessed" if self._policy.mode == "assess" else None, None)
        elif decision.move is Move.RESTART and adopted:
            self._ask_later(host, _NOT_OUR_WORD)
        elif decision.move is Move.FAILED and adopted and decision.failure and decision.failure.kind == "timeout":
            host.place = Ready()  # the earlier controller's time is over, and not ours
        elif decision.move is Move.FAILED:
            host.conclude(self._policy.run_id, "failed", decision.failure)
        elif decision.failure:
            wait_s = trailer.wait_s if trailer and not trailer.replayed else 0
            reason = decision.failure if trailer else _without_words(result, decision.failure)
            self._ask_later(host, reason, since=parse_time(result["finished_at"]), wait_s=wait_s)
        else:
            if trailer and not trailer.again:
                host.asks = 0
            if decision.move is Move.RESTART:
                host.place = Due(silent)
            else:
                self._await_restart(host, parse_time(result["finished_at"]))

    def _ask_later(self, host: Host, reason: Failure, *, since: float | None = None, wait_s: float = 0.0) -> None:
        """Ask again: after a hello of its agent that is younger than ``since`` (the service's clock), when known.

        A host that says itself for how long it waits is not running out of chances.
        """
        if wait_s:
            self._send_away(host, since, reason, pause_s=min(wait_s, _LONGEST_PAUSE_S))
            return
        host.asks += 1
        if host.asks >= _MOST_ASKS:
            host.conclude(self._policy.run_id, "unknown", reason)
        else:
            # Longer each time: whoever is asked too early has one ask less.
            self._send_away(host, since, reason, pause_s=_PAUSE_S * 2 ** (host.asks - 1))

    # --- restarting --------------------------------------------------------------------------------------------

    def _restart(self, due: Sequence[tuple[Host, Due]]) -> None:
        """RebootInstances for those whose fresh word says so, once in a boot of theirs."""
        for api in {id(host.api): host.api for host, _due in due}.values():
            group = [(host, place) for host, place in due if host.api is api]
            seen = glance(api, [host.instance_id for host, _place in group])
            silent = min(place.silent for _host, place in group)
            # In the end the host asks another controller for it too, so this one stops well before.
            left_s = self._policy.settle_s / 2 - (self._clock.monotonic() - silent)
            fresh = Deadline(self._clock, min(left_s, self._deadline.left_s))
            if not self._deadline.passed:  # else they stay due, and the end of time says so
                self._restart_through(api, [host for host, _place in group], seen, fresh)

    def _restart_through(self, api: PatchApi, due: Sequence[Host], seen: Mapping[str, Seen], fresh: Deadline) -> None:
        send: dict[str, Host] = {}
        for host in due:
            if host.rebooted_boot == host.boot_id:
                self._ask_later(host, _still_there(host))
            elif fresh.passed:
                self._ask_later(host, _TOO_OLD)
            else:
                send[host.instance_id] = host
        if send:
            self._progress.say(f"Restarting {count(len(send), 'host')} through the API")
        sent_at = format_time(self._clock.time())
        for instance_id, answer in reboot(api, list(send), deadline=fresh).items():
            host = send[instance_id]
            if answer and answer.kind != "lost":
                failure = Failure(answer.kind, f"It was not restarted. {answer.info}", answer.code)
                host.conclude(self._policy.run_id, "failed", failure)
                continue
            host.rebooted_boot, host.unanswered = host.boot_id, answer
            host.request = host.request and host.request.sent_at(sent_at)
            self._await_restart(host, seen[instance_id].heartbeat if instance_id in seen else None, answer)

    def _await_restart(self, host: Host, since: float | None, answer: Failure | None = None) -> None:
        if host.asks >= _MOST_ASKS:
            host.conclude(self._policy.run_id, "unknown", _still_there(host))
            return
        host.asks += 1
        self._send_away(host, since, answer or _SILENCE)

    def _send_away(self, host: Host, since: float | None, reason: Failure, *, pause_s: float = 0.0) -> None:
        patience = Deadline(self._clock, self._limits.restart_timeout_s)
        host.place = Away(since, self._clock.monotonic(), pause_s, patience, reason)

    def _look_after(self, away: Sequence[tuple[Host, Away]]) -> None:
        """Those who are back become ready; those who are away for too long are given up."""
        seen: dict[str, Seen] = {}
        for api in {id(host.api): host.api for host, _away in away}.values():
            seen |= glance(api, [host.instance_id for host, _away in away if host.api is api])
        now = self._clock.monotonic()
        for host, place in away:
            one = seen.get(host.instance_id)
            if one and place.worth_asking(one, now, self._policy.settle_s):
                host.place = Ready(place.reason.info if place.pause_s else "")
            elif one and one.instance is None and now - place.left >= self._policy.settle_s:
                host.conclude(self._policy.run_id, "failed", _GONE)
            elif place.patience.passed:
                host.conclude(self._policy.run_id, "unknown", place.reason)
            elif one and place.since is None:
                host.place = replace(place, since=one.heartbeat)

    # --- the end -----------------------------------------------------------------------------------------------

    def _end_of_time(self, *places: type[Ready | Asked | Due | Away]) -> None:
        """The batch's time is over: settle those who are in such a place."""
        over = f"The batch's time of {duration(self._limits.timeout_s)} is over."
        for host in self._hosts:
            if isinstance(host.place, places):
                status = "failed" if isinstance(host.place, Due) else "unknown"
                host.conclude(self._policy.run_id, status, Failure("timeout", f"{over} {host.place.unfinished}"))

    def _line(self) -> str:
        """``2 of 4 hosts done (1 failed), 1 working, 1 restarting``."""
        settled = [place.verdict for _host, place in self._at(Settled)]
        bad = Counter(verdict["status"] for verdict in settled if not verdict["ok"])
        notes = f" ({_listed(bad)})" if bad else ""
        places = Counter(host.place.word for host in self._hosts if not isinstance(host.place, Settled))
        done = f"{len(settled)} of {count(len(self._hosts), 'host')} done{notes}"
        return f"{done}, {_listed(places)}{self._why_again()}" if places else done

    def _why_again(self) -> str:
        """Why the first of those who are to be asked again is: it may take a while."""
        for host, place in self._at(Away):
            if place.pause_s:
                return f" ({host.name}: {place.reason.info.split('. ')[0].rstrip('.')})"
        return ""


def _alike(hosts: Iterable[Host]) -> list[list[Host]]:
    """Those that one command can serve."""
    groups: dict[tuple[int, str, str, bool], list[Host]] = defaultdict(list)
    for host in hosts:
        groups[id(host.api), host.platform, host.method, host.event].append(host)
    return list(groups.values())


def _still_there(host: Host) -> Failure:
    """Why nobody knows what has become of a restart. Where RebootInstances was not answered, that is why."""
    if host.unanswered is None:
        return _STILL_THERE
    return replace(
        _STILL_THERE, kind="lost", info=f"{host.unanswered.info} {_STILL_THERE.info}", code=host.unanswered.code
    )


def _without_words(result: Result, failure: Failure) -> Failure:
    """Why a host is asked again that gave no answer. When the API gave it up, more time for the command is no help."""
    if result["failure"] != "timeout":
        return failure
    return replace(failure, info=no_answer_of(result["invoke_id"]))


def _restarts(place: Place) -> bool:
    return isinstance(place, Away) and not place.pause_s


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {word}" for word, number in counts.items())
