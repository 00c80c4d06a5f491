# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults that a fleet file, or a request to the running simulator, asks for."""

from collections.abc import Mapping
from dataclasses import dataclass

from ecs_simulator.audit import MACHINE_EVENTS
from ecs_simulator.fleet_reader import Reader, did_you_mean
from ecs_simulator.fleet_request_faults import RequestFault, request_fault

# Whether `seconds` goes with a fault: how long it lasts, or how far it goes.
INSTANCE_FAULTS = {
    "agent_killed": "may",
    "agent_offline": "may",
    "boot_slow": "must",
    "boot_stuck": "not",
    "boot_twice": "may",
    "boot_without_agent": "not",
    "clock_skew": "must",
    "disk_full": "may",
    "heartbeat_slow": "must",
    "instance_released": "not",
    "output_flood": "not",
    "power_loss": "not",
    "report_lost": "not",
}

# Enough for any mistake in setting a clock, and few enough for every date that it makes.
_MAXIMUM_SKEW_S = 1_000_000_000

Instances = Mapping[str, list[str]]
"""The ids that an instance's name stands for; an id stands for itself."""


@dataclass(frozen=True)
class After:
    """A machine event in the audit log; of ``syslog`` those whose line contains ``text``."""

    event: str
    text: str = ""


@dataclass(frozen=True)
class Fault:
    """What is to go wrong, where, after which event (at once without one) and how often."""

    instance_id: str
    name: str
    after: After | None = None
    times: int = 1
    seconds: float | None = None
    """How long it lasts, where that can be said."""


AnyFault = Fault | RequestFault


def fleet_fault(reader: Reader, instances: Instances) -> AnyFault:
    """An entry of a fleet file's ``faults``."""
    on = reader.reader("on")
    if on.holds("action"):
        action = on.take("action", str)
        on.finish()
        return request_fault(reader, action)
    instance_id = _instance_id(on, instances)
    on.finish()
    return _fault(reader, instance_id)


def requested_fault(reader: Reader, instances: Instances) -> AnyFault:
    """A request's fault: that of a fleet file, or one with the instance beside the other keys."""
    if reader.holds("on"):
        return fleet_fault(reader, instances)
    return _fault(reader, _instance_id(reader, instances))


def _fault(reader: Reader, instance_id: str) -> Fault:
    name = reader.choice("fault", tuple(INSTANCE_FAULTS))
    after = _after(reader)
    times = reader.take("times", int, 1)
    seconds = reader.take("seconds", float, None)
    reader.finish()
    if times < 1:
        reader.fail("times", "must be at least 1")
    if times > 1 and not after:
        reader.fail("times", "needs after: without it the fault comes once, at once")
    _check_seconds(reader, name, seconds)
    return Fault(instance_id, name, after, times, seconds)


def _check_seconds(reader: Reader, name: str, seconds: float | None) -> None:
    if seconds is None:
        if INSTANCE_FAULTS[name] == "must":
            reader.fail("seconds", f"is needed for {name} and missing")
        return
    if INSTANCE_FAULTS[name] == "not":
        *others, last = (fault for fault, rule in INSTANCE_FAULTS.items() if rule != "not")
        reader.fail("seconds", f"goes with {', '.join(others)} and {last}, not with {name}")
    if name == "clock_skew":
        if not abs(seconds) <= _MAXIMUM_SKEW_S:
            reader.fail("seconds", f"must be from -{_MAXIMUM_SKEW_S:,} to {_MAXIMUM_SKEW_S:,}, some 30 years")
        return
    if not 0 <= seconds < float("inf"):
        reader.fail("seconds", "must be at least 0")
    if name == "heartbeat_slow" and not seconds:
        reader.fail("seconds", "must be more than 0")


def _instance_id(reader: Reader, instances: Instances) -> str:
    name = reader.take("instance", str)
    ids = instances.get(name, [])
    if not ids:
        reader.fail("instance", f"is {name!r}, and no instance has that name or id{did_you_mean(name, instances)}")
    if len(ids) > 1:
        reader.fail("instance", f"is the name of {len(ids)} instances: use an id ({', '.join(ids)})")
    return ids[0]


def _after(reader: Reader) -> After | None:
    if not reader.holds("after"):
        return None
    if not reader.holds("after", dict):
        return After(reader.choice("after", MACHINE_EVENTS))
    mapping = reader.reader("after")
    after = After("syslog", mapping.take("syslog", str))
    mapping.finish()
    return after
