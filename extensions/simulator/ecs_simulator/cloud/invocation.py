# SPDX-License-Identifier: GPL-3.0-or-later
"""Invocations: a command on some instances, and the state of the whole."""

from dataclasses import dataclass, field

from ecs_simulator.agent.task import FAILED_STATUSES, STOPPED_STATUSES, Command, Task, record_status


@dataclass
class Invocation:
    """One RunCommand or InvokeCommand call: a command on some instances."""

    id: str
    region_id: str
    command: Command
    created: float
    tasks: dict[str, Task]
    """The command on each instance; of one that repeats, its last run there."""
    tags: dict[str, str] = field(default_factory=dict)
    resource_group_id: str = ""
    runs: dict[str, list[Task]] = field(default_factory=dict)
    """Of a command that repeats, its runs on each instance, the oldest first."""
    standing: dict[str, str] = field(default_factory=dict)
    """Of a command that runs later, the status on each instance between its runs: Scheduled, or that of its stop."""

    def status_on(self, task: Task) -> str:
        """InvocationStatus on the instance of one of :attr:`tasks`."""
        return self.standing.get(task.instance_id, task.status) if task.final else task.status

    @property
    def timed(self) -> bool:
        """Whether it runs by itself in the future."""
        return "Scheduled" in self.standing.values()

    @property
    def status(self) -> str:
        """InvocationStatus of the whole."""
        statuses = {self.status_on(task) for task in self.tasks.values()}
        for unfinished in ("Running", "Stopping", "Pending", "Scheduled"):
            if unfinished in statuses:
                return unfinished
        if statuses <= STOPPED_STATUSES:
            return "Stopped"
        if statuses <= STOPPED_STATUSES | {"Success"}:
            return "Success"
        if statuses <= STOPPED_STATUSES | FAILED_STATUSES:
            return "Failed"
        return "PartialFailed"

    @property
    def record_status(self) -> str:
        """The status of the whole in the words of the older InvokeStatus."""
        statuses = {record_status(self.status_on(task)) for task in self.tasks.values()}
        for unfinished in ("Running", "Stopping"):
            if unfinished in statuses:
                return unfinished
        if len(statuses) == 1:
            return statuses.pop()
        return "PartialFailed" if "Failed" in statuses else "Finished"
