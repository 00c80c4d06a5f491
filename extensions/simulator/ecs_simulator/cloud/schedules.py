# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that run later: at their times, or when their instance starts.

The times are the agent's: a run begins there whether the service reaches it or not, is skipped while the last one still
runs, and is missed when there is no agent. The service hears of a run by what is reported of it. What runs at a start
of the instance is the service's: it hands it out when the first agent of a boot asks (facts of the real agent).
"""

import asyncio
from collections.abc import Mapping

from ecs_simulator.agent.task import REPEATING, Task
from ecs_simulator.clock import Clock
from ecs_simulator.cloud.agent_versions import SCHEDULES
from ecs_simulator.cloud.for_agent import Refusal
from ecs_simulator.cloud.frequency import Frequency, FrequencyError, parse_frequency
from ecs_simulator.cloud.host import Host
from ecs_simulator.cloud.invocation import Invocation
from ecs_simulator.fleet import Settings


class Schedules:
    """The commands of a cloud that run more than once, or once at a start."""

    def __init__(
        self, clock: Clock, settings: Settings, hosts: Mapping[str, Host], invocations: Mapping[str, Invocation]
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._hosts = hosts
        self._invocations = invocations
        self._frequencies: dict[str, Frequency] = {}
        self._timers: dict[tuple[str, str], asyncio.Task[None]] = {}

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()

    def add(self, invocation: Invocation) -> Refusal | None:
        """Take note of when the command runs; returns how each instance refuses it, if it does.

        Raises :class:`~ecs_simulator.cloud.frequency.FrequencyError` when the service itself says that it is wrong.
        """
        command = invocation.command
        if command.repeat != "Period":
            return None
        now = self._clock.time()
        try:
            frequency = parse_frequency(command.frequency, now, command.timeout_s)
        except FrequencyError as error:
            if self._settings.wrong_frequency_is_refused:
                raise
            return Refusal("Invalid", error.code, str(error))
        if frequency.next_after(now) is None:
            return Refusal("Invalid", frequency.expired, "the schedule has no time to come")
        self._frequencies[invocation.id] = frequency
        return None

    def builds(self, invocation: Invocation) -> list[int]:
        """The builds of the agent that the schedule needs."""
        frequency = self._frequencies.get(invocation.id)
        return [SCHEDULES] if frequency and frequency.needs_new_agent else []

    def accept(self, task: Task) -> None:
        """The agent has the command, or, if it runs at a start, the service; it waits for its time."""
        invocation = self._invocations[task.invocation_id]
        task.status = invocation.standing[task.instance_id] = "Scheduled"
        frequency = self._frequencies.get(task.invocation_id)
        if frequency:
            timer = asyncio.ensure_future(self._keep_time(invocation, task.instance_id, frequency))
            self._timers[task.invocation_id, task.instance_id] = timer

    def at_start(self, host: Host) -> list[Task]:
        """What runs now that an instance has started."""
        if host.down_cause.startswith("api") and not self._settings.api_restart_runs_reboot_commands:
            return []
        tasks = []
        for invocation in host.instance.invocations:
            task = invocation.tasks[host.instance.id]
            if invocation.standing.get(task.instance_id) != "Scheduled":
                continue
            if invocation.command.repeat == "EveryReboot":
                tasks.append(self._new_run(invocation, task.instance_id))
            elif invocation.command.repeat == "NextRebootOnly":
                del invocation.standing[task.instance_id]
                task.status = "Pending"
                tasks.append(task)
        return tasks

    def heard(self, task: Task) -> None:
        """Something is reported of a run: from now on it is the last one of its instance."""
        if task.command.repeat in REPEATING:
            invocation = self._invocations[task.invocation_id]
            runs = invocation.runs.setdefault(task.instance_id, [])
            if not any(run is task for run in runs):
                runs.append(task)
                invocation.tasks[task.instance_id] = task

    def stop(self, invocation: Invocation, instance_id: str) -> None:
        """There are no more runs on an instance."""
        if invocation.standing.get(instance_id) == "Scheduled":
            began = invocation.runs.get(instance_id)
            invocation.standing[instance_id] = "Terminated" if began else "Cancelled"
            invocation.tasks[instance_id].stopped = self._clock.time()
        self._end_timer(invocation.id, instance_id)

    def released(self, instance_id: str) -> None:
        """An instance is gone: what ran on it last is what remains."""
        for invocation in self._invocations.values():
            invocation.standing.pop(instance_id, None)
            self._end_timer(invocation.id, instance_id)

    def _end_timer(self, invoke_id: str, instance_id: str) -> None:
        timer = self._timers.pop((invoke_id, instance_id), None)
        if timer:
            timer.cancel()

    async def _keep_time(self, invocation: Invocation, instance_id: str, frequency: Frequency) -> None:
        due = frequency.next_after(self._clock.time())
        while due is not None:
            await self._clock.sleep(due - self._clock.time())
            host = self._hosts.get(instance_id)
            if host and host.agent and not host.agent.has(invocation.id):
                host.agent.deliver(self._new_run(invocation, instance_id))
            due = frequency.next_after(max(due, self._clock.time()))
        # The schedule has ended: what counts is how the last run ends.
        del invocation.standing[instance_id]

    def _new_run(self, invocation: Invocation, instance_id: str) -> Task:
        last = invocation.tasks[instance_id]
        return Task(invocation.id, last.command, instance_id, last.created, updated=self._clock.time())
