# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Reading system events, of any number of instances."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Protocol

from .._sdk import limits
from .._sdk.shapes import EventRow
from .describe import chunks

# A system event in another status is over (DescribeInstanceHistoryEventsRequest.InstanceEventCycleStatus).
PENDING = ("Inquiring", "Scheduled", "Executing")
OVER = ("Executed", "Avoided", "Canceled", "Failed")


class EventApi(Protocol):
    """The call that reading events needs; :class:`~.._sdk.ecs.Ecs` has it."""

    def describe_system_events(self, instance_ids: Sequence[str], statuses: Sequence[str]) -> Iterator[EventRow]: ...


def events_of(api: EventApi, instance_ids: Sequence[str], statuses: Sequence[str]) -> dict[str, list[EventRow]]:
    """The events of instances in these statuses, by instance id, the next one first.

    An event counts once, also when it moved from one page to the next meanwhile.
    """
    found: dict[str, dict[str, EventRow]] = defaultdict(dict)
    for chunk in chunks(instance_ids, limits.EVENT_IDS):
        for event in api.describe_system_events(chunk, statuses):
            found[event.instance_id][event.event_id] = event
    return {key: sorted(events.values(), key=lambda event: event.not_before or 0.0) for key, events in found.items()}
