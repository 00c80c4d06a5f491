# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Whether a run goes on to its next batch. Pure functions: what has failed goes in, a reason to stop comes out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from .._progress import count, duration
from .._sdk.errors import BadInput
from .blames import BLAMES

ALL = "all"
"""In a budget by blame, the hosts that failed for whatever has no number of its own."""

STOP_SPEC: dict[str, dict[str, Any]] = {
    "failed": {"type": "list", "elements": "str", "default": []},
    "hosts": {"type": "int"},
    "max_errors": {"type": "raw"},
    "deadline": {"type": "str"},
    "batch_s": {"type": "int"},
    "after_batch": {"type": "int"},
}


@dataclass(frozen=True)
class Stop:
    """Why no further batch starts; ``kind`` is errors, deadline or after_batch."""

    kind: str
    reason: str


@dataclass(frozen=True)
class Conditions:
    """When a run stops, as it was asked for.

    ``most_errors`` holds numbers of hosts by blame; without ``all`` in it there is no limit (plain Ansible decides).
    ``deadline`` is in seconds since the epoch.
    """

    most_errors: Mapping[str, int]
    deadline: float | None
    after_batch: int | None


def read_conditions(stop: Mapping[str, Any]) -> Conditions:
    """From the option ``stop`` of ecs_patch_info; raises :class:`BadInput`, in the words of who uses the role."""
    after = stop.get("after_batch")
    if after is not None and after < 1:
        raise BadInput(f"patch_hosts_stop_after_batch is {after}; batches are numbered from 1 on.")
    return Conditions(
        most_errors=_read_errors(stop.get("max_errors"), stop.get("hosts") or 0),
        deadline=_read_deadline(stop.get("deadline")),
        after_batch=after,
    )


def stop_before(conditions: Conditions, batch: int, failed: Sequence[str], *, now: float, batch_s: int) -> Stop | None:
    """Why the batch with this number does not start, or None.

    ``failed`` has the blame of each host that has failed in the run; ``batch_s`` is what a batch may take. A run that
    has come to no batch yet, and has hosts that failed, was refused with them.
    """
    if conditions.after_batch is not None and batch > conditions.after_batch:
        return Stop("after_batch", f"it was to stop after batch {conditions.after_batch}")
    why = _too_many(conditions.most_errors, failed)
    if why and batch == 1:
        return replace(why, reason="its first hosts were refused, for the reason in their rows")
    return why or _too_late(conditions.deadline, now, batch_s)


def _too_many(most: Mapping[str, int], failed: Sequence[str]) -> Stop | None:
    if ALL not in most:
        return None
    counted = Counter(blame if blame in most else ALL for blame in failed)
    over = [
        f"{count(number, 'host')} failed{_by(blame, failed, most)}, and {_at_most(most[blame])} may"
        for blame, number in sorted(counted.items())
        if number > most[blame]
    ]
    return Stop("errors", "; ".join(over)) if over else None


def _by(blame: str, failed: Sequence[str], most: Mapping[str, int]) -> str:
    blames = sorted({one for one in failed if one not in most}) if blame == ALL else [blame]
    return f" ({', '.join(blames)})"


def _at_most(number: int) -> str:
    return f"at most {number}" if number else "none"


def _too_late(deadline: float | None, now: float, batch_s: int) -> Stop | None:
    if deadline is None or now + batch_s <= deadline:
        return None
    at = datetime.fromtimestamp(deadline, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    left = f"is {duration(int(deadline - now))} away" if deadline > now else "is over"
    return Stop("deadline", f"the deadline {at} {left}, and a batch may take {duration(batch_s)}")


def _read_errors(value: Any, hosts: int) -> dict[str, int]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return {ALL: _number(value, hosts, "patch_hosts_max_errors")}
    for blame in value:
        if blame not in (ALL, *BLAMES):
            raise BadInput(
                f"patch_hosts_max_errors: {blame!r} is nobody's blame. Give {ALL}, or one of {', '.join(BLAMES)}."
            )
    return {ALL: 0} | {
        blame: _number(number, hosts, f"patch_hosts_max_errors.{blame}") for blame, number in value.items()
    }


def _number(value: Any, hosts: int, what: str) -> int:
    """A number of hosts, or a percentage of them, floored."""
    found = re.fullmatch(r"([0-9]+)(%?)", str(value).strip())
    if found is None or (found[2] and int(found[1]) > 100):
        raise BadInput(f"{what} is {value!r}; give a number of hosts, or a percentage such as 10%.")
    return int(found[1]) * hosts // 100 if found[2] else int(found[1])


def _read_deadline(value: Any) -> float | None:
    if value in (None, ""):
        return None
    try:
        # Python 3.11 reads Z too; a time without a zone would mean something else on each controller.
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        moment = datetime.min
    if moment.utcoffset() is None:
        example = datetime.now(timezone(timedelta(hours=8))).replace(minute=0, second=0, microsecond=0)
        raise BadInput(f"patch_hosts_deadline is {value!r}; give date, time and zone, such as {example.isoformat()}.")
    return moment.timestamp()
