# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine of the simulator on which the double of the step runner answers, and on which things go wrong."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import tarfile
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from ecs_simulator.clock import Clock
from ecs_simulator.machines import base
from ecs_simulator.machines.base import MachineGone, PowerAction, Script, ScriptExists, SentFile
from random_runs.plan import StepPlan

from .double import Delivery, Run, Runner, Said, Session, Started, StepRecords, make_delivery

# What writing and syncing a record takes.
_RECORD_S = 0.02
_GUARD_S = 0.2
_UPTIME_AT_BOOT_S = 5
STICKY = "needs-restarting:libc"
"""What some hosts give as the reason for a restart for ever."""


class DoubleProcess:
    """A runner: the agent's direct child."""

    def __init__(self, running: Coroutine[Any, Any, Said], noise: bytes, spoil: Callable[[str], str]) -> None:
        self._output = noise
        self._spoil = spoil
        self._result: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._task = asyncio.ensure_future(self._run(running))

    @property
    def silent(self) -> bool:
        return not self._output

    @property
    def lives(self) -> bool:
        return not self._result.done()

    def take_output(self, limit: int) -> bytes:
        taken, self._output = self._output[:limit], self._output[limit:]
        return taken

    async def started(self) -> None:
        """It runs from the start."""

    async def wait(self) -> int:
        return await asyncio.shield(self._result)

    async def drain(self) -> bytes:
        return self.take_output(len(self._output))

    def kill(self, *, tree: bool = False) -> None:
        self._task.cancel()
        if self.lives:
            self._result.set_result(-9)

    def lost(self) -> None:
        """The machine is gone."""
        self._task.cancel()
        if self.lives:
            self._result.set_exception(MachineGone("the machine went down while the command ran"))
            self._result.exception()  # nobody need be waiting

    async def _run(self, running: Coroutine[Any, Any, Said]) -> None:
        said = await running
        self._output += self._spoil(said.output).encode()
        if self.lives:
            self._result.set_result(said.code)


