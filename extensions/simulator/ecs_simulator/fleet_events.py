# SPDX-License-Identifier: GPL-3.0-or-later
"""The system events that a fleet file declares for an instance."""

from dataclasses import dataclass
from datetime import UTC, datetime

from ecs_simulator.clock import parse_iso
from ecs_simulator.fleet_reader import Reader

# The types and states of DescribeInstanceHistoryEventsRequest (SDK docstrings).
EVENT_TYPES = (
    "SystemMaintenance.Reboot",
    "SystemMaintenance.Redeploy",
    "SystemMaintenance.Stop",
    "SystemFailure.Reboot",
    "SystemFailure.Redeploy",
    "SystemFailure.Stop",
    "SystemFailure.Delete",
    "InstanceFailure.Reboot",
    "InstanceExpiration.Stop",
    "InstanceExpiration.Delete",
    "AccountUnbalanced.Stop",
    "AccountUnbalanced.Delete",
)
EVENT_STATUSES = ("Inquiring", "Scheduled", "Executing", "Executed", "Avoided", "Canceled", "Failed")
_A_DAY_S = 86_400.0


@dataclass(frozen=True)
class EventSpec:
    """A system event as the fleet file describes it: due at a time, or so many seconds after the start."""

    type: str
    status: str = "Scheduled"
    not_before: float | None = None
    in_s: float = _A_DAY_S
    trigger_real_ops: bool = False
    """Whether what it announces happens to the machine when it is due."""


def read_event(reader: Reader) -> EventSpec:
    """An entry of an instance's ``events``."""
    if reader.holds("not_before") and reader.holds("in_s"):
        reader.fail("in_s", "and not_before say the same thing: leave one out")
    event = EventSpec(
        type=reader.choice("type", EVENT_TYPES),
        status=reader.choice("status", EVENT_STATUSES, "Scheduled"),
        not_before=_time(reader, "not_before") if reader.holds("not_before") else None,
        in_s=reader.take("in_s", float, _A_DAY_S),
        trigger_real_ops=reader.take("trigger_real_ops", bool, False),
    )
    reader.finish()
    if not 0 <= event.in_s < float("inf"):
        reader.fail("in_s", "must be at least 0")
    return event


def _time(reader: Reader, key: str) -> float:
    value = reader.take(key, datetime) if reader.holds(key, datetime) else reader.take(key, str, wanted="a time")
    if isinstance(value, datetime):
        # YAML makes this out of a time without quotes; the API's times are in UTC.
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    when = parse_iso(value)
    if when is None:
        reader.fail(key, f"must be a time such as 2026-12-01T02:00:00Z, not {value!r}")
    return when
