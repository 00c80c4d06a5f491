# SPDX-License-Identifier: GPL-3.0-or-later
"""What every kind of machine offers to the agent and to the power switch."""

import enum
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class MachineError(Exception):
    """A machine could not be made, booted or used; the text is one sentence that says why."""


class MachineGone(MachineError):
    """The machine went down while something on it was in use."""


class ScriptExists(MachineError):
    """The script's file is there already: the agent has seen this task (agent error -9 ScriptFileExisted)."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} exists")
        self.path = path


class CannotStart(MachineError):
    """The system did not start a program, whose path stands in the text, or found none of that name in the PATH."""

    def __init__(self, program: str, number: int | None) -> None:
        super().__init__(
            f'exec: "{program}": executable file not found in $PATH'
            if number is None
            else f"fork/exec {program}: {os.strerror(number).lower()}"
        )
        self.errno = number


class NoSuchUser(MachineError):
    """No user of that name may run scripts; the text says why, after the name."""


class NoHome(MachineError):
    """The folder that a script runs in unless told otherwise does not exist."""


class NoSuchFolder(MachineError):
    """The folder that a script is to run in does not exist."""


class NoSpace(MachineError):
    """There is no room for the script's file, and it cannot run without (agent error -8 NoEnoughSpace)."""


class PowerAction(enum.Enum):
    """What happens to a machine when it goes down."""

    RESTART = "restart"
    POWER_OFF = "power_off"


@dataclass(frozen=True)
class Script:
    """A command as the agent has received it."""

    name: str
    """File name below the agent's work folder, such as ``t-hz0abc.sh``."""
    content: bytes
    working_dir: str = ""
    username: str = ""
    """Who runs it; root when empty."""
    launcher: str = ""
    """The program that runs the script's file, with its arguments; see :mod:`~ecs_simulator.machines.launcher`."""
    repeats: bool = False
    """A file that is there from an earlier run is run again as it is."""


@dataclass(frozen=True)
class SentFile:
    """A file as the agent has received it."""

    folder: str
    path: str
    """``folder`` and the file's name, which may lead out of it."""
    content: bytes
    mode: int
    owner: str
    """Nobody changes the owner of a file when this and ``group`` are empty; of one alone the other is root."""
    group: str
    overwrite: bool


class Process(Protocol):
    """A script that runs on a machine."""

    @property
    def silent(self) -> bool:
        """Whether it is known that no output will come that was not taken."""

    def take_output(self, limit: int) -> bytes:
        """Take at most ``limit`` bytes of standard output and error, merged in the order of writing."""

    async def started(self) -> None:
        """Return once it runs; raises :class:`CannotStart` when the system does not let it."""

    async def wait(self) -> int:
        """The exit code, or minus the signal's number; raises :class:`MachineGone` when the machine goes first."""

    async def drain(self) -> bytes:
        """Stop reading output and return all that was not taken."""

    def kill(self, *, tree: bool = False) -> None:
        """SIGKILL to the direct child only, as the real agent does at a timeout, or to its process group."""


class Machine(ABC):
    """One machine, down at first.

    ``on_going_down`` is called when its operating system begins to go down (not at a power cut), ``on_down`` when it is
    down by itself or by :meth:`shut_down`, ``on_syslog`` for each message that something on it logs, ``on_agent_up``
    and ``on_agent_down`` when the agent's service has started or ended while the machine is up.
    """

    kind: str
    boot_id: str

    def __init__(self) -> None:
        self.on_going_down: Callable[[], None] = lambda: None
        self.on_down: Callable[[PowerAction], None] = lambda action: None
        self.on_syslog: Callable[[str], None] = lambda message: None
        self.on_agent_up: Callable[[], None] = lambda: None
        self.on_agent_down: Callable[[], None] = lambda: None
        self._noise = b""

    def make_noise(self, noise: bytes) -> None:
        """Let the next script print this before anything of its own."""
        self._noise = noise

    def _take_noise(self) -> bytes:
        noise, self._noise = self._noise, b""
        return noise

    @abstractmethod
    async def boot(self, boot_id: str, *, with_agent: bool = True) -> bool:
        """Start the machine; returns whether the agent runs.

        Its boot identity is this one, unless its operating system makes one itself, which is then :attr:`boot_id`.
        ``with_agent`` is whether the agent's service is to start with it; one with an init system may decide otherwise.
        """

    async def start_agent(self) -> None:
        """Let the agent's service start, now and with the machine."""
        self.on_agent_up()

    def kill_agent(self) -> None:
        """SIGKILL to the agent."""
        self.on_agent_down()

    @abstractmethod
    async def check(self, script: Script) -> None:
        """Look whether a script can run, and leave no trace.

        Raises :class:`NoSuchUser`, :class:`NoHome` or :class:`NoSuchFolder`.
        """

    @abstractmethod
    async def start(self, script: Script) -> Process:
        """Save a script where the agent saves it and run it; what cannot be saved runs as ``sh -c CONTENT``.

        Raises :class:`ScriptExists` when it was saved before, :class:`MachineGone` when the machine is down.
        """

    @abstractmethod
    async def run(self, command: str) -> None:
        """Run a shell command line and do not wait for its end, as the agent does for ``shutdown -r now``."""

    @abstractmethod
    async def receive(self, file: SentFile) -> str:
        """Write a file as the agent does; returns what went wrong in the agent's word, empty when nothing did.

        CreateDirFailed, FileExist, FileCreateFail, FileGroupNotExist, FileOwnerNotExist, Chown or Chmod; raises
        :class:`MachineGone` when the machine is down.
        """

    @abstractmethod
    async def fill_disk(self, *, full: bool) -> None:
        """Let nothing more be written to files, or let it again; a disk stays full over restarts."""

    @abstractmethod
    async def set_clock(self, skew_s: int) -> None:
        """Let the machine's clock be fast by so many seconds; slow when they are negative."""

    @abstractmethod
    async def shut_down(self, action: PowerAction) -> None:
        """Ask the operating system to go down, as the power button does."""

    @abstractmethod
    async def cut_power(self) -> None:
        """End everything on the machine at once."""

    @abstractmethod
    async def discard(self) -> None:
        """Forget everything that is kept of the machine, which is down."""
