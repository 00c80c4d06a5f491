# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold of a rollout, besides what `random_runs.invariants` asks of each host. Pure functions again.

They reckon by themselves whether a batch may start, and know nothing of how the collection does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import BadInput
from random_runs import invariants
from random_runs.history import History, Restart, seconds
from random_runs.invariants import Found, Violation

from .plan import SETTLE_S, Plan
from .run import Outcome

NOT_STARTED = "batches that must not start, or must"
TWO_METHODS = "two methods in one boot"
STALE_WORD = "restarts without a fresh word of the host"
LATE = "work after the end of the time"
WRONG_VERDICT = "wrong verdicts"
# A look at the results may take so long to come by, after four tries of the agent, and a request to be let through.
_REPORT_S = SETTLE_S / 4
# Codes of requests: done, without an answer, and with an error after which nobody knows.
_MAY_HAVE_HAD_AN_EFFECT = ("200", "", "InternalError", "ServiceUnavailable")
# How the host takes its time in whole seconds, and the agent's shutdown(8) comes after its report.
_ROUNDING_S = 2


def violations(outcome: Outcome) -> list[Violation]:
    """All that is wrong with a rollout."""
    found = [
        Violation(promise, host, what)
        for host, history in outcome.histories.items()
        for promise, invariant in _OF_HOSTS
        for what in invariant(history)
    ]
    for promise, invariant in INVARIANTS:
        found += [Violation(promise, host, what) for host, what in invariant(outcome)]
    return found


Told = Iterator[tuple[str, str]]


def batches_start_as_they_may(outcome: Outcome) -> Told:
    """A batch starts if and only if no condition to stop holds; a batch that does not start is not even looked at."""
    for batch in outcome.batches:
        expected = stop_of(outcome, batch.number, batch.failed, batch.at)
        if batch.stop != expected:
            yield f"batch {batch.number}", f"stop is {batch.stop}, and should be {expected}: {batch}"
        if batch.stop and batch.requests:
            yield f"batch {batch.number}", f"stopped for {batch.stop}, and sent {batch.requests} requests"


def stop_of(outcome: Outcome, number: int, failed: tuple[str, ...], at: float) -> str | None:
    """The kind of the stop before a batch, reckoned from the plan."""
    plan = outcome.plan
    if plan.after_batch is not None and number > plan.after_batch:
        return "after_batch"
    if plan.max_errors is not None:
        budget = plan.max_errors if isinstance(plan.max_errors, dict) else {"all": plan.max_errors}
        spent = Counter(blame if blame in budget else "all" for blame in failed)
        for blame, allowed in budget.items():
            most = len(plan.hosts) * int(allowed[:-1]) // 100 if isinstance(allowed, str) else allowed
            if spent[blame] > most:
                return "errors"
    if outcome.deadline is not None and at + plan.timeout_s > outcome.deadline:
        return "deadline"
    return None


def nobody_else_is_disturbed(outcome: Outcome) -> Told:
    """A host of which no batch has started has no command, no restart and no verdict."""
    started = {name for batch in outcome.batches if not batch.stop for name in batch.hosts}
    for name, history in outcome.histories.items():
        if name in started:
            continue
        touched = [line for line in history.lines if line.get("action") in ("RunCommand", "RebootInstances")]
        if touched or history.words or history.verdicts:
            yield name, f"its batch has not started, and it has {touched or history.words or history.verdicts}"


def restarts_follow_a_fresh_word(outcome: Outcome) -> Told:
    """RebootInstances is sent only for a host that has said so in this boot, lately, and by no other method.

    Between the host's word and the request the host may have lost its power: nobody can know.
    """
    for name, history in outcome.histories.items():
        boots = [seconds(line["time"]) for line in history.lines if line.get("event") == "boot"]
        used: Counter[float] = Counter()
        for line in history.lines:
            if line.get("action") != "RebootInstances" or line["code"] not in _MAY_HAVE_HAD_AN_EFFECT:
                continue
            at = seconds(line["time"])
            words = [word for word in history.words if word.text.startswith("state restart: ") and word.at <= at]
            if not words:
                yield name, f"RebootInstances at {line['time']}, and it had never asked for a restart"
                continue
            since = at - words[-1].at
            if since > SETTLE_S / 2 + _REPORT_S:
                yield name, f"RebootInstances at {line['time']}, {since:.1f} s after its word"
            used[words[-1].at] += 1
            if used[words[-1].at] > 1:
                yield name, f"RebootInstances at {line['time']}, for a word that has had one"
        yield from _two_methods(name, history, boots)
        yield from _twice_in_a_boot(outcome, name, history, boots)


