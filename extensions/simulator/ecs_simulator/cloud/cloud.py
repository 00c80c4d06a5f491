# SPDX-License-Identifier: GPL-3.0-or-later
"""The cloud: its instances, and all that knows of them. No HTTP in here."""

import asyncio
import itertools
from collections.abc import Callable, Collection

from ecs_simulator.audit import Audit
from ecs_simulator.clock import Clock
from ecs_simulator.cloud.activations import Activation
from ecs_simulator.cloud.assistant_settings import AssistantSettings
from ecs_simulator.cloud.callers import Callers
from ecs_simulator.cloud.client_tokens import ClientTokens
from ecs_simulator.cloud.commands import Commands
from ecs_simulator.cloud.errors import ApiError
from ecs_simulator.cloud.events import SystemEvents
from ecs_simulator.cloud.files import Files
from ecs_simulator.cloud.host import Fetch, Host
from ecs_simulator.cloud.injection import Injection
from ecs_simulator.cloud.instance import Instance
from ecs_simulator.cloud.later import Later
from ecs_simulator.cloud.saved_commands import SavedCommands
from ecs_simulator.errors import SimulatorError
from ecs_simulator.fleet import Fleet
from ecs_simulator.fleet_instances import InstanceSpec
from ecs_simulator.ids import Ids
from ecs_simulator.machines.base import Machine, MachineError

# Machines that boot side by side when the simulator starts.
_BOOTS_AT_ONCE = 8


class Cloud:
    """One account."""

    def __init__(
        self, fleet: Fleet, *, clock: Clock, audit: Audit, ids: Ids, make_machine: Callable[[InstanceSpec], Machine]
    ) -> None:
        self.fleet = fleet
        self.clock = clock
        self.audit = audit
        self.ids = ids
        self.callers = Callers(fleet, clock, ids)
        self.hosts: dict[str, Host] = {}
        self.activations: dict[str, Activation] = {}
        self._later = Later()
        self._leaving = Later()
        self._numbers = itertools.count()
        self._make_machine = make_machine
        self.faults = Injection(self.hosts, audit, self.release)
        self.files = Files(clock, audit, fleet.settings, self.hosts, self._later)
        self.assistant_settings = AssistantSettings()
        self.client_tokens = ClientTokens()
        self.saved_commands = SavedCommands(fleet.settings.command_quota)
        self.commands = Commands(fleet, clock=clock, audit=audit, ids=ids, hosts=self.hosts, later=self._later)
        self.events = SystemEvents(
            clock=clock, audit=audit, ids=ids, settings=fleet.settings, hosts=self.hosts, release=self.release
        )
        for spec in fleet.instances:
            self.add(spec)

    def add(self, spec: InstanceSpec) -> Host:
        """One more instance, which is off."""
        number = next(self._numbers)
        instance = Instance(
            spec=spec,
            name=spec.name,
            private_ip=f"10.{number // 62500}.{number // 250 % 250}.{number % 250 + 2}",
            created=self.clock.time(),
            tags=dict(spec.tags),
        )
        host = Host(
            instance,
            self._make_machine(spec),
            clock=self.clock,
            ids=self.ids,
            audit=self.audit,
            reports=self.commands.reports,
            settings=self.fleet.settings,
        )
        host.on_fetch = self._fetch
        host.on_agent_down = self.commands.agent_down
        self.hosts[spec.id] = host
        return host

    def release(self, host: Host, error_code: str = "InstanceReleased") -> None:
        """The instance is gone for the service at once; its machine ends meanwhile, and its files with it."""
        if self.hosts.pop(host.instance.id, None):
            self.commands.released(host, error_code)
            self.files.released(host.instance.id)
            self.events.released(host.instance.id)
            self._leaving.start(host.discard())

    def release_after_shutdown(self, host: Host) -> None:
        """Stop the instance first."""

        async def stop_and_release() -> None:
            await host.stopped()
            self.release(host)

        host.stop(force=False)
        self._later.start(stop_and_release())

    def later(self, seconds: float, change: Callable[[], None]) -> None:
        """Do something after so many seconds, and at once when there are none."""

        async def wait() -> None:
            await self.clock.sleep(seconds)
            change()

        if seconds:
            self._later.start(wait())
        else:
            change()

    async def start(self) -> None:
        """Boot every machine that the fleet file says is running; then its faults begin."""
        gate = asyncio.Semaphore(_BOOTS_AT_ONCE)

        async def boot(host: Host) -> None:
            async with gate:
                try:
                    await host.power_on()
                except MachineError as error:
                    raise SimulatorError(f"cannot boot {host.instance.id} ({host.instance.name}): {error}") from error
                host.instance.started = self.clock.time()

        running = (host for host in self.hosts.values() if host.instance.spec.status == "Running")
        # None is still booting when the first failure is told, and close() ends them all.
        outcomes = await asyncio.gather(*map(boot, running), return_exceptions=True)
        for failure in filter(None, outcomes):
            raise failure
        for host in self.hosts.values():
            self.events.declare(host.instance)
        await self.faults.start(self.fleet.faults)

    async def close(self) -> None:
        """End every machine; those that were made meanwhile are gone for good."""
        self.faults.close()
        self.commands.close()
        self.events.close()
        self._later.cancel()
        await asyncio.gather(self._leaving.finish(), *(host.close() for host in self.hosts.values()))
        declared = {spec.id for spec in self.fleet.instances}
        made = (host for id_, host in self.hosts.items() if id_ not in declared)
        await asyncio.gather(*(host.machine.discard() for host in made))

    def _fetch(self, host: Host, reason: Fetch) -> None:
        self.files.fetch(host)
        self.commands.fetch(host, reason)

    def require_region(self, region_id: str) -> None:
        if region_id not in self.fleet.regions:
            raise ApiError(404, "InvalidRegionId.NotFound", "The RegionId provided does not exist in our records.")

    def hosts_in(self, region_id: str, *, ids: Collection[str] = (), managed: bool = False) -> list[Host]:
        """The ECS instances of a region, or its managed instances; all of them, or those with one of the ids."""
        self.require_region(region_id)
        hosts = filter(None, map(self.hosts.get, dict.fromkeys(ids))) if ids else self.hosts.values()
        specs = ((host, host.instance.spec) for host in hosts)
        return [host for host, spec in specs if spec.region_id == region_id and spec.managed == managed]

    def host(self, region_id: str, instance_id: str) -> Host | None:
        """The instance with that id, managed ones included."""
        host = self.hosts.get(instance_id)
        return host if host and host.instance.spec.region_id == region_id else None

    def names(self) -> dict[str, str]:
        """The names of all instances by id, those of the fleet file also when they have been released."""
        declared = {spec.id: spec.name for spec in self.fleet.instances}
        return declared | {id_: host.instance.name for id_, host in self.hosts.items()}
