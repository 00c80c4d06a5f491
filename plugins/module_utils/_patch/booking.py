# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Booking the hosts of a batch: counting who is unavailable, waiting for other runs, and leasing.

Tags cannot be compared and set. So a run writes its claim, waits until everybody reads it, reads all claims again, and
goes on only if all of them together are within the budget. Of two runs that claim at once, the one that has written
last sees the other, whatever their clocks say; so at most one goes on. Of those in each other's way, the later one
withdraws and waits, and the earlier one keeps its claim and looks again: one of them gets through.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from .._cloud_assistant.submit import CommandApi
from .._instances.describe import Seen, chunks, look_at_agents
from .._progress import Progress
from .._sdk import limits
from .._sdk.errors import CloudError
from .._sdk.shapes import InstanceRow, format_time
from .._waiting import Clock, Deadline, growing_pauses
from .budget import Budget, Group, fitting
from .earlier import at_work
from .groups import look_at_groups
from .lease import PREFIX, Lease, leases_of, of_others
from .leasing import TagApi, release

_LONGEST_PAUSE_S = 30.0
_OTHERS_CLAIM = (
    "Other runs have claimed what the budget (max_unavailable) has left, and the time to wait for them is over. Start "
    "the same command again."
)


class BookingApi(CommandApi, TagApi, Protocol):
    """The calls that booking needs."""


@dataclass
class Booked:
    """What a batch may work on in a region; why not on the others, by instance id; leases that had expired.

    ``new`` are those of ``taken`` that the run has leased now, and not for an earlier start.
    """

    taken: list[str] = field(default_factory=list)
    denied: dict[str, str] = field(default_factory=dict)
    until: float | None = None
    expired: dict[str, list[Lease]] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class View:
    """What was read at one moment: the groups of the wanted instances, names, leases, and what cannot be booked."""

    groups: Mapping[str, Group]
    names: Mapping[str, str]
    leases: Mapping[str, Sequence[Lease]]
    impossible: Mapping[str, str]


