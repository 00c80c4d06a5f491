# SPDX-License-Identifier: GPL-3.0-or-later
"""Invocations: a command on some instances, and the state of the whole."""

from dataclasses import dataclass, field

from ecs_simulator.agent.task import FAILED_STATUSES, STOPPED_STATUSES, Command, Task


@dataclass
class Invocation:
    """One RunCommand call: a command on some instances."""

    id: str
    region_id: str
    command: Command
    created: float
    tasks: dict[str, Task]
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """InvocationStatus of the whole."""
        statuses = {task.status for task in self.tasks.values()}
        for unfinished in ("Running", "Stopping", "Pending"):
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
        statuses = {task.record_status for task in self.tasks.values()}
        for unfinished in ("Running", "Stopping"):
            if unfinished in statuses:
                return unfinished
        if len(statuses) == 1:
            return statuses.pop()
        return "PartialFailed" if "Failed" in statuses else "Finished"
