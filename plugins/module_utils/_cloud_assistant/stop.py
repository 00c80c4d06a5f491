# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Stopping commands on instances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .._instances.describe import chunks
from .._sdk import limits
from .._sdk.errors import CloudError


class StopApi(Protocol):
    """The call that stops commands; :class:`~.._sdk.ecs.Ecs` has it."""

    def stop_invocation(self, invoke_id: str, instance_ids: Sequence[str]) -> None: ...


def stop_tasks(api: StopApi, invoke_id: str, instance_ids: Sequence[str]) -> dict[str, str]:
    """Stop an invocation on instances, each call for itself; why not, by instance id, where that was refused."""
    complaints: dict[str, str] = {}
    for piece in chunks(instance_ids, limits.STOP_INVOCATION_IDS):
        try:
            api.stop_invocation(invoke_id, piece)
        except CloudError as error:
            complaints |= dict.fromkeys(piece, str(error))
    return complaints