class Booking:
    """The booking of one batch in one region, for the run ``owner``.

    ``play`` are the instances of the whole play, ``failed`` those that have failed in it before.
    """

    def __init__(
        self,
        api: BookingApi,
        wanted: Sequence[str],
        *,
        budget: Budget,
        owner: str,
        play: Collection[str],
        failed: Collection[str],
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._api = api
        self._wanted = list(wanted)
        self._budget = budget
        self._owner = owner
        self._play = play
        self._failed = failed
        self._clock = clock
        self._progress = progress
        self._held: dict[str, Lease] = {}
        self._expired: dict[str, list[Lease]] = {}

    def look(self) -> Booked:
        """What :meth:`book` would come to now; changes nothing and waits for nobody."""
        view = self._read()
        taken, denied = fitting(self._possible(view), view.groups, self._leased(view), view.names)
        return Booked(taken, {**view.impossible, **denied})

    def book(self, deadline: Deadline) -> Booked:
        """Claim what may be taken, waiting for other runs until the deadline.

        Raises CloudError, and then nothing is claimed.
        """
        pauses = growing_pauses(longest_s=_LONGEST_PAUSE_S)
        view = self._read()
        self._held = {key: lease for key in self._wanted for lease in self._ours(view, key)}
        while True:
            leased = self._leased(view)
            possible, never = fitting(self._possible(view), _in_the_end(view.groups, leased), {}, view.names)
            taken, denied = fitting(possible, view.groups, leased, view.names)
            if taken and (not denied or deadline.passed):
                until = self._claim(taken, deadline)
                if until is not None:
                    new = [key for key in taken if key not in self._held]
                    return Booked(taken, {**view.impossible, **never, **denied}, until, self._expired, new)
            if deadline.passed or not possible:
                denied = dict.fromkeys(taken, _OTHERS_CLAIM) | denied
                return Booked([], {**view.impossible, **never, **denied}, None, self._expired)
            held = [f"{view.names.get(key, key)} is {why}" for key, why in sorted(leased.items())]
            self._progress.update(f"Waiting for other runs: {'; '.join(held) or 'they claim the same'}")
            self._clock.sleep(min(next(pauses), deadline.left_s))
            view = self._read()

    def _possible(self, view: View) -> list[str]:
        return [instance_id for instance_id in self._wanted if instance_id not in view.impossible]

    # --- claiming ----------------------------------------------------------------------------------------------

    def _claim(self, taken: Sequence[str], deadline: Deadline) -> float | None:
        """Write the claim and see it through; until when it holds, or None when it was withdrawn.

        What this run held before stays leased in any case: it may be at work there for an earlier start.
        """
        now = float(int(self._clock.time()))
        held = {key: lease for key, lease in self._held.items() if key in taken and not lease.expired(now)}
        since = min([now, *(lease.since for lease in held.values() if lease.since is not None)])
        lease = Lease(self._owner, since, now + self._budget.lease_s)
        new = [instance_id for instance_id in taken if instance_id not in held]
        try:
            for chunk in chunks(taken, limits.TAG_IDS):
                self._api.tag_instances(chunk, {lease.key: lease.value})
            while True:
                self._clock.sleep(self._budget.settle_s)
                view = self._read()
                if lease.expired(self._clock.time()) or not all(lease in self._ours(view, key) for key in taken):
                    break
                if self._fits(view, taken, None):
                    self._clean_up(view, taken)
                    return lease.until
                if deadline.passed or not self._fits(view, taken, lease.rank):
                    break
                self._progress.update("Waiting for other runs: they have claimed a little later, and withdraw")
        except BaseException:
            self._withdraw(new, quiet=True)
            raise
        self._withdraw(new)
        return None

    def _fits(self, view: View, taken: Sequence[str], rank: tuple[float, str] | None) -> bool:
        """Whether a claim is within the budget together with all others, or with those before it in rank."""
        known = view.groups.keys() >= set(taken)
        return known and fitting(taken, view.groups, self._leased(view, rank), view.names)[0] == list(taken)

    def _ours(self, view: View, instance_id: str) -> list[Lease]:
        return [lease for lease in view.leases.get(instance_id, ()) if lease.owner == self._owner]

    def _withdraw(self, instance_ids: Sequence[str], *, quiet: bool = False) -> None:
        try:
            release(self._api, instance_ids, self._owner)
        except CloudError:
            if not quiet:
                raise

    def _clean_up(self, view: View, taken: Sequence[str]) -> None:
        """Remove the leases on what was taken whose time is over: their runs have died, or left it to be looked at.

        Nobody else may: their run may be claiming anew, by the same key, and tags cannot be compared and removed. On
        what this run holds, no other run can be at work. Where they cannot be removed they are in nobody's way.
        """
        now = self._clock.time()
        over: dict[str, dict[str, Lease]] = defaultdict(dict)
        for instance_id in taken:
            for lease in view.leases[instance_id]:
                if lease.owner != self._owner and lease.expired(now):
                    over[lease.key][instance_id] = lease
        for key, leases in over.items():
            for chunk in chunks(list(leases), limits.TAG_IDS):
                with suppress(CloudError):
                    self._api.untag_instances(chunk, [key])
                    for instance_id in chunk:
                        self._expired.setdefault(instance_id, []).append(leases[instance_id])

    # --- reading -----------------------------------------------------------------------------------------------

    def _read(self) -> View:
        """The groups of the wanted instances as they are now."""
        rows = look_at_groups(self._api, self._budget, self._wanted, self._play)
        agents = look_at_agents(self._api, list(rows))
        leases = {key: leases_of(row.tags) for key, row in rows.items()}
        members: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for instance_id, row in rows.items():
            members[self._key_of(row)].append(instance_id)
        down = {
            instance_id: why
            for instance_id, row in rows.items()
            if (why := self._why_down(Seen(row, agents.get(instance_id)), instance_id))
        }
        groups = {key: self._group(key, ids, down) for key, ids in members.items()}
        return View(
            groups={key: groups[self._key_of(rows[key])] for key in self._wanted if key in rows},
            names={key: row.name for key, row in rows.items()},
            leases=leases,
            impossible={key: why for key in self._wanted if (why := self._why_impossible(rows.get(key)))},
        )

    def _key_of(self, row: InstanceRow) -> tuple[str, ...]:
        return self._budget.key_of(row.zone_id, row.tags)

    def _group(self, key: tuple[str, ...], ids: Sequence[str], down: Mapping[str, str]) -> Group:
        return Group(
            self._budget.name_of(key),
            frozenset(ids),
            self._budget.most_of(len(ids)),
            {instance_id: down[instance_id] for instance_id in ids if instance_id in down},
        )

    def _why_down(self, seen: Seen, instance_id: str) -> str:
        if seen.instance and seen.instance.status != "Running":
            return seen.instance.status
        if not seen.online:
            return "without its agent online"
        return "failed in this run" if instance_id in self._failed else ""

    def _why_impossible(self, row: InstanceRow | None) -> str:
        if row is None:
            return "It is not there any more."
        lacking = [key for key in self._budget.tag_keys if not row.tags.get(key)]
        if lacking:
            return f"It has no tag {lacking[0]}, by which max_unavailable counts: give it one."
        if len(row.tags) >= limits.INSTANCE_TAGS and PREFIX + self._owner not in row.tags:
            return f"It has {len(row.tags)} tags, the most that it can have, and a lease is another: remove one."
        return ""

    def _leased(self, view: View, rank: tuple[float, str] | None = None) -> dict[str, str]:
        """Instances that somebody is at work on, and who: other runs, or this run before it was started again.

        With ``rank``, of the leases of other runs only those before it.
        """
        now = self._clock.time()
        leased: dict[str, str] = {}
        ours: set[str] = set()
        for key, leases in view.leases.items():
            theirs = [lease for lease in of_others(leases, self._owner, now) if rank is None or lease.rank < rank]
            if theirs:
                leased[key] = str(theirs[0])
            elif key not in self._wanted and self._ours(view, key):
                ours.add(key)
        if ours:
            busy = sorted(ours & at_work(self._api, self._owner, now))
            leased |= dict.fromkeys(busy, "at work for an earlier start of this run")
        return leased


def _in_the_end(groups: Mapping[str, Group], leased: Collection[str]) -> dict[str, Group]:
    """The groups without what somebody is at work on, who may have taken it down and will give it back."""
    return {
        key: replace(group, down={one: why for one, why in group.down.items() if one not in leased})
        for key, group in groups.items()
    }


def book_batch(
    apis: Mapping[str, BookingApi],
    report: Mapping[str, dict[str, Any]],
    *,
    budget: Budget,
    owner: str,
    play: Collection[str],
    failed: Collection[str],
    dry: bool,
    clock: Clock,
    progress: Progress,
) -> list[str]:
    """Book the fit instances of a preflight's report; those that may not be taken become unfit there.

    The regions one after the other in the order of their names, so that no two batches wait for each other. Raises
    CloudError, and then nothing is booked. Returns sentences on leases that had expired and were removed.
    """
    deadline = Deadline(clock, budget.wait_s)
    notes: list[str] = []
    booked: dict[str, list[str]] = {}
    try:
        for region, api in sorted(apis.items()):
            wanted = [key for key, entry in report.items() if entry["region_id"] == region and entry["ok"]]
            if not wanted:
                continue
            booking = Booking(
                api, wanted, budget=budget, owner=owner, play=play, failed=failed, clock=clock, progress=progress
            )
            result = booking.look() if dry else booking.book(deadline)
            booked[region] = result.new
            for key in result.taken:
                report[key]["leased_until"] = format_time(result.until)
            for key, why in result.denied.items():
                report[key] |= {"ok": False, "failure": "budget", "error_info": f"Nothing was done to it. {why}"}
            notes += [
                f"{key} was still {lease}, which is over; the lease was removed."
                for key, leases in result.expired.items()
                for lease in leases
            ]
    except CloudError:
        for region, ids in booked.items():
            with suppress(CloudError):
                release(apis[region], ids, owner)
        raise
    return notes
