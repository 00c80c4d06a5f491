# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""The verdict on a host: what the role shows, counts and writes into the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._instances.failure import Failure
from .blames import blame_of
from .requests import Request
from .trailer import Trailer

# Through the role nothing bigger is registered per host: AWX drops results over 700 kB.
OUTPUT_CHARACTERS = 2000


def verdict_of(
    *,
    name: str,
    instance_id: str,
    region_id: str,
    run_id: str,
    status: str | None,
    failure: Failure | None,
    trailer: Trailer | None = None,
    open_request: Request | None = None,
    cycles: int = 0,
    invoke_ids: Sequence[str] = (),
    started_at: str | None = None,
    finished_at: str | None = None,
    log: str = "",
    output: str = "",
) -> dict[str, Any]:
    """The verdict. ``status`` None lets the host's own words decide between restarted, patched and unchanged.

    The host's receipts prove its restarts; one that is only asked for has a receipt that says so.
    """
    receipts = [receipt.as_dict() for receipt in trailer.restarts] if trailer else []
    if open_request:
        receipts.append(open_request.receipt().as_dict())
    restarted = any(receipt["verdict"] == "restarted" for receipt in receipts)
    changed = restarted or bool(trailer and trailer.changed)
    if status is None:
        status = "restarted" if restarted else "patched" if changed else "unchanged"
    return {
        "name": name,
        "instance_id": instance_id,
        "region_id": region_id,
        "run_id": run_id,
        "status": status,
        "ok": failure is None,
        "changed": changed,
        "failure": failure.kind if failure else None,
        "blame": blame_of(failure, asked=cycles > 0),
        "error_code": (failure.code or None) if failure else None,
        "error_info": failure.info if failure else None,
        "steps": trailer.steps if trailer else {},
        "packages": list(trailer.packages) if trailer else [],
        "packages_count": trailer.packages_count if trailer else 0,
        "restarted": restarted,
        "receipts": receipts,
        "differences": list(trailer.differences) if trailer else [],
        "restart_evidence": trailer.evidence if trailer else "unknown",
        "restart_stale": (trailer.stale or None) if trailer else None,
        "restart_expected": (trailer.expected or None) if trailer else None,
        "restart_expected_reason": (trailer.expected_reason or None) if trailer else None,
        "started_at": started_at,
        "finished_at": finished_at,
        "cycles": cycles,
        "invoke_ids": list(invoke_ids),
        "log": log or None,
        "output": output[-OUTPUT_CHARACTERS:],
    }
