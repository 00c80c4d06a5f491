# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Restarting instances through the API: once, each for itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .._sdk import limits
from .._sdk.errors import CloudError, advice, clean_message
from .._sdk.shapes import PowerRow
from .._waiting import Deadline
from .describe import chunks
from .failure import Failure, failure_of


class PowerApi(Protocol):
    """The call that a restart needs; :class:`~.._sdk.ecs.Ecs` has it."""

    def reboot_instances(self, instance_ids: Sequence[str], *, force: bool, within_s: float) -> list[PowerRow]: ...


def reboot(
    api: PowerApi, instance_ids: Sequence[str], *, deadline: Deadline, force: bool = False
) -> dict[str, Failure | None]:
    """Ask for a restart of each instance once; None where it was accepted. Nothing is sent after ``deadline``.

    A failure of kind ``lost`` means that the answer was lost: the restart may or may not have been accepted, and
    must not be asked for again before the instance has been looked into.
    """
    answers: dict[str, Failure | None] = {}
    for chunk in chunks(instance_ids, limits.REBOOT_IDS):
        if deadline.passed:
            answers |= dict.fromkeys(chunk, Failure("timeout", "There was no time left to send RebootInstances."))
            continue
        try:
            sent = api.reboot_instances(chunk, force=force, within_s=deadline.left_s)
            rows = {row.instance_id: row for row in sent}
        except CloudError as error:
            answers |= dict.fromkeys(chunk, failure_of(error, refused="instance"))
            continue
        for instance_id in chunk:
            row = rows.get(instance_id)
            if row is None:
                answers[instance_id] = Failure("lost", "RebootInstances did not mention this instance in its answer.")
            else:
                answers[instance_id] = None if row.accepted else _refusal(row)
    return answers


def _refusal(row: PowerRow) -> Failure:
    reason = f"RebootInstances refused this instance: {clean_message(row.message)} (code {row.code})."
    return Failure("instance", f"{reason} {advice(row.code)}".strip(), row.code)
