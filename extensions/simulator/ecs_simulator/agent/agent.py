# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a command on an instance, as the real agent lives it.

What is measured on the real agent stands in the test of each rule: 10 commands at once and the rest in a queue,
report first and the power action 100 ms later, SIGKILL to the direct child only, a stop that is acknowledged
before it takes effect and that does not keep a queued command from running; scripts that outlive the agent, and
that the next one refuses to run again. FIDELITY.md names them all.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Mapping
from typing import Protocol

from ecs_simulator.agent.errors import Failed, Invalid, NoContainers, explain
from ecs_simulator.agent.line import Line
from ecs_simulator.agent.output import REPORT_INTERVAL_S, OutputBudget
from ecs_simulator.agent.task import REPEATING, Command, Task
from ecs_simulator.clock import Clock
from ecs_simulator.fleet_settings import Settings
from ecs_simulator.machines.base import Machine, MachineError, MachineGone, Process, Script
from ecs_simulator.machines.launcher import file_ending

WORKERS = 10
DRAIN_S = 0.2
POWER_DELAY_S = 0.1
REPORT_TRIES = 4

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

    def invalid(self, task: Task, error_code: str, error_info: str) -> None: ...

    def verified(self, task: Task) -> None: ...

    def stopped(self, task: Task) -> None: ...

    # What really happened, for the audit log: the service does not hear of it.

    def process_started(self, task: Task) -> None: ...

    def process_ended(self, task: Task, exit_code: int | None) -> None: ...

    def report_lost(self, task: Task) -> None: ...


