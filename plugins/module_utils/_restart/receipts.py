# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Receipts: the evidence that a restart happened, did not happen, or that nobody knows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .._sdk.shapes import parse_time

BOOT_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# Windows has no boot id; what tells its boots apart is LastBootUpTime, in UTC.
BOOT_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,7})?Z")
# It is the clock minus the time since the boot, so that it moves a little when the clock is set right. No restart of
# Windows is as quick as this.
_CLOCK_MOVES_S = 10


@dataclass(frozen=True)
class Receipt:
    """What is known about one restart.

    The boot ids are LastBootUpTime on Windows.
    ``verdict`` is restarted, not_restarted or unknown; ``method`` is exit_code, api or none; the times are ISO 8601
    in UTC. Status ``Running`` alone proves nothing: only two different boot ids do.
    """

    verdict: str
    method: str
    boot_id_before: str | None
    boot_id_after: str | None
    requested_at: str | None
    proven_at: str | None
    evidence: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"evidence": list(self.evidence)}


def is_new_boot(before: str | None, after: str | None) -> bool | None:
    """Whether two boot ids, or two boot times, are those of two boots; None when they do not tell."""
    if not before or not after:
        return None
    if BOOT_ID.fullmatch(before) and BOOT_ID.fullmatch(after):
        return before != after
    times = [_seconds(text) if BOOT_TIME.fullmatch(text) else None for text in (before, after)]
    if times[0] is None or times[1] is None:
        return None
    # An earlier one comes of a clock that was set back.
    return times[1] - times[0] > _CLOCK_MOVES_S


def _seconds(boot_time: str) -> float | None:
    """A boot time without its fractions, as seconds since the epoch."""
    return parse_time(f"{boot_time[:19]}Z")


def judge(
    *,
    method: str,
    before: str | None,
    after: str | None,
    requested_at: str | None,
    proven_at: str | None,
    evidence: Sequence[str] = (),
) -> Receipt:
    """The receipt for what was seen. An id that does not look like one counts as not seen."""
    before, after = _seen(before), _seen(after)
    new = is_new_boot(before, after)
    if new is None:
        verdict, reason = "unknown", "the boot id was not seen both before and after"
    elif new:
        verdict, reason = "restarted", f"the {_name(after)} changed from {before} to {after}"
    else:
        verdict, reason = "not_restarted", f"the {_name(after)} is still {after}"
    return Receipt(
        verdict=verdict,
        method=method,
        boot_id_before=before,
        boot_id_after=after,
        requested_at=requested_at,
        proven_at=proven_at if verdict == "restarted" else None,
        evidence=(reason, *evidence),
    )


def not_asked(before: str | None, reason: str) -> Receipt:
    """The receipt where a restart was certainly not asked for, or was refused: then there was none of ours."""
    return Receipt(
        verdict="not_restarted",
        method="none",
        boot_id_before=_seen(before),
        boot_id_after=None,
        requested_at=None,
        proven_at=None,
        evidence=(reason,),
    )


def _seen(boot_id: str | None) -> str | None:
    """What does not look like a boot id or a boot time counts as not seen."""
    return boot_id if boot_id and (BOOT_ID.fullmatch(boot_id) or BOOT_TIME.fullmatch(boot_id)) else None


def _name(boot_id: str | None) -> str:
    return "boot time" if boot_id and BOOT_TIME.fullmatch(boot_id) else "boot id"
