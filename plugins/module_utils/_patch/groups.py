# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Reading the groups that a budget counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from .._instances.describe import InstanceApi, look_at_instances
from .._sdk.errors import BadInput
from .._sdk.shapes import InstanceRow
from .budget import Budget, too_large
from .plan_batches import plan_batches


def look_at_groups(
    api: InstanceApi, budget: Budget, wanted: Sequence[str], play: Collection[str]
) -> dict[str, InstanceRow]:
    """The wanted instances of a region and the members of their groups; one listing for each group of a region."""
    if budget.of == "play":
        return look_at_instances(api, sorted({*play, *wanted}))
    rows = look_at_instances(api, wanted)
    for key in sorted({key for row in rows.values() if all(key := budget.key_of(row.zone_id, row.tags))}):
        members = api.describe_instances(zone_id=budget.zone_in(key), tags=budget.tags_in(key) or None)
        rows |= {row.instance_id: row for row in members}
    return rows


def check_batches(
    apis: Iterable[InstanceApi], budget: Budget, batches: Sequence[Sequence[str]], play: Collection[str]
) -> None:
    """Raise :class:`BadInput` when one of the batches can never fit, in the regions of ``apis``."""
    wanted = [instance_id for batch in batches for instance_id in batch]
    for api in apis:
        rows = look_at_groups(api, budget, wanted, play)
        why = too_large(batches, {key: budget.key_of(row.zone_id, row.tags) for key, row in rows.items()}, budget)
        if why:
            raise BadInput(why)


def batches_of(play: Mapping[str, str], sizes: Sequence[int | str] | None, batch: Mapping[str, str]) -> list[list[str]]:
    """The instance ids of all batches of a play, as ``serial`` cuts them; of this batch alone where that is not known.

    ``play`` and ``batch`` hold instance ids by host. Sizes that are not positive take all hosts, as Ansible has it.
    """
    rooms = [size if str(size).endswith("%") or int(size) > 0 else "100%" for size in sizes or ["100%"]]
    batches = plan_batches(dict.fromkeys(play), rooms) if sizes is not None else []
    if not any(batch.keys() <= set(names) for names in batches):  # of an order that Ansible makes anew each time
        return [list(batch.values())]
    return [[play[name] for name in names] for names in batches]