class Agent:
    """The agent on one machine; it is made anew each time that its service starts it."""

    def __init__(
        self,
        machine: Machine,
        power_commands: Mapping[int, str],
        clock: Clock,
        reports: Reports,
        line: Line,
        settings: Settings,
    ) -> None:
        self._machine = machine
        self._power_commands = power_commands
        self._clock = clock
        self._reports = reports
        self._line = line
        self._settings = settings
        self._workers = asyncio.Semaphore(WORKERS)
        self._checkers = asyncio.Semaphore(WORKERS)
        self._processes: dict[str, Process] = {}
        self._stopped: set[str] = set()
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._witnesses: set[asyncio.Task[None]] = set()
        self.started = self._first_beat = clock.time()
        self._beat_s = line.heartbeat_s

    @property
    def last_heartbeat(self) -> float:
        """When the agent last told the service that it lives: at its start and each minute."""
        beats = int((self._clock.time() - self._first_beat) / self._beat_s)
        return self._first_beat + beats * self._beat_s

    def beat_anew(self) -> None:
        """The line has another pace of heartbeats: it counts from the last one on."""
        self._first_beat, self._beat_s = self.last_heartbeat, self._line.heartbeat_s

    @property
    def active_tasks(self) -> int:
        return len(self._processes)

    def deliver(self, task: Task) -> None:
        """Take a task; it runs when one of the workers is free. One that it still has is not taken again."""
        id_ = task.invocation_id
        if id_ not in self._jobs:
            job = self._jobs[id_] = asyncio.ensure_future(self._work(task))
            job.add_done_callback(lambda job: self._jobs.pop(id_))

    def has(self, invocation_id: str) -> bool:
        """Whether a task of that invocation runs or waits for a worker."""
        return invocation_id in self._jobs

    def stop(self, task: Task) -> None:
        """Acknowledge the stop, then kill the direct child; a queued command still runs later, unreported."""
        self._stopped.add(task.invocation_id)
        self._reports.stopped(task)
        process = self._processes.get(task.invocation_id)
        if process:
            _kill(task, process)

    def end(self) -> None:
        """The agent's process is gone: scripts live on and nothing is reported any more."""
        for job in self._jobs.values():
            job.cancel()

    async def _work(self, task: Task) -> None:
        dry = task.command.repeat == "DryRun"
        async with self._checkers if dry else self._workers:
            with contextlib.suppress(MachineGone):
                await (self._check(task) if dry else self._run(task))

    async def _check(self, task: Task) -> None:
        """A dry run ends before the script is saved, and is reported once."""
        try:
            await self._precheck(task.command, script_of(task))
        except MachineGone:
            raise
        except MachineError as error:
            await self._refuse(task, error)
        else:
            if self._line.up:
                self._reports.verified(task)

    async def _run(self, task: Task) -> None:
        script = script_of(task)
        try:
            await self._precheck(task.command, script)
            exit_code = await self._live(task, await self._machine.start(script))
        except MachineGone:
            raise
        except MachineError as error:
            await self._refuse(task, error)
        else:
            await self._power(exit_code)

    async def _precheck(self, command: Command, script: Script) -> None:
        if command.container_id or command.container_name:
            raise NoContainers("containerId" if command.container_id else "containerName")
        await self._machine.check(script)

    async def _live(self, task: Task, process: Process) -> int | None:
        """See a process from its start to the report of its end."""
        try:
            # It may outlive the agent, and then its witness does so too.
            await asyncio.shield(self._witness(task, process))
            if self._line.up:
                self._reports.running(task)
            return await self._attend(task, process)
        except asyncio.CancelledError:
            # The pipe ends with the agent: what writes to it from now on gets SIGPIPE.
            await process.drain()
            raise

    async def _refuse(self, task: Task, error: MachineError) -> None:
        """Report why a task does not run."""
        match explain(error):
            case Invalid(parameter, value):
                await self._report(task, lambda: self._reports.invalid(task, parameter, value))
            case Failed(category, description):
                await self._report(task, lambda: self._reports.failed(task, category, description))

    def _witness(self, task: Task, process: Process) -> asyncio.Future[None]:
        """Note the start and the end of a process; what is returned is done when it runs."""
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def watch() -> None:
            try:
                await process.started()
            except MachineError as error:
                begun.set_exception(error)
                begun.exception()  # nobody need be waiting
                return
            self._reports.process_started(task)
            begun.set_result(None)
            try:
                exit_code = await process.wait()
            except MachineGone:
                self._reports.process_ended(task, None)
            else:
                self._reports.process_ended(task, exit_code)

        witness = asyncio.ensure_future(watch())
        self._witnesses.add(witness)
        witness.add_done_callback(self._witnesses.discard)
        return begun

    async def _attend(self, task: Task, process: Process) -> int | None:
        """See a process to its end and report it."""
        budget = OutputBudget(self._settings.output_quota_bytes)
        self._processes[task.invocation_id] = process
        try:
            exit_code = await self._watch(task, process, budget)
        finally:
            del self._processes[task.invocation_id]
        await self._report_end(task, process, budget, exit_code)
        return exit_code

    async def _watch(self, task: Task, process: Process, budget: OutputBudget) -> int | None:
        """Stream output until the process ends; None when it was killed for its time."""
        waiting = asyncio.ensure_future(process.wait())
        deadline = self._clock.time() + task.command.timeout_s if task.command.timeout_s > 0 else math.inf
        streams = task.command.repeat != "Period"  # of a run by the clock only the end is reported
        try:
            while True:
                pause = deadline - self._clock.time()
                if streams and budget.next_chunk_bytes() and not process.silent:
                    pause = min(pause, REPORT_INTERVAL_S)
                tick = asyncio.ensure_future(self._sleep(pause))
                await asyncio.wait({waiting, tick}, return_when=asyncio.FIRST_COMPLETED)
                tick.cancel()
                if waiting.done():
                    return waiting.result()
                if self._clock.time() >= deadline:
                    _kill(task, process)
                    return None
                if not streams:
                    continue
                chunk = process.take_output(budget.next_chunk_bytes())
                if chunk and task.invocation_id not in self._stopped and self._line.up:
                    self._reports.output(task, budget.stream(chunk))
        finally:
            waiting.cancel()

    async def _sleep(self, seconds: float) -> None:
        if seconds == math.inf:
            await asyncio.get_running_loop().create_future()
        await self._clock.sleep(seconds)

    async def _report_end(self, task: Task, process: Process, budget: OutputBudget, exit_code: int | None) -> None:
        await self._clock.sleep(DRAIN_S)
        tail, dropped = budget.final(await process.drain())
        if task.invocation_id in self._stopped:
            return
        if exit_code is None:
            await self._report(task, lambda: self._reports.timed_out(task, tail, dropped))
        else:
            # Ended by a signal: the real agent reports -1.
            await self._report(task, lambda: self._reports.finished(task, max(exit_code, -1), tail, dropped))

    async def _report(self, task: Task, send: Callable[[], None]) -> None:
        """Send a final report: after four tries it is lost for good, and the agent goes on as if it were not."""
        lost = self._line.loses_report()
        for number in range(REPORT_TRIES):
            if number:
                await self._clock.sleep(self._settings.report_retry_s)
            if self._line.up and not lost:
                send()
                return
        self._reports.report_lost(task)

    async def _power(self, exit_code: int | None) -> None:
        command = self._power_commands.get(exit_code) if exit_code is not None else None
        if command:
            await self._clock.sleep(POWER_DELAY_S)
            await self._machine.run(command)


def script_of(task: Task) -> Script:
    """What the machine is to run. The task's id alone tells a file from that of another task."""
    command = task.command
    prefix = f"{command.name}-" if command.name else ""
    return Script(
        name=f"{prefix}{task.invocation_id}{file_ending(command.launcher, _SUFFIXES[command.type])}",
        content=command.content,
        working_dir=command.working_dir,
        username=command.username,
        launcher=command.launcher,
        repeats=command.repeat in REPEATING,
    )


def _kill(task: Task, process: Process) -> None:
    process.kill(tree=task.command.termination_mode == "ProcessTree")
