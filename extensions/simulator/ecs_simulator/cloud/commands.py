# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands on their way: they are sent to instances, handed out to agents, and stopped."""

from collections.abc import Mapping

from ecs_simulator.agent.task import REPEATING, Command, Task
from ecs_simulator.audit import Audit
from ecs_simulator.clock import Clock
from ecs_simulator.cloud.for_agent import Refusal, for_agent
from ecs_simulator.cloud.host import Fetch, Host
from ecs_simulator.cloud.invocation import Invocation
from ecs_simulator.cloud.later import Later
from ecs_simulator.cloud.reports import CommandReports
from ecs_simulator.cloud.schedules import Schedules
from ecs_simulator.fleet import Fleet
from ecs_simulator.ids import Ids


class Commands:
    """The commands that an account has run."""

    def __init__(
        self, fleet: Fleet, *, clock: Clock, audit: Audit, ids: Ids, hosts: Mapping[str, Host], later: Later
    ) -> None:
        self._account_id = fleet.account_id
        self._settings = fleet.settings
        self._clock = clock
        self._ids = ids
        self._hosts = hosts
        self._later = later
        self.invocations: dict[str, Invocation] = {}
        self._schedules = Schedules(clock, fleet.settings, hosts, self.invocations)
        self.reports = CommandReports(clock, audit, fleet.settings, self._schedules, later)

    def close(self) -> None:
        """No more runs at their times."""
        self._schedules.close()

    def run(
        self, region_id: str, command: Command, hosts: list[Host], tags: dict[str, str], resource_group_id: str = ""
    ) -> Invocation:
        """Start a command on hosts that are known to be fit for it; raises FrequencyError."""
        now = self._clock.time()
        invocation = Invocation(self._ids.invocation(), region_id, command, now, {}, tags, resource_group_id)
        refusal = self._schedules.add(invocation)
        builds = self._schedules.builds(invocation)
        for host in hosts:
            sent = refusal or for_agent(command, host.instance, invocation.id, self._account_id, builds)
            task = Task(invocation.id, command, host.instance.id, now, updated=now)
            invocation.tasks[task.instance_id] = task
            host.instance.invocations.append(invocation)
            if isinstance(sent, Refusal):
                self.reports.finish(task, sent.status, sent.error_code, sent.error_info)
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
            self._schedules.stop(invocation, task.instance_id)
            if task.final:
                continue
            host = self._hosts[task.instance_id]
            if host.agent and host.online and task.status != "Scheduled":
                host.agent.stop(task)
            else:
                self.reports.stopped(task)

    def fetch(self, host: Host, reason: Fetch) -> None:
        """Hand out what waits, and what an earlier agent left unfinished; after a boot that was interrupted."""
        for task in self._open_tasks(host):
            if task.status == "Pending":
                self._deliver(host, task)
            elif task.status == "Scheduled":
                continue
            elif reason is Fetch.COLD_START:
                code = self._settings.interrupted_error_code
                self.reports.finish(task, "Error", code, "the command execution was interrupted by a restart")
            elif reason is Fetch.START and self._redelivers(task):
                self._deliver(host, task)
            elif reason is Fetch.START:
                self.reports.finish(
                    task, "Error", "ClientRestarted", "the aliyun service was restarted on the instance"
                )
        if reason is Fetch.COLD_START and host.agent:
            for task in self._schedules.at_start(host):
                host.agent.deliver(task)

    def agent_down(self, host: Host) -> None:
        """Perhaps nobody reports what the agent was running."""
        for task in self._open_tasks(host):
            if task.status == "Running":
                self.reports.give_up_later(task)

    def released(self, host: Host, error_code: str) -> None:
        """An instance is gone, and with it what it was running and what it was to run."""
        for task in self._open_tasks(host):
            self.reports.finish(task, "Error", error_code, "the instance is gone")
        self._schedules.released(host.instance.id)

    def _deliver(self, host: Host, task: Task) -> None:
        if task.command.repeat in ("NextRebootOnly", "EveryReboot"):
            self._schedules.accept(task)
        elif not (host.agent and host.online):
            self._later.start(self._abort_undelivered(task))
        elif task.command.repeat == "Period":
            self._schedules.accept(task)
        else:
            host.agent.deliver(task)

    async def _abort_undelivered(self, task: Task) -> None:
        await self._clock.sleep(self._settings.delivery_timeout_s)
        if task.status == "Pending" and not self._hosts[task.instance_id].online:
            self.reports.finish(
                task, "Aborted", "ClientNotRunning", "the aliyun service is not running on the instance"
            )

    def _redelivers(self, task: Task) -> bool:
        return self._settings.agent_restart_redelivers and task.command.repeat not in REPEATING

    def _open_tasks(self, host: Host) -> list[Task]:
        tasks = (invocation.tasks[host.instance.id] for invocation in host.instance.invocations)
        return [task for task in tasks if not task.final]
