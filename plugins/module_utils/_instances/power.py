# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Asking for something about the power of instances: once, each for itself.

None of these calls has a client token. One whose answer was lost is not made again: whether it took effect is unknown
until the instance has been looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from .._sdk import limits
from .._sdk.errors import CloudError, advice, clean_message
from .._sdk.shapes import PowerRow
from .._waiting import Deadline
from .describe import chunks
from .failure import Failure, blames_instances, failure_of

# Sends a request for some instances within some seconds.
Send = Callable[[Sequence[str], float], list[PowerRow]]
# Why an instance was not accepted, or None where it was.
Answers = dict[str, "Failure | None"]


class PowerApi(Protocol):
    """The call that a restart needs; :class:`~.._sdk.ecs.Ecs` has it."""

    def reboot_instances(self, instance_ids: Sequence[str], *, force: bool, within_s: float) -> list[PowerRow]: ...


def reboot(api: PowerApi, instance_ids: Sequence[str], *, deadline: Deadline, force: bool = False) -> Answers:
    """Ask for a restart of each instance once; :func:`ask` says what comes back."""

    def send(chunk: Sequence[str], within_s: float) -> list[PowerRow]:
        return api.reboot_instances(chunk, force=force, within_s=within_s)

    return ask("RebootInstances", send, instance_ids, deadline=deadline)


def ask(
    action: str, send: Send, instance_ids: Sequence[str], *, deadline: Deadline, most: int = limits.POWER_IDS
) -> Answers:
    """Send a request for each instance once; None where it was accepted. Nothing is sent after ``deadline``.

    A failure of kind ``lost`` means that the answer was lost: the request may or may not have been accepted, and
    must not be sent again before the instance has been looked into.
    """
    answers: Answers = {}
    for chunk in chunks(instance_ids, most):
        answers |= _ask_chunk(action, send, chunk, deadline)
    return answers


def _ask_chunk(action: str, send: Send, chunk: Sequence[str], deadline: Deadline) -> Answers:
    """At most as many as a call takes. A call that is rejected for an instance's sake is made for each half."""
    if deadline.passed:
        return dict.fromkeys(chunk, Failure("timeout", f"There was no time left to send {action}."))
    try:
        rows = {row.instance_id: row for row in send(chunk, deadline.left_s)}
    except CloudError as error:
        if len(chunk) > 1 and blames_instances(error):
            middle = len(chunk) // 2
            return {
                **_ask_chunk(action, send, chunk[:middle], deadline),
                **_ask_chunk(action, send, chunk[middle:], deadline),
            }
        return dict.fromkeys(chunk, failure_of(error, refused="instance"))
    return {instance_id: _read(action, rows.get(instance_id)) for instance_id in chunk}


def _read(action: str, row: PowerRow | None) -> Failure | None:
    if row is None:
        return Failure("lost", f"{action} did not mention this instance in its answer.")
    if row.accepted:
        return None
    reason = f"{action} refused this instance: {clean_message(row.message)} (code {row.code})."
    return Failure("instance", f"{reason} {advice(row.code)}".strip(), row.code)