def _two_methods(name: str, history: History, boots: list[float]) -> Told:
    """In one boot restarts are carried out by exit code or through the API, and not by both."""
    methods: dict[int, set[str]] = {}
    for line in history.lines:
        by_exit_code = line.get("event") == "command_end" and line.get("exit_code") == 194
        by_api = line.get("action") == "RebootInstances" and line["code"] == "200"
        if by_exit_code or by_api:
            boot = sum(at <= seconds(line["time"]) for at in boots)
            methods.setdefault(boot, set()).add("exit_code" if by_exit_code else "api")
    for boot, used in methods.items():
        if len(used) > 1:
            yield name, f"in boot {boot} there were restarts by both methods"


def _twice_in_a_boot(outcome: Outcome, name: str, history: History, boots: list[float]) -> Told:
    """A controller sends RebootInstances once in a boot: the first one may still take effect."""
    starts = [(batch.at, batch.controller) for batch in outcome.batches]
    sent: set[tuple[int, int]] = set()
    for line in history.lines:
        if line.get("action") == "RebootInstances" and line["code"] in _MAY_HAVE_HAD_AN_EFFECT:
            at = seconds(line["time"])
            controller = max((start for start in starts if start[0] <= at), default=(0.0, 0))[1]
            key = controller, sum(boot <= at for boot in boots)
            if key in sent:
                yield name, f"controller {controller} sent RebootInstances a second time in boot {key[1]}"
            sent.add(key)


def nothing_begins_late(outcome: Outcome) -> Told:
    """After the run's deadline, and after the time of every batch that it was in, a host begins nothing."""
    for name, history in outcome.histories.items():
        ends = [
            min(batch.began + outcome.plan.timeout_s, outcome.deadline or float("inf"))
            for batch in outcome.batches
            if name in batch.hosts and not batch.stop
        ]
        last = max(ends, default=0.0) + _ROUNDING_S
        for word in history.words:
            if word.at > last and re.search(r"attempt \d+ starts", word.text):
                yield name, f"{word.text} {word.at - last:.1f} s after the end of its time"
        for line in history.lines:
            at = seconds(line["time"])
            restarts = line.get("action") == "RebootInstances" or line.get("exit_code") == 194
            if at > last and restarts:
                yield name, f"{line.get('action') or 'exit code 194'} {at - last:.1f} s after the end of its time"


def verdicts_are_right(outcome: Outcome) -> Told:
    """What a verdict says has happened has happened; and where nothing goes wrong all is well."""
    for name, history in outcome.histories.items():
        for verdict in history.verdicts:
            content = verdict.content
            yield from ((name, what) for what in _wrong(content, history, verdict.at))
            if outcome.plan.calm and not content["ok"] and not _may_fail(outcome.plan, content):
                yield name, f"nothing went wrong, and it is {content['status']}: {content['error_info']}"


def _wrong(content: Mapping[str, Any], history: History, at: float) -> Found:
    if content["ok"] and content["failure"]:
        yield f"it is well, and has the failure {content['failure']}"
    if content["status"] == "restarted" and not content["restarted"]:
        yield "its status is restarted, and it has no receipt"
    failed = re.search(r"step (\S+) failed \(exit status (\d+)", content["error_info"] or "")
    # Who is killed right after its start, with 137, has not written anything.
    if failed and failed[2] != "137":
        attempts = [note for note in history.notes if note.step == failed[1] and note.at <= at]
        if all(note.word == "end" for note in attempts):
            yield f"it says that step {failed[1]} failed, and it has not"
    for receipt in content["receipts"]:
        if receipt["verdict"] == "not_restarted" and _restarted_before(history, receipt["boot_id_before"], at):
            yield f"it says that boot {receipt['boot_id_before']} was not restarted, and it was before that was said"


def _restarted_before(history: History, boot_id: str, at: float) -> bool:
    """Whether a boot was over, by anybody's doing, some time before the host's last word can have been on its way."""
    return any(
        history.boots[restart.boot] == boot_id and restart.at + SETTLE_S < at and _heard_since(history, restart, at)
        for restart in history.restarts
    )


