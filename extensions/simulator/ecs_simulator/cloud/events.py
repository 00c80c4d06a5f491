# SPDX-License-Identifier: GPL-3.0-or-later
"""System events of instances: what the service announces, and what becomes of it.

Scheduled, then Executed when it is due; a restart through the API before that makes it Avoided, one inside the guest
does not (SDK docstring of CreateSimulatedSystemEvents, and Alibaba's page about it). What has gone wrong already
(``…Failure``) begins as Executing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ecs_simulator.audit import Audit
from ecs_simulator.clock import Clock
from ecs_simulator.cloud.host import Host
from ecs_simulator.cloud.instance import Instance
from ecs_simulator.cloud.later import Later
from ecs_simulator.fleet_settings import Settings
from ecs_simulator.ids import Ids
from ecs_simulator.machines.base import PowerAction

PENDING_STATUSES = frozenset({"Inquiring", "Scheduled", "Executing"})
# "For SystemMaintenance.Reboot: restart the instance before the scheduled time" (Alibaba's page, see above).
_AVOIDED_BY_RESTART = "SystemMaintenance.Reboot"


@dataclass
class SystemEvent:
    """One event of one instance."""

    id: str
    instance_id: str
    region_id: str
    type: str
    status: str
    published: float
    not_before: float
    trigger_real_ops: bool = False
    finished: float | None = None

    @property
    def pending(self) -> bool:
        return self.status in PENDING_STATUSES


class SystemEvents:
    """The events of a cloud's instances."""

    def __init__(
        self,
        *,
        clock: Clock,
        audit: Audit,
        ids: Ids,
        settings: Settings,
        hosts: Mapping[str, Host],
        release: Callable[[Host], None],
    ) -> None:
        self._clock = clock
        self._audit = audit
        self._ids = ids
        self._settings = settings
        self._hosts = hosts
        self._release = release
        self._events: dict[str, SystemEvent] = {}
        self._later = Later()

    def close(self) -> None:
        self._later.cancel()

    def in_region(self, region_id: str) -> list[SystemEvent]:
        return [event for event in self._events.values() if event.region_id == region_id]

    def of(self, instance_id: str) -> list[SystemEvent]:
        return [event for event in self._events.values() if event.instance_id == instance_id]

    def declare(self, instance: Instance) -> None:
        """The events that the fleet file gives an instance."""
        now = self._clock.time()
        for spec in instance.spec.events:
            not_before = now + spec.in_s if spec.not_before is None else spec.not_before
            self._add(instance, spec.type, spec.status, not_before, spec.trigger_real_ops)

    def create(
        self, instances: Iterable[Instance], type_: str, not_before: float, *, trigger_real_ops: bool
    ) -> list[SystemEvent]:
        """CreateSimulatedSystemEvents."""
        status = "Executing" if "Failure" in type_ else "Scheduled"
        return [self._add(instance, type_, status, not_before, trigger_real_ops) for instance in instances]

    def accept(self, event: SystemEvent) -> None:
        """AcceptInquiredSystemEvent: what the event asked for may be done."""
        self._change(event, "Executing")
        self._later.start(self._execute(event, self._settings.accepted_event_s))

    def restarted(self, instance_id: str) -> None:
        """The API restarts an instance."""
        for event in self.of(instance_id):
            if event.type == _AVOIDED_BY_RESTART and event.status == "Scheduled":
                self._change(event, "Avoided")

    def released(self, instance_id: str) -> None:
        """There is no instance any more to which anything could happen."""
        for event in self.of(instance_id):
            if event.pending:
                self._change(event, "Canceled")

    def _add(self, instance: Instance, type_: str, status: str, not_before: float, real: bool) -> SystemEvent:
        now = self._clock.time()
        event = SystemEvent(
            id=self._ids.event(),
            instance_id=instance.id,
            region_id=instance.spec.region_id,
            type=type_,
            status="",
            published=now,
            not_before=not_before,
            trigger_real_ops=real,
        )
        self._events[event.id] = event
        self._change(event, status)
        if status in ("Scheduled", "Executing"):
            self._later.start(self._execute(event, not_before - now))
        return event

    def _change(self, event: SystemEvent, status: str) -> None:
        event.status = status
        if not event.pending:
            event.finished = self._clock.time()
        self._audit.machine(event.instance_id, "system_event", event_id=event.id, type=event.type, status=event.status)

    async def _execute(self, event: SystemEvent, seconds: float) -> None:
        await self._clock.sleep(seconds)
        host = self._hosts.get(event.instance_id)
        if host is None or event.status not in ("Scheduled", "Executing"):
            return
        if event.trigger_real_ops:
            if event.status == "Scheduled":
                self._change(event, "Executing")
            kind = event.type.partition(".")[2]
            if kind == "Delete":
                self._release(host)
                return
            if host.up:
                host.maintain(PowerAction.POWER_OFF if kind == "Stop" else PowerAction.RESTART)
                await self._clock.sleep(host.instance.spec.boot_s)
        if event.pending:
            self._change(event, "Executed")
