# SPDX-License-Identifier: GPL-3.0-or-later
"""The cloud: instances, invocations and the rules between them. No HTTP in here."""

import asyncio
import itertools
import json
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import Any

from ecs_simulator.agent.task import REPEATING, Command, Task
from ecs_simulator.audit import Audit
from ecs_simulator.clock import Clock
from ecs_simulator.cloud.activations import Activation
from ecs_simulator.cloud.assistant_settings import AssistantSettings
from ecs_simulator.cloud.callers import Callers
from ecs_simulator.cloud.errors import ApiError
from ecs_simulator.cloud.events import SystemEvents
from ecs_simulator.cloud.files import Files
from ecs_simulator.cloud.for_agent import Refusal, for_agent
from ecs_simulator.cloud.host import Fetch, Host
from ecs_simulator.cloud.injection import Injection
from ecs_simulator.cloud.instance import Instance
from ecs_simulator.cloud.invocation import Invocation
from ecs_simulator.cloud.reported import invalid_code
from ecs_simulator.cloud.saved_commands import SavedCommands
from ecs_simulator.cloud.schedules import Schedules
from ecs_simulator.fleet import Fleet, InstanceSpec
from ecs_simulator.ids import Ids
from ecs_simulator.machines.base import Machine

# Machines that boot side by side when the simulator starts.
_BOOTS_AT_ONCE = 8


@dataclass(frozen=True)
class _Answered:
    """What a client token was used for, and what came of it."""

    parameters: str
    response: dict[str, Any]


