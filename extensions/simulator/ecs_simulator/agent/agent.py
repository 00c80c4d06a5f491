# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a command on an instance, as the real agent lives it.

What is measured on the real agent stands in the test of each rule: 10 commands at once and the rest in a queue,
report first and the power action 100 ms later, SIGKILL to the direct child only, a stop that is acknowledged
before it takes effect and that does not keep a queued command from running.
"""

import asyncio
import contextlib
from typing import Protocol

from ecs_simulator.agent.output import REPORT_INTERVAL_S, OutputBudget
from ecs_simulator.agent.task import Task
from ecs_simulator.clock import Clock
from ecs_simulator.machines.base import Machine, MachineError, MachineGone, Process, Script, ScriptExists

WORKERS = 10
DRAIN_S = 0.2
POWER_DELAY_S = 0.1
HEARTBEAT_S = 60.0

# Exit code → what the agent runs on the machine. 3009 and 3010 arrive on Linux as 193 and 194 (modulo 256).
POWER_COMMANDS = {
    "linux": {193: "shutdown -h now", 194: "shutdown -r now"},
    "windows": {3009: "shutdown -f -s -t 0", 3010: "shutdown -f -r -t 0"},
}
_SUFFIXES = {"RunShellScript": ".sh", "RunBatScript": ".bat", "RunPowerShellScript": ".ps1"}


class Reports(Protocol):
    """What an agent tells the service about a task."""

    def running(self, task: Task) -> None: ...

    def output(self, task: Task, chunk: bytes) -> None: ...

    def finished(self, task: Task, exit_code: int, tail: bytes, dropped: int) -> None: ...

    def timed_out(self, task: Task, tail: bytes, dropped: int) -> None: ...

    def failed(self, task: Task, error_code: str, error_info: str) -> None: ...

    def stopped(self, task: Task) -> None: ...

    def ended(self, task: Task, exit_code: int | None) -> None:
        """The process has ended, reported or not: for the audit log, not for the caller."""


class Agent:
    """The agent on one machine; it is made anew at each boot."""

    def __init__(self, machine: Machine, os_type: str, clock: Clock, reports: Reports, quota_bytes: int) -> None:
        self._machine = machine
        self._power_commands = POWER_COMMANDS[os_type]
        self._clock = clock
        self._reports = reports
        self._quota_bytes = quota_bytes
        self._workers = asyncio.Semaphore(WORKERS)
        self._processes: dict[str, Process] = {}
        self._stopped: set[str] = set()
        self._jobs: set[asyncio.Task[None]] = set()
        self._started = clock.time()

    @property
    def last_heartbeat(self) -> float:
        """When the agent last told the service that it lives: at its start and each minute."""
        beats = int((self._clock.time() - self._started) / HEARTBEAT_S)
        return self._started + beats * HEARTBEAT_S

    @property
    def active_tasks(self) -> int:
        return len(self._processes)

    def deliver(self, task: Task) -> None:
        """Take a task; it runs when one of the workers is free."""
        job = asyncio.ensure_future(self._work(task))
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    def stop(self, task: Task) -> None:
        """Acknowledge the stop, then kill the direct child; a queued command still runs later, unreported."""
        self._stopped.add(task.invocation_id)
        self._reports.stopped(task)
        process = self._processes.get(task.invocation_id)
        if process:
            process.kill()

    def end(self) -> None:
        """The agent's process is gone: nothing is reported any more."""
        for job in self._jobs:
            job.cancel()

    async def _work(self, task: Task) -> None:
        async with self._workers:
            with contextlib.suppress(MachineGone):
                await self._run(task)

    async def _run(self, task: Task) -> None:
        command = task.command
        prefix = f"{command.name}-" if command.name else ""
        name = f"{prefix}{task.invocation_id}{_SUFFIXES[command.type]}".replace("/", "_")
        try:
            process = await self._machine.start(Script(name, command.content, command.working_dir))
        except ScriptExists as error:
            self._reports.failed(task, "ScriptFileExisted", str(error))
            return
        except MachineGone:
            raise
        except MachineError as error:
            self._reports.failed(task, "ExecutionException", str(error))
            return
        self._processes[task.invocation_id] = process
        self._reports.running(task)
        budget = OutputBudget(self._quota_bytes)
        exit_code: int | None = None
        try:
            exit_code = await self._watch(task, process, budget)
        finally:
            del self._processes[task.invocation_id]
            self._reports.ended(task, exit_code)
        await self._report_end(task, process, budget, exit_code)
        await self._power(exit_code)

    async def _watch(self, task: Task, process: Process, budget: OutputBudget) -> int | None:
        """Stream output until the process ends; None when it was killed for its time."""
        waiting = asyncio.ensure_future(process.wait())
        deadline = self._clock.time() + task.command.timeout_s if task.command.timeout_s > 0 else None
        try:
            while True:
                pause = REPORT_INTERVAL_S
                if deadline is not None:
                    pause = min(pause, max(0.0, deadline - self._clock.time()))
                tick = asyncio.ensure_future(self._clock.sleep(pause))
                await asyncio.wait({waiting, tick}, return_when=asyncio.FIRST_COMPLETED)
                tick.cancel()
                if waiting.done():
                    return waiting.result()
                if deadline is not None and self._clock.time() >= deadline:
                    process.kill()
                    return None
                chunk = process.take_output(budget.next_chunk_bytes())
                if chunk and task.invocation_id not in self._stopped:
                    self._reports.output(task, budget.stream(chunk))
        finally:
            waiting.cancel()

    async def _report_end(self, task: Task, process: Process, budget: OutputBudget, exit_code: int | None) -> None:
        await self._clock.sleep(DRAIN_S)
        tail, dropped = budget.final(await process.drain())
        if task.invocation_id in self._stopped:
            return
        if exit_code is None:
            self._reports.timed_out(task, tail, dropped)
        else:
            # Ended by a signal: the real agent reports -1.
            self._reports.finished(task, max(exit_code, -1), tail, dropped)

    async def _power(self, exit_code: int | None) -> None:
        command = self._power_commands.get(exit_code) if exit_code is not None else None
        if command:
            await self._clock.sleep(POWER_DELAY_S)
            await self._machine.run(command)
