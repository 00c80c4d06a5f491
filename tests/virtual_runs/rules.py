# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the collection, each of which can be taken out: then the rollouts have to show that it is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

from ansible_collections.cloudops.alibaba.plugins.module_utils._patch import delivery, run, stop, trailer
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.batch import Batch
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.host import Away, Due, Host, Settled
from ansible_collections.cloudops.alibaba.plugins.module_utils._restart import receipts
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk import retry
from ansible_collections.cloudops.alibaba.plugins.module_utils._waiting import Deadline


def _fresh_word() -> Any:
    """RebootInstances is sent within half the settle time of the host's word."""
    original = Batch._restart
    return mock.patch.object(
        Batch,
        "_restart",
        lambda self, due: original(self, [(host, replace(place, silent=float("inf"))) for host, place in due]),
    )


def _once_in_a_boot() -> Any:
    """RebootInstances is sent once in a boot, and a host that is away is not asked for another."""
    original = Batch._restart_through

    def again(self: Batch, api: Any, due: Any, seen: Any, fresh: Deadline) -> None:
        for host in due:
            host.rebooted_boot = ""
        original(self, api, due, seen, fresh)

    return mock.patch.object(Batch, "_restart_through", again)


def _lost_answer() -> Any:
    """A RebootInstances whose answer was lost is not sent again."""
    original = retry.may_repeat
    return mock.patch.object(retry, "may_repeat", lambda error, harmless: original(error, harmless=True))


def _silence() -> Any:
    """Silence restarts nobody."""
    original = Batch._look_after

    def escalate(self: Batch, away: Any) -> None:
        original(self, away)
        for host, place in away:
            if (
                isinstance(place, Away)
                and isinstance(host.place, Settled)
                and host.place.verdict["status"] == "unknown"
            ):
                host.place = Due(self._clock.monotonic())

    return mock.patch.object(Batch, "_look_after", escalate)


def _unknown() -> Any:
    """Unknown is not done."""
    original = Host.conclude

    def conclude(self: Host, run_id: str, status: str | None, failure: Any) -> None:
        if status == "unknown":
            status = failure = None
        original(self, run_id, status, failure)

    return mock.patch.object(Host, "conclude", conclude)


def _boot_id() -> Any:
    """Only another boot id proves a restart."""
    return mock.patch.object(receipts, "is_new_boot", lambda before, after: True if before and after else None)


def _settle_time() -> Any:
    """A host that has asked for a restart lately does not ask again."""
    return _request(settle_s=0)


def _not_after() -> Any:
    """The host begins nothing after the end of the batch's time."""
    return _request(not_after=2_000_000_000)


def _request(**other: Any) -> Any:
    """The host is sent another value."""
    original = delivery._lines
    return mock.patch.object(
        delivery, "_lines", lambda values: original(values | other if "not_after" in values else values)
    )


def _rerun() -> Any:
    """A step that was interrupted begins again only with a guard, or with rerun."""
    original = delivery._step_files
    return mock.patch.object(
        delivery, "_step_files", lambda folder, step, how: original(folder, replace(step, rerun=True), how)
    )


def _budget() -> Any:
    """No batch starts when more hosts have failed than may."""
    return mock.patch.object(stop, "_too_many", lambda most, failed: None)


def _deadline() -> Any:
    """No batch starts that cannot end before the deadline."""
    return mock.patch.object(stop, "_too_late", lambda deadline, now, batch_s: None)


def _after_batch() -> Any:
    """A run stops after the batch that it was to stop after."""
    original = run.read_conditions
    return mock.patch.object(run, "read_conditions", lambda given: original({**given, "after_batch": None}))


def _damaged() -> Any:
    """A damaged trailer tells nothing."""
    original = trailer.read_trailer

    def read(output: str, run_id: str) -> Any:
        lines = output.rstrip("\n").splitlines()
        if lines and " state=" not in lines[-1] and lines[-1].startswith("cloudops.alibaba/1 "):
            text = lines[-1].rpartition(" cksum=")[0].replace(" stale=", " state=done stale=", 1)
            return original(f"{text} cksum={trailer.cksum(text.encode())}", run_id)
        return original(output, run_id)

    return mock.patch("ansible_collections.cloudops.alibaba.plugins.module_utils._patch.host.read_trailer", read)


RULES: dict[str, Callable[[], Any]] = {
    function.__name__.strip("_"): function
    for function in (
        _fresh_word,
        _once_in_a_boot,
        _lost_answer,
        _silence,
        _unknown,
        _boot_id,
        _settle_time,
        _not_after,
        _rerun,
        _budget,
        _deadline,
        _after_batch,
        _damaged,
    )
}


@contextmanager
def without(rule: str | None) -> Iterator[None]:
    """The collection without a rule."""
    if rule is None:
        yield
        return
    with RULES[rule]():
        yield