class Cloud:
    """One account. It implements the agents' :class:`~ecs_simulator.agent.agent.Reports`."""

    def __init__(
        self, fleet: Fleet, *, clock: Clock, audit: Audit, ids: Ids, make_machine: Callable[[InstanceSpec], Machine]
    ) -> None:
        self.fleet = fleet
        self.clock = clock
        self.audit = audit
        self.ids = ids
        self.callers = Callers(fleet, clock, ids)
        self.hosts: dict[str, Host] = {}
        self.invocations: dict[str, Invocation] = {}
        self.activations: dict[str, Activation] = {}
        self._tokens: dict[tuple[str, str], _Answered] = {}
        self._waiting: set[asyncio.Task[None]] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count()
        self._make_machine = make_machine
        self.faults = Injection(self.hosts, audit, self.release)
        self.files = Files(clock, audit, fleet.settings, self.hosts, self._later)
        self.assistant_settings = AssistantSettings()
        self.saved_commands = SavedCommands(fleet.settings.command_quota)
        self.schedules = Schedules(clock, fleet.settings, self.hosts, self.invocations)
        self.events = SystemEvents(self)
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
            reports=self,
            settings=self.fleet.settings,
        )
        host.on_fetch = self._fetch
        host.on_agent_down = self._agent_down
        self.hosts[spec.id] = host
        return host

    def release(self, host: Host, error_code: str = "InstanceReleased") -> None:
        """The instance is gone for the service at once; its machine ends meanwhile, and its files with it."""
        if self.hosts.pop(host.instance.id, None):
            for task in self._open_tasks(host):
                self._finish(task, "Error", error_code, "the instance is gone")
            self.schedules.released(host.instance.id)
            self.files.released(host.instance.id)
            self.events.released(host.instance.id)
            leaving = asyncio.ensure_future(host.discard())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    def release_after_shutdown(self, host: Host) -> None:
        """Stop the instance first."""

        async def stop_and_release() -> None:
            await host.stopped()
            self.release(host)

        host.stop(force=False)
        self._later(stop_and_release())

    async def start(self) -> None:
        """Boot every machine that the fleet file says is running; then its faults begin."""
        gate = asyncio.Semaphore(_BOOTS_AT_ONCE)

        async def boot(host: Host) -> None:
            async with gate:
                await host.power_on()
                host.instance.started = self.clock.time()

        await asyncio.gather(*(boot(host) for host in self.hosts.values() if host.instance.spec.status == "Running"))
        for host in self.hosts.values():
            self.events.declare(host.instance)
        await self.faults.start(self.fleet.faults)

    async def close(self) -> None:
        """End every machine; those that were made meanwhile are gone for good."""
        self.faults.close()
        self.schedules.close()
        self.events.close()
        for waiting in self._waiting:
            waiting.cancel()
        await asyncio.gather(*self._leaving, *(host.close() for host in self.hosts.values()))
        declared = {spec.id for spec in self.fleet.instances}
        made = (host for id_, host in self.hosts.items() if id_ not in declared)
        await asyncio.gather(*(host.machine.discard() for host in made))

    # --- regions and instances ---------------------------------------------------------------------------------

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

    # --- client tokens -----------------------------------------------------------------------------------------

    def once(
        self, caller: str, token: str, parameters: dict[str, str], act: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Do ``act`` once for a caller's client token: the same request again gets the same answer."""
        if not token:
            return act()
        known = self._tokens.get((caller, token))
        text = json.dumps(parameters, sort_keys=True)
        if known is None:
            known = self._tokens[caller, token] = _Answered(text, act())
        elif known.parameters != text:
            raise ApiError(
                403,
                "IdempotentParameterMismatch",
                "The specified parameter has changed while using an already used clientToken.",
            )
        return known.response

    # --- commands ----------------------------------------------------------------------------------------------

    def run(
        self, region_id: str, command: Command, hosts: list[Host], tags: dict[str, str], resource_group_id: str = ""
    ) -> Invocation:
        """Start a command on hosts that are known to be fit for it; raises FrequencyError."""
        now = self.clock.time()
        invocation = Invocation(self.ids.invocation(), region_id, command, now, {}, tags, resource_group_id)
        refusal = self.schedules.add(invocation)
        builds = self.schedules.builds(invocation)
        for host in hosts:
            sent = refusal or for_agent(command, host.instance, invocation.id, self.fleet.account_id, builds)
            task = Task(invocation.id, command, host.instance.id, now, updated=now)
            invocation.tasks[task.instance_id] = task
            host.instance.invocations.append(invocation)
            if isinstance(sent, Refusal):
                self._finish(task, sent.status, sent.error_code, sent.error_info)
            else:
                task.command = sent
        self.invocations[invocation.id] = invocation
        for host in hosts:
            task = invocation.tasks[host.instance.id]
            if not task.final:
                self._deliver(host, task)
        return invocation

    def stop(self, invocation: Invocation, instance_ids: list[str]) -> None:
        """StopInvocation for the tasks that are not finished."""
        for task in invocation.tasks.values():
            if instance_ids and task.instance_id not in instance_ids:
                continue
            self.schedules.stop(invocation, task.instance_id)
            if task.final:
                continue
            host = self.hosts[task.instance_id]
            if host.agent and host.online and task.status != "Scheduled":
                host.agent.stop(task)
            else:
                self.stopped(task)

    def _deliver(self, host: Host, task: Task) -> None:
        if task.command.repeat in ("NextRebootOnly", "EveryReboot"):
            self.schedules.accept(task)
        elif not (host.agent and host.online):
            self._later(self._abort_undelivered(task))
        elif task.command.repeat == "Period":
            self.schedules.accept(task)
        else:
            host.agent.deliver(task)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        waiting = asyncio.ensure_future(work)
        self._waiting.add(waiting)
        waiting.add_done_callback(self._waiting.discard)

    async def _abort_undelivered(self, task: Task) -> None:
        await self.clock.sleep(self.fleet.settings.delivery_timeout_s)
        if task.status == "Pending" and not self.hosts[task.instance_id].online:
            self._finish(task, "Aborted", "ClientNotRunning", "the aliyun service is not running on the instance")

    async def _time_out_unreported(self, task: Task) -> None:
        """The service gives up on a task of which it hears nothing more."""
        end = (task.began or task.created) + task.command.timeout_s
        await self.clock.sleep(end + self.fleet.settings.unreported_timeout_s - self.clock.time())
        self._finish(task, "Timeout", "ExecutionTimeout", "the command execution has been timeout")

    def _fetch(self, host: Host, reason: Fetch) -> None:
        """Hand out what waits, and what an earlier agent left unfinished; after a boot that was interrupted."""
        self.files.fetch(host)
        for task in self._open_tasks(host):
            if task.status == "Pending":
                self._deliver(host, task)
            elif task.status == "Scheduled":
                continue
            elif reason is Fetch.COLD_START:
                code = self.fleet.settings.interrupted_error_code
                self._finish(task, "Error", code, "the command execution was interrupted by a restart")
            elif reason is Fetch.START and self._redelivers(task):
                self._deliver(host, task)
            elif reason is Fetch.START:
                self._finish(task, "Error", "ClientRestarted", "the aliyun service was restarted on the instance")
        if reason is Fetch.COLD_START and host.agent:
            for task in self.schedules.at_start(host):
                host.agent.deliver(task)

    def _redelivers(self, task: Task) -> bool:
        return self.fleet.settings.agent_restart_redelivers and task.command.repeat not in REPEATING

    def _agent_down(self, host: Host) -> None:
        for task in self._open_tasks(host):
            if task.status == "Running":
                self._later(self._time_out_unreported(task))

    def _open_tasks(self, host: Host) -> list[Task]:
        tasks = (invocation.tasks[host.instance.id] for invocation in host.instance.invocations)
        return [task for task in tasks if not task.final]

    # --- what agents report ------------------------------------------------------------------------------------

    def running(self, task: Task) -> None:
        self.schedules.heard(task)
        if task.status == "Pending":
            task.status, task.started, task.updated = "Running", task.began, self.clock.time()

    def output(self, task: Task, chunk: bytes) -> None:
        self.running(task)  # the agent says both with the same request
        if not task.final:
            task.output += chunk
            task.updated = self.clock.time()

    def finished(self, task: Task, exit_code: int, tail: bytes, dropped: int) -> None:
        self.running(task)
        end = ("Failed", "ExitCodeNonzero", "the exit code is not zero") if exit_code else ("Success",)
        self._finish(task, *end, tail=tail, dropped=dropped, exit_code=exit_code)

    def timed_out(self, task: Task, tail: bytes, dropped: int) -> None:
        self.running(task)
        text = "the command execution has been timeout"
        self._finish(task, "Timeout", "ExecutionTimeout", text, tail=tail, dropped=dropped, exit_code=1)

    def failed(self, task: Task, error_code: str, error_info: str) -> None:
        self.schedules.heard(task)
        self._finish(task, "Error", self.fleet.settings.agent_error_code or error_code, error_info)

    def invalid(self, task: Task, error_code: str, error_info: str) -> None:
        self.schedules.heard(task)
        self._finish(task, "Invalid", invalid_code(error_code, error_info), error_info)

    def verified(self, task: Task) -> None:
        self._finish(task, "Success")

    def stopped(self, task: Task) -> None:
        self._finish(task, "Terminated" if task.started else "Cancelled")
        task.stopped = task.finished

    def process_started(self, task: Task) -> None:
        task.began = self.clock.time()
        self.audit.machine(task.instance_id, "command_start", invoke_id=task.invocation_id)

    def process_ended(self, task: Task, exit_code: int | None) -> None:
        self.audit.machine(task.instance_id, "command_end", invoke_id=task.invocation_id, exit_code=exit_code)

    def report_lost(self, task: Task) -> None:
        self.audit.machine(task.instance_id, "report_lost", invoke_id=task.invocation_id)
        self._later(self._time_out_unreported(task))

    def _finish(
        self,
        task: Task,
        status: str,
        error_code: str = "",
        error_info: str = "",
        *,
        tail: bytes = b"",
        dropped: int = 0,
        exit_code: int | None = None,
    ) -> None:
        """The end of a task as the service sees it; the first one counts."""
        if task.final:
            return
        now = self.clock.time()
        task.status, task.error_code, task.error_info = status, error_code, error_info
        task.output += tail
        task.dropped, task.exit_code = dropped, exit_code
        task.finished = task.updated = now
