# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What the module ecs_reboot does: check, restart, shape the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._cloud_assistant.fitness import unfitness
from .._instances.describe import look
from .._instances.ids import check_ecs_ids
from .._instances.outcome import failure_sentence, refuse_unknown, summarize
from .._progress import Progress
from .._sdk.errors import BadInput
from .._waiting import Clock
from .reboot import RebootApi, platform_of, reboot_and_prove, result_of_receipt
from .receipts import not_asked


def reboot_instances(
    connect: Callable[[], RebootApi],
    instance_ids: list[str],
    *,
    force: bool,
    timeout_s: int,
    dry: bool,
    fail: bool,
    clock: Clock,
    progress: Progress,
) -> dict[str, Any]:
    """Restart instances and prove it; with ``dry``, only say which are unfit."""
    check_ecs_ids(instance_ids, "RebootInstances has no power over it: let a command restart it from inside.")
    if timeout_s < 1:
        raise BadInput("timeout must be at least 1 second.")
    api = connect()
    if dry:
        seen = look(api, instance_ids)
        if fail:
            there = {key for key, one in seen.items() if one.instance}
            refuse_unknown(there, instance_ids, api.region_id)
        found = {key: unfitness(one, platform_of(one.instance), api.region_id) for key, one in seen.items()}
        # A forced restart is for instances that do not answer, too.
        unfit = {key: failure for key, failure in found.items() if failure and not (force and failure.kind == "agent")}
        untouched = not_asked(None, "RebootInstances is not sent in check mode")
        results = {key: result_of_receipt(api.region_id, untouched, unfit.get(key)) for key in instance_ids}
        for key in results.keys() - unfit.keys():
            results[key]["ok"] = None
        changed = len(unfit) < len(instance_ids)
    else:
        results = reboot_and_prove(
            api, instance_ids, force=force, strict=fail, timeout_s=timeout_s, clock=clock, progress=progress
        )
        changed = any(result["receipt"]["method"] != "none" for result in results.values())
    outcome = summarize(results, instance_ids) | {"changed": changed}
    sentence = failure_sentence(results, "The restart")
    return outcome | ({"failed": True, "msg": sentence} if sentence and fail else {})
