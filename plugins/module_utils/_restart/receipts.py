# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Receipts: the evidence that a restart happened, did not happen, or that nobody knows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

BOOT_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Receipt:
    """What is known about one restart.

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
    before = before if before and BOOT_ID.fullmatch(before) else None
    after = after if after and BOOT_ID.fullmatch(after) else None
    if before is None or after is None:
        verdict, reason = "unknown", "the boot id was not seen both before and after"
    elif before == after:
        verdict, reason = "not_restarted", f"the boot id is still {before}"
    else:
        verdict, reason = "restarted", f"the boot id changed from {before} to {after}"
    return Receipt(
        verdict=verdict,
        method=method,
        boot_id_before=before,
        boot_id_after=after,
        requested_at=requested_at,
        proven_at=proven_at if verdict == "restarted" else None,
        evidence=(reason, *evidence),
    )