def _heard_since(history: History, restart: Restart, at: float) -> bool:
    return any(restart.at < word.at < at - SETTLE_S for word in history.words)


def _may_fail(plan: Plan, content: Mapping[str, Any]) -> bool:
    """Where nothing goes wrong, time and restarts may still run out."""
    return content["failure"] == "timeout" or "another restart is required" in content["error_info"]


def every_host_of_a_batch_has_a_verdict(outcome: Outcome) -> Told:
    """A controller that comes to the end of a batch says a word on each host."""
    ended = Counter(name for batch in outcome.batches if not batch.stop for name in batch.hosts)
    for error in outcome.refused:
        if isinstance(error, BadInput) or outcome.plan.calm:
            yield "the run", f"it was refused: {error}"
    for name, history in outcome.histories.items():
        deaths = len(outcome.deaths)
        if len(history.verdicts) < ended[name] - deaths - len(outcome.refused):
            yield name, f"{ended[name]} batches, {deaths} controllers died, and {len(history.verdicts)} verdicts"


def settled_hosts_stay_as_they_are(history: History) -> Found:
    """Once a verdict other than unknown is given, nothing happens until the host is asked again."""
    asked = [seconds(line["time"]) for line in history.lines if line.get("action") == "RunCommand"]
    for verdict in history.verdicts:
        if verdict.content["status"] == "unknown" or _others_may_be_at_work(verdict.content):
            continue
        until = min((at for at in asked if at > verdict.at), default=float("inf"))
        for word in history.words:
            if verdict.at < word.at < until and "state" not in word.text:
                yield f"after the verdict {verdict.content['status']}, {word.at - verdict.at:.1f} s: {word.text}"
        for restart in history.restarts:
            if restart.ours and verdict.at < restart.at < until:
                yield f"restarted {restart.at - verdict.at:.1f} s after the verdict {verdict.content['status']}"


def requests_keep_the_settle_time(history: History) -> Found:
    """A host asks again for a restart in the same boot only when the one that it has asked for must have come."""
    words = [word for word in history.words if word.text.startswith("state restart: ")]
    for before, word in pairwise(words):
        if before.boot == word.boot and word.at - before.at < SETTLE_S - _ROUNDING_S:
            yield f"{word.run_id} asked for a restart again {word.at - before.at:.1f} s later, in boot {word.boot}"


def restarts_have_receipts(history: History) -> Found:
    """As in `random_runs`; of a host of which nothing was heard, or nothing to the end, nobody has all receipts."""
    asked = max((seconds(line["time"]) for line in history.lines if line.get("action") == "RunCommand"), default=0.0)
    heard = [verdict.content["steps"] and verdict.at > asked for verdict in history.last_verdicts.values()]
    if heard and all(heard):
        yield from invariants.restarts_have_receipts(history)


def _others_may_be_at_work(content: Mapping[str, Any]) -> bool:
    """Commands of a controller that died may still be on the host, with times of their own."""
    return content["failure"] in ("agent", "lost", "instance", "timeout", "not_delivered")


_REPLACED = (invariants.nothing_after_the_verdict, invariants.restarts_have_receipts)
_OF_HOSTS: tuple[tuple[str, Callable[[History], Found]], ...] = (
    *(pair for pair in invariants.INVARIANTS if pair[1] not in _REPLACED),
    (invariants.DOUBLE_RESTART, restarts_have_receipts),
    (invariants.AFTER_VERDICT, settled_hosts_stay_as_they_are),
    (invariants.DOUBLE_RESTART, requests_keep_the_settle_time),
)
INVARIANTS: tuple[tuple[str, Callable[[Outcome], Told]], ...] = (
    (NOT_STARTED, batches_start_as_they_may),
    (NOT_STARTED, nobody_else_is_disturbed),
    (STALE_WORD, restarts_follow_a_fresh_word),
    (LATE, nothing_begins_late),
    (WRONG_VERDICT, verdicts_are_right),
    (WRONG_VERDICT, every_host_of_a_batch_has_a_verdict),
)
PROMISES = tuple(dict.fromkeys(promise for promise, _invariant in (*_OF_HOSTS, *INVARIANTS)))
