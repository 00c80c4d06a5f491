# SPDX-License-Identifier: GPL-3.0-or-later
"""System events: DescribeInstanceHistoryEvents, DescribeInstancesFullStatus and what makes and settles events."""

from collections.abc import Collection
from typing import Any

from ecs_simulator.api.paging import read_page
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.clock import iso, parse_iso
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError, invalid, missing
from ecs_simulator.cloud.events import PENDING_STATUSES, SystemEvent
from ecs_simulator.cloud.instance import Instance
from ecs_simulator.fleet_events import EVENT_STATUSES, EVENT_TYPES

_MAXIMUM_IDS = 100
_MAXIMUM_TYPES = 30
# What CreateSimulatedSystemEvents takes (SDK docstring).
_SIMULATED = tuple(
    type_
    for type_ in EVENT_TYPES
    if type_ == "InstanceFailure.Reboot"
    or (type_.startswith(("SystemMaintenance.", "SystemFailure.")) and not type_.endswith(".Delete"))
)
_FINISHED_STATUSES = frozenset(EVENT_STATUSES) - PENDING_STATUSES


def create_simulated_system_events(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    parameters.required("EventType")
    type_ = parameters.choice("EventType", _SIMULATED, "")
    not_before = _read_time("NotBefore", parameters.required("NotBefore"))
    if not_before <= cloud.clock.time():
        raise invalid("NotBefore", "must be in the future")
    ids = list(dict.fromkeys(parameters.numbered("InstanceId")))
    if not ids:
        raise missing("InstanceId")
    _at_most(ids, _MAXIMUM_IDS, "InstanceId")
    known = {host.instance.id: host.instance for host in cloud.hosts_in(region_id)}
    if not known.keys() >= set(ids):
        raise ApiError(404, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist.")
    events = cloud.events.create(
        [known[id_] for id_ in ids], type_, not_before, trigger_real_ops=parameters.flag("TriggerRealOps")
    )
    return {"EventIdSet": {"EventId": [event.id for event in events]}}


def accept_inquired_system_event(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    event_id = parameters.required("EventId")
    for event in cloud.events.in_region(region_id):
        if event.id == event_id and event.status == "Inquiring":
            cloud.events.accept(event)
            return {}
    raise ApiError(
        404, "InvalidEventId.NoInquiringEventFound", "The specified EventId is not that of an event in Inquiring."
    )


def describe_instance_history_events(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    if parameters.choice("ResourceType", ("instance", "ddh", "managedhost"), "instance") != "instance":
        found = []
    else:
        ids = parameters.numbered("ResourceId") or parameters.numbered("InstanceId")
        ids = ids or [text for text in (parameters.text("InstanceId"),) if text]
        _at_most(ids, _MAXIMUM_IDS, "ResourceId")
        wanted = _Wanted(parameters, _wanted_statuses(cloud, parameters))
        group = parameters.text("ResourceGroupId")
        tags = parameters.tags()
        found = [
            event
            for event in cloud.events.in_region(region_id)
            if (not ids or event.instance_id in ids) and wanted.matches(event) and _belongs(cloud, event, group, tags)
        ]
    page = read_page(parameters, len(found), maximum=100, minimum=10)
    rows = [_describe(event) for event in page.cut(found)]
    fields = page.fields()
    if page.by_token:
        # Seen: 0 while the list is not empty. The docstring calls the value meaningless with MaxResults and NextToken.
        fields["TotalCount"] = 0
    return {"InstanceSystemEventSet": {"InstanceSystemEventType": rows}, **fields}


def describe_instances_full_status(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    hosts = cloud.hosts_in(parameters.required("RegionId"))
    ids = parameters.numbered("InstanceId")
    _at_most(ids, _MAXIMUM_IDS, "InstanceId")
    wanted = _Wanted(parameters, ("Scheduled",))
    rows = []
    for host in hosts:
        instance = host.instance
        events = [event for event in cloud.events.of(instance.id) if wanted.matches(event)]
        health = _health(cloud, instance)
        if (
            (not ids or instance.id in ids)
            and parameters.text("Status") in ("", instance.status)
            and parameters.text("HealthStatus") in ("", health)
            and (events or not wanted.asks_for_events)
        ):
            rows.append(_full_status(instance, health, events))
    page = read_page(parameters, len(rows), maximum=100)
    fields = page.fields()
    del fields["NextToken"]
    return {"InstanceFullStatusSet": {"InstanceFullStatusType": page.cut(rows)}, **fields}


class _Wanted:
    """Which events a request asks for, apart from their instances."""

    def __init__(self, parameters: Parameters, statuses: Collection[str]) -> None:
        self._statuses = statuses
        self._ids = parameters.numbered("EventId")
        _at_most(self._ids, _MAXIMUM_IDS, "EventId")
        types = parameters.numbered("InstanceEventType")
        _at_most(types, _MAXIMUM_TYPES, "InstanceEventType")
        self._types = types or [text for text in (parameters.text("EventType"),) if text]
        for type_ in self._types:
            if type_ not in EVENT_TYPES:
                raise invalid("EventType")
        self._due = _read_range(parameters, "NotBefore")
        self._published = _read_range(parameters, "EventPublishTime")
        anytime = (float("-inf"), float("inf"))
        self.asks_for_events = bool(self._ids or self._types or self._due != anytime or self._published != anytime)

    def matches(self, event: SystemEvent) -> bool:
        return (
            event.status in self._statuses
            and (not self._ids or event.id in self._ids)
            and (not self._types or event.type in self._types)
            and self._due[0] <= event.not_before <= self._due[1]
            and self._published[0] <= event.published <= self._published[1]
        )


def _wanted_statuses(cloud: Cloud, parameters: Parameters) -> Collection[str]:
    statuses = parameters.numbered("InstanceEventCycleStatus")
    statuses = statuses or [text for text in (parameters.text("EventCycleStatus"),) if text]
    for status in statuses:
        if status not in EVENT_STATUSES:
            raise invalid("EventCycleStatus")
    default = _FINISHED_STATUSES if cloud.fleet.settings.history_events_default_finished else PENDING_STATUSES
    return statuses or default


def _belongs(cloud: Cloud, event: SystemEvent, group: str, tags: dict[str, str]) -> bool:
    """Whether the event's instance is in the resource group and has the tags that a request asks for, if any."""
    if not group and not tags:
        return True
    host = cloud.hosts.get(event.instance_id)
    return (
        host is not None
        and group in ("", host.instance.spec.resource_group_id)
        and tags.items() <= host.instance.tags.items()
    )


def _health(cloud: Cloud, instance: Instance) -> str:
    executing = any(event.status == "Executing" for event in cloud.events.of(instance.id))
    return "Maintaining" if executing else "OK"


def _full_status(instance: Instance, health: str, events: list[SystemEvent]) -> dict[str, Any]:
    return {
        "InstanceId": instance.id,
        "Status": _coded(instance.status, ("Pending", "Running", "Starting", "Stopping", "Stopped")),
        "HealthStatus": _coded(health, ("OK", "Maintaining")),
        "ScheduledSystemEventSet": {"ScheduledSystemEventType": [_announced(event) for event in events]},
    }


def _announced(event: SystemEvent) -> dict[str, Any]:
    return {
        "EventId": event.id,
        "EventType": _coded(event.type, EVENT_TYPES),
        "EventCycleStatus": _coded(event.status, EVENT_STATUSES),
        "EventPublishTime": iso(event.published),
        "NotBefore": iso(event.not_before),
        "Reason": "",
        "ImpactLevel": "",
        "ExtendedAttribute": {},
    }


def _describe(event: SystemEvent) -> dict[str, Any]:
    return {
        **_announced(event),
        "InstanceId": event.instance_id,
        "ResourceType": "instance",
        "ReasonCode": "",
        "EventFinishTime": iso(event.finished) if event.finished is not None else "",
        "ExtendedAttribute": {"CanAccept": str(event.status == "Inquiring").lower()},
    }


def _coded(name: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Name and code of a state or type. The service's numbers are not documented: these are ours, in the order here."""
    return {"Name": name, "Code": names.index(name)}


def _at_most(values: list[str], maximum: int, parameter: str) -> None:
    if len(values) > maximum:
        raise invalid(parameter, f"may hold at most {maximum}")


def _read_range(parameters: Parameters, name: str) -> tuple[float, float]:
    start, end = parameters.text(f"{name}.Start"), parameters.text(f"{name}.End")
    return (
        _read_time(f"{name}.Start", start) if start else float("-inf"),
        _read_time(f"{name}.End", end) if end else float("inf"),
    )


def _read_time(name: str, text: str) -> float:
    when = parse_iso(text)
    if when is None:
        raise invalid(name, "must be a time in UTC such as 2026-12-01T02:00:00Z")
    return when
