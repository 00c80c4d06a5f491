# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What a module returns of many instances, and what it says when some of them failed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from .._sdk.errors import BadInput
from .failure import Failure, no_such_instance

# How many instances a sentence names.
_NAMED = 3


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
    failed = {instance_id: result["error_info"] for instance_id, result in results.items() if result["ok"] is False}
    if not failed:
        return None
    return f"{what} failed on {len(failed)} of {len(results)} instances. {_listed(failed)}"


def refuse_mistakes(failures: Mapping[str, Failure], total: int) -> None:
    """Raise :class:`BadInput` when instances were named that cannot take part.

    For who wants a task to fail with its instances it fails before anything is done, rather than in the middle.
    """
    mistakes = {instance_id: failure.info for instance_id, failure in failures.items() if failure.mistaken}
    if mistakes:
        raise BadInput(
            f"Nothing was done, because {len(mistakes)} of {total} instances cannot take part. {_listed(mistakes)} "
            "Leave them out, or go on without them with fail_on_instance_failure: false."
        )


def refuse_unknown(found: Collection[str], instance_ids: Sequence[str], region_id: str) -> None:
    """The same for ids that the region does not have."""
    missing = {instance_id: no_such_instance(region_id) for instance_id in instance_ids if instance_id not in found}
    refuse_mistakes(missing, len(instance_ids))


def _listed(infos: Mapping[str, str]) -> str:
    """The first instances, each with what there is to say of it, as one sentence."""
    shown = [f"{instance_id}: {info.rstrip('.')}" for instance_id, info in list(infos.items())[:_NAMED]]
    more = [f"… and {len(infos) - _NAMED} more"] if len(infos) > _NAMED else []
    return "; ".join([*shown, *more]) + "."
