# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""The calls about leases, and giving instances back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from .._instances.describe import InstanceApi, chunks, look_at_instances
from .._sdk import limits
from .lease import PREFIX, leases_of


class TagApi(Protocol):
    """The calls that leases need; :class:`~.._sdk.ecs.Ecs` has them."""

    def tag_instances(self, instance_ids: Sequence[str], tags: Mapping[str, str]) -> None: ...

    def untag_instances(self, instance_ids: Sequence[str], keys: Sequence[str]) -> None: ...


def leased_by(api: InstanceApi, instance_ids: Sequence[str], owner: str) -> list[str]:
    """Those of the instances that the run has a lease on, whether its time is over or not."""
    rows = look_at_instances(api, instance_ids)
    return [key for key, row in rows.items() if any(lease.owner == owner for lease in leases_of(row.tags))]


def release(api: TagApi, instance_ids: Sequence[str], owner: str) -> None:
    """Give instances back. Nothing happens to those that the run has no lease on, nor to leases of other runs."""
    for chunk in chunks(instance_ids, limits.TAG_IDS):
        api.untag_instances(chunk, [PREFIX + owner])