class DoubleMachine(base.Machine):
    """A host with the records of its runs, its boots, its steps at work and their ledger.

    ``on_record`` is called with the number of each record that is written. Of ``steps`` each does what its plan says,
    ``slowness`` times as slow as elsewhere; ``sticky`` hosts want a restart for ever. A shutdown takes ``shutdown_s``.
    """

    kind = "double"

    def __init__(self, clock: Clock, steps: dict[str, StepPlan], *, slowness: float, shutdown_s: float, sticky: bool):
        super().__init__()
        self._clock = clock
        self._steps = steps
        self._slowness = slowness
        self._shutdown_s = shutdown_s
        self._sticky = sticky
        self.up = False
        self.runs: dict[str, Run] = {}
        self.ledger: list[str] = []
        self.records = 0
        self.on_record: Callable[[int], None] = lambda number: None
        self.skew_s = 0
        self.deaf_to_restarts = 0
        """How many restarts from now on come to nothing."""
        self.spoil_trailers = 0
        """How many answers from now on are damaged."""
        self.boot_id = ""
        self._reboot_required = False
        self._booted = 0.0
        self._seen: set[str] = set()
        self._processes: list[DoubleProcess] = []
        self._sessions: list[Session] = []
        self._going_down: asyncio.Task[None] | None = None
        self._made: Counter[str] = Counter()
        self._done: set[str] = set()

    # --- the kernel of the runner ------------------------------------------------------------------------------

    def date(self) -> int:
        return int(self._clock.time() + self.skew_s)

    def uptime(self) -> int:
        return int(self._clock.time() - self._booted) + _UPTIME_AT_BOOT_S

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    async def overtime(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    def log(self, text: str) -> None:
        self.on_syslog(f"<13>Jan 15 08:00:00 cloudops.alibaba: {text}")

    async def recorded(self) -> None:
        self.records += 1
        self.on_record(self.records)
        await self._clock.sleep(_RECORD_S)

    def evidence(self) -> tuple[str, str]:
        if self._reboot_required:
            return "required", "/run/reboot-required"
        return ("required", STICKY) if self._sticky else ("not_required", "needs-restarting")

    def spawn(self, session: Session, run_id: str, started: Started | None) -> None:
        self._sessions.append(session)
        session.task = asyncio.ensure_future(self._lead(session, run_id, started))

    async def _lead(self, session: Session, run_id: str, started: Started | None) -> None:
        code = 137
        try:
            if started:
                self.runs[run_id].steps.setdefault(session.step, StepRecords()).started = started
                await self.recorded()
                code = await self._work(session, run_id)
            else:
                await self._clock.sleep(_GUARD_S)
                code = 0 if f"{run_id}.{session.step}" in self._done else 1
        except asyncio.CancelledError:
            # One that is killed alone writes nothing; that it is at work no more, its witness tells.
            if self.up and started and self.runs[run_id].steps[session.step].started is started:
                self._note("failed", session, run_id)
        finally:
            if not session.ended.done():
                session.ended.set_result(code)

    async def _work(self, session: Session, run_id: str) -> int:
        """What the script of random_runs.plan does."""
        step = self._steps[session.step]
        key = f"{run_id}.{session.step}"
        self._note("start", session, run_id)
        made = self._made[key]
        self._made[key] += 1
        if made < step.hangs:
            await self._clock.sleep(1_000_000)
        await self._clock.sleep(step.seconds * self._slowness)
        if made < step.fails:
            self._note("failed", session, run_id)
            return 3
        self._done.add(key)
        if step.wish == "evidence":
            self._reboot_required = True
        self._note("end", session, run_id)
        return 194 if step.wish == "exit_code" else 0

    def _note(self, what: str, session: Session, run_id: str) -> None:
        self.ledger.append(f"{what} {run_id} {session.step} {session.boot_id} {self._clock.time():.3f}")

    # --- what goes wrong ---------------------------------------------------------------------------------------

    def kill_keeper(self) -> bool:
        """Whether there was one."""
        keepers = [run.keeper for run in self.runs.values() if run.keeper and not run.keeper.done()]
        for keeper in keepers:
            keeper.cancel()
        return bool(keepers)

    def kill_step(self) -> bool:
        """Whether there was one."""
        living = [session for session in self._sessions if session.lives]
        for session in living:
            session.kill("KILL")
        return bool(living)

    def _spoil(self, output: str) -> str:
        if not self.spoil_trailers:
            return output
        self.spoil_trailers -= 1
        # Cut off in the middle, or with a letter that is another.
        return output[: -len(output) // 3] if self.records % 2 else output.replace(" state=", " stale=", 1)

    # --- the simulator's machine -------------------------------------------------------------------------------

    async def boot(self, boot_id: str, *, with_agent: bool = True) -> bool:
        self.boot_id = boot_id
        self._booted = self._clock.time()
        self._reboot_required = False
        self._sessions.clear()
        self.up = True
        return with_agent

    async def check(self, script: Script) -> None:
        """It has every user and every folder."""

    async def start(self, script: Script) -> DoubleProcess:
        if not self.up:
            raise MachineGone("the machine is down")
        if script.name in self._seen:
            raise ScriptExists(script.name)
        self._seen.add(script.name)
        running = Runner(self, read_delivery(script)).continue_run()
        process = DoubleProcess(running, self._take_noise(), self._spoil)
        self._processes = [other for other in self._processes if other.lives] + [process]
        return process

    async def run(self, command: str) -> None:
        if command.startswith("shutdown"):
            await self._take_down(PowerAction.RESTART if " -r " in command else PowerAction.POWER_OFF)

    async def receive(self, file: SentFile) -> str:
        raise NotImplementedError(file.path)

    async def fill_disk(self, *, full: bool) -> None:
        raise NotImplementedError("its records are always written")

    async def set_clock(self, skew_s: int) -> None:
        self.skew_s = skew_s

    async def shut_down(self, action: PowerAction) -> None:
        await self._take_down(action)

    async def cut_power(self) -> None:
        self._go_down(PowerAction.POWER_OFF)

    async def discard(self) -> None:
        self._seen.clear()

    async def _take_down(self, action: PowerAction) -> None:
        """The operating system goes down in its own time, or does not hear."""
        if self.deaf_to_restarts:
            self.deaf_to_restarts -= 1
            return
        boot_id = self.boot_id
        await self._clock.sleep(self._shutdown_s)
        if self.up and self.boot_id == boot_id:
            self.on_going_down()
            self._go_down(action)

    def _go_down(self, action: PowerAction) -> None:
        if not self.up:
            return
        self.up = False
        for run in self.runs.values():
            if run.keeper:
                run.keeper.cancel()
                run.keeper = None
        for session in self._sessions:
            session.kill("KILL")
        for process in self._processes:
            process.lost()
        self._processes.clear()
        self.on_down(action)


def read_delivery(script: Script) -> Delivery:
    """Unpack a command of the collection, as roles/patch_hosts/files/deliver.sh does."""
    _before, _mark, rest = script.content.partition(b"<<'PAYLOAD'")
    payload = rest.partition(b"\n")[2].partition(b"\nPAYLOAD\n")[0]
    files = {}
    with (
        suppress(tarfile.TarError),
        tarfile.open(fileobj=io.BytesIO(gzip.decompress(base64.b64decode(payload)))) as tar,
    ):
        for entry in tar:
            content = tar.extractfile(entry)
            files[entry.name] = content.read() if content else b""
    return make_delivery(script.name, files)
