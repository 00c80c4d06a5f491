# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine without processes: it answers commands from the fleet file.

For Windows instances, and where namespaces are not to be had.
"""

import asyncio
import contextlib
import posixpath
from collections.abc import Callable
from dataclasses import replace

from ecs_simulator.clock import Clock
from ecs_simulator.fleet_instances import Answer, InstanceSpec
from ecs_simulator.machines import base
from ecs_simulator.machines.answers import Boot, answer_to, fill
from ecs_simulator.machines.base import MachineGone, NoSpace, PowerAction, Script, ScriptExists, SentFile

_USERS = ("", "root", "nobody")


class ScriptedProcess:
    """A command that ends with its answer after the answer's time."""

    def __init__(self, answer: Answer, clock: Clock, noise: bytes, on_end: Callable[["ScriptedProcess"], None]) -> None:
        self._on_end = on_end
        self._output = noise + answer.output.encode()
        self._result: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._timer = asyncio.ensure_future(self._end(answer, clock))

    @property
    def silent(self) -> bool:
        return not self._output

    def take_output(self, limit: int) -> bytes:
        taken, self._output = self._output[:limit], self._output[limit:]
        return taken

    async def started(self) -> None:
        """It runs from the start."""

    async def wait(self) -> int:
        return await asyncio.shield(self._result)

    async def drain(self) -> bytes:
        return self.take_output(len(self._output))

    def kill(self, *, tree: bool = False) -> None:  # noqa: ARG002  it has no children
        self._finish(-9)

    def lost(self) -> None:
        """The machine is gone."""
        self._timer.cancel()
        if not self._result.done():
            self._result.set_exception(MachineGone("the machine went down while the command ran"))
            self._result.exception()  # nobody need be waiting

    async def _end(self, answer: Answer, clock: Clock) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await clock.sleep(answer.seconds)
            self._finish(answer.exit_code)

    def _finish(self, status: int) -> None:
        self._timer.cancel()
        self._on_end(self)
        if not self._result.done():
            self._result.set_result(status)


class ScriptedMachine(base.Machine):
    """Answers each command from the fleet file; see :mod:`~ecs_simulator.machines.answers`."""

    kind = "scripted"

    def __init__(self, spec: InstanceSpec, clock: Clock) -> None:
        super().__init__()
        self._spec = spec
        self._given: dict[int, int] = {}
        """How often each answer was given."""
        self._os = spec.os
        self._clock = clock
        self._up = False
        self._seen: set[str] = set()
        self.files: dict[str, SentFile] = {}
        """What was sent to it, by path."""
        self._folders = {"/", "/root", "/tmp"}  # noqa: S108  on the machine
        self._processes: dict[ScriptedProcess, None] = {}
        self._full = False

    async def boot(self, boot_id: str, *, with_agent: bool = True) -> bool:
        self.boot_id = boot_id
        self._boot = Boot(boot_id, self._clock.time())
        self._up = True
        return with_agent

    async def check(self, script: Script) -> None:
        """It has every user and every folder."""

    async def start(self, script: Script) -> ScriptedProcess:
        if not self._up:
            raise MachineGone("the machine is down")
        if script.name in self._seen and not script.repeats:
            raise ScriptExists(script.name)
        if self._full:
            raise NoSpace(f"write {script.name}: no space left on device")
        self._seen.add(script.name)
        answer = self._answer(script.content.decode("utf-8", "replace"))
        process = ScriptedProcess(answer, self._clock, self._take_noise(), on_end=self._forget)
        self._processes[process] = None
        return process

    def _answer(self, text: str) -> Answer:
        number, answer = answer_to(self._spec.answers, self._given, text, self._boot)
        if number is not None:
            self._given[number] = self._given.get(number, 0) + 1
        return replace(answer, output=fill(answer.output, self._boot, self._spec.id, self._spec.name))

    def _forget(self, process: ScriptedProcess) -> None:
        self._processes.pop(process, None)

    async def run(self, command: str) -> None:
        if command.startswith("shutdown"):
            restart = " -r " in command or " -f -r " in command
            self._go_down(PowerAction.RESTART if restart else PowerAction.POWER_OFF)

    async def receive(self, file: SentFile) -> str:
        if not self._up:
            raise MachineGone("the machine is down")
        self._folders.add(posixpath.normpath(file.folder))
        path = posixpath.normpath(file.path)
        if path in self.files and not file.overwrite:
            return "FileExist"
        if self._full or path in self._folders or posixpath.dirname(path) not in self._folders:
            return "FileCreateFail"
        self.files[path] = file
        if self._os == "linux" and file.group not in _USERS:
            return "FileGroupNotExist"
        return "FileOwnerNotExist" if self._os == "linux" and file.owner not in _USERS else ""

    async def fill_disk(self, *, full: bool) -> None:
        self._full = full

    async def set_clock(self, skew_s: int) -> None:
        """It has none."""

    async def shut_down(self, action: PowerAction) -> None:
        self._go_down(action)

    async def cut_power(self) -> None:
        self._go_down(PowerAction.POWER_OFF)

    async def discard(self) -> None:
        self._seen.clear()

    def _go_down(self, action: PowerAction) -> None:
        if not self._up:
            return
        self._up = False
        for process in list(self._processes):
            process.lost()
        self._processes.clear()
        self.on_down(action)
