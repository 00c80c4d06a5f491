# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What a module returns of many instances, and what it says when some of them failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .failure import Failure


def fate(failure: Failure | None) -> dict[str, Any]:
    """How it went on an instance, in the words of every module's results."""
    return {
        "ok": failure is None,
        "failure": failure.kind if failure else None,
        "error_code": (failure.code or None) if failure else None,
        "error_info": failure.info if failure else None,
    }


def summarize(results: Mapping[str, dict[str, Any]], order: Iterable[str]) -> dict[str, Any]:
    """``instances``, ``succeeded_ids`` and ``failed_ids`` in the order in which the instances were asked for.

    Not ``failed``: that key is Ansible's own, and a list in it fails the task.
    """
    instances = {instance_id: results[instance_id] for instance_id in order}
    return {
        "instances": instances,
        "succeeded_ids": [instance_id for instance_id, result in instances.items() if result["ok"]],
        "failed_ids": [instance_id for instance_id, result in instances.items() if result["ok"] is False],
    }


def failure_sentence(results: Mapping[str, dict[str, Any]], what: str) -> str | None:
    """One sentence for a task that failed on some instances; None when it failed on none."""
    failed = {instance_id: result for instance_id, result in results.items() if result["ok"] is False}
    if not failed:
        return None
    shown = "; ".join(f"{instance_id}: {result['error_info']}" for instance_id, result in list(failed.items())[:3])
    more = f" … and {len(failed) - 3} more" if len(failed) > 3 else ""
    return f"{what} failed on {len(failed)} of {len(results)} instances. {shown}{more}"
