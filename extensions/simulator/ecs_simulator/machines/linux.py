# SPDX-License-Identifier: GPL-3.0-or-later
"""What is alike on machines with real processes: scripts and files go through an executor on the machine."""

import asyncio
import contextlib
import errno
import os
import shutil
from pathlib import Path

from ecs_simulator.machines import base
from ecs_simulator.machines.base import (
    CannotStart,
    MachineGone,
    NoHome,
    NoSuchFolder,
    NoSuchUser,
    Script,
    ScriptExists,
    SentFile,
)
from ecs_simulator.machines.files import problem, receive_command
from ecs_simulator.machines.launcher import command_line
from ecs_simulator.machines.remote import Remote, RemoteProcess

SCRIPT_FOLDER = "/usr/local/share/aliyun-assist/work/script"
# Where a user's scripts go: the agent's own folder is not for everybody.
USER_SCRIPT_FOLDER = "/tmp"  # noqa: S108  on the machine


class LinuxMachine(base.Machine):
    """A machine that keeps its files in a folder, and has an executor while :attr:`_remote` is there.

    ``_down`` is settled when it has gone down.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._log = folder.parent / f"{folder.name}.log"
        self._down: asyncio.Future[None] | None = None
        self._remote: Remote | None = None
        self._full = False

    @property
    def _executor(self) -> Remote:
        if self._remote is None:
            raise MachineGone("the machine is down")
        return self._remote

    async def check(self, script: Script) -> None:
        match await self._executor.ask({"op": "check", "user": script.username, "cwd": script.working_dir}):
            case "no user":
                raise NoSuchUser(f"{script.username}: exit status 1")
            case "a user like root":
                raise NoSuchUser(f"{script.username}: invalid uid and gid")
            case "no folder":
                raise NoSuchFolder(f"{script.working_dir} is no folder")
            case "no home":
                raise NoHome("the home is no folder")

    async def start(self, script: Script) -> RemoteProcess:
        folder = USER_SCRIPT_FOLDER if script.username else SCRIPT_FOLDER
        path = f"{folder}/{script.name}"
        number = await self._executor.write(folder, script.name, script.content, replace=False)
        if number == errno.EEXIST and not script.repeats:
            raise ScriptExists(path)
        if number not in (0, errno.EEXIST):
            # No disk space, a name that is none: the agent does without the file.
            argument = os.fsdecode(script.content)
        else:
            argument = command_line(script.launcher, path)
        process = self._executor.spawn(["sh", "-c", argument], script.username, script.working_dir)
        process.prepend(self._take_noise())
        return process

    async def run(self, command: str) -> None:
        self._executor.run(command)

    async def fill_disk(self, *, full: bool) -> None:
        self._full = full
        with contextlib.suppress(MachineGone):  # it is so at its next boot
            await self._executor.ask({"op": "disk", "full": full})

    async def receive(self, file: SentFile) -> str:
        process = self._executor.spawn(receive_command(file))
        try:
            return problem(await process.wait())
        except CannotStart:  # what no program can be told, such as a name with a NUL
            return "FileCreateFail"
        finally:
            await process.drain()

    async def discard(self) -> None:
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        self._log.unlink(missing_ok=True)

    async def _wait_down(self) -> None:
        if self._down:
            # Others wait for the same end; one that is cancelled must not cancel it for them.
            await asyncio.shield(self._down)
