# SPDX-License-Identifier: GPL-3.0-or-later
"""What agents report of commands, and how a command ends as the service sees it."""

from ecs_simulator.agent.task import Task
from ecs_simulator.audit import Audit
from ecs_simulator.clock import Clock
from ecs_simulator.cloud.invalid_codes import invalid_code
from ecs_simulator.cloud.later import Later
from ecs_simulator.cloud.schedules import Schedules
from ecs_simulator.fleet_settings import Settings


class CommandReports:
    """It implements the agents' :class:`~ecs_simulator.agent.agent.Reports`."""

    def __init__(self, clock: Clock, audit: Audit, settings: Settings, schedules: Schedules, later: Later) -> None:
        self._clock = clock
        self._audit = audit
        self._settings = settings
        self._schedules = schedules
        self._later = later

    def running(self, task: Task) -> None:
        self._schedules.heard(task)
        if task.status == "Pending":
            task.status, task.started, task.updated = "Running", task.began, self._clock.time()

    def output(self, task: Task, chunk: bytes) -> None:
        self.running(task)  # the agent says both with the same request
        if not task.final:
            task.output += chunk
            task.updated = self._clock.time()

    def finished(self, task: Task, exit_code: int, tail: bytes, dropped: int) -> None:
        self.running(task)
        end = ("Failed", "ExitCodeNonzero", "the exit code is not zero") if exit_code else ("Success",)
        self.finish(task, *end, tail=tail, dropped=dropped, exit_code=exit_code)

    def timed_out(self, task: Task, tail: bytes, dropped: int) -> None:
        self.running(task)
        text = "the command execution has been timeout"
        self.finish(task, "Timeout", "ExecutionTimeout", text, tail=tail, dropped=dropped, exit_code=1)

    def failed(self, task: Task, error_code: str, error_info: str) -> None:
        self._schedules.heard(task)
        self.finish(task, "Error", self._settings.agent_error_code or error_code, error_info)

    def invalid(self, task: Task, error_code: str, error_info: str) -> None:
        self._schedules.heard(task)
        self.finish(task, "Invalid", invalid_code(error_code, error_info), error_info)

    def verified(self, task: Task) -> None:
        self.finish(task, "Success")

    def stopped(self, task: Task) -> None:
        self.finish(task, "Terminated" if task.started else "Cancelled")
        task.stopped = task.finished

    def process_started(self, task: Task) -> None:
        task.began = self._clock.time()
        self._audit.machine(task.instance_id, "command_start", invoke_id=task.invocation_id)

    def process_ended(self, task: Task, exit_code: int | None) -> None:
        self._audit.machine(task.instance_id, "command_end", invoke_id=task.invocation_id, exit_code=exit_code)

    def report_lost(self, task: Task) -> None:
        self._audit.machine(task.instance_id, "report_lost", invoke_id=task.invocation_id)
        self.give_up_later(task)

    def finish(
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
        now = self._clock.time()
        task.status, task.error_code, task.error_info = status, error_code, error_info
        task.output += tail
        task.dropped, task.exit_code = dropped, exit_code
        task.finished = task.updated = now

    def give_up_later(self, task: Task) -> None:
        """Nobody may report the task any more: it is a Timeout once its time is up."""
        self._later.start(self._time_out_unreported(task))

    async def _time_out_unreported(self, task: Task) -> None:
        """The service gives up on a task of which it hears nothing more."""
        end = (task.began or task.created) + task.command.timeout_s
        await self._clock.sleep(end + self._settings.unreported_timeout_s - self._clock.time())
        self.finish(task, "Timeout", "ExecutionTimeout", "the command execution has been timeout")
