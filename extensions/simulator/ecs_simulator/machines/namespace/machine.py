# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine made of namespaces, seen from the simulator: boots process 1 and talks to it."""

import asyncio
import base64
import contextlib
import errno
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ecs_simulator.fleet_instances import InstanceSpec
from ecs_simulator.fleet_settings import Settings
from ecs_simulator.machines import base
from ecs_simulator.machines.base import (
    CannotStart,
    MachineError,
    MachineGone,
    NoHome,
    NoSuchFolder,
    NoSuchUser,
    PowerAction,
    Script,
    ScriptExists,
    SentFile,
)
from ecs_simulator.machines.launcher import command_line
from ecs_simulator.machines.namespace import supervisor
from ecs_simulator.machines.namespace.files import problem, receive_command
from ecs_simulator.machines.namespace.stand_ins import CLOCK_SKEW, WITHOUT, stand_ins
from ecs_simulator.machines.namespace.tree import make_tree

# What the agent's unit gives its children (facts of the real agent: no USER, LOGNAME or profile).
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "GODEBUG": "execerrdot=0",
}
SCRIPT_FOLDER = "/usr/local/share/aliyun-assist/work/script"
# Where a user's scripts go: the agent's own folder is not for everybody.
USER_SCRIPT_FOLDER = "/tmp"  # noqa: S108  on the machine


class NamespaceProcess:
    """A process on a namespace machine; its output comes through a pipe."""

    silent = False

    def __init__(self, machine: "NamespaceMachine", number: int, output: int) -> None:
        self._machine = machine
        self._number = number
        self._output = output
        self._buffer = bytearray()
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        os.set_blocking(output, False)
        asyncio.get_running_loop().add_reader(output, self._read)

    def take_output(self, limit: int) -> bytes:
        taken = bytes(self._buffer[:limit])
        del self._buffer[:limit]
        return taken

    def prepend(self, output: bytes) -> None:
        """Print something before all that it prints itself, of which nothing has been read yet."""
        self._buffer[:0] = output

    async def started(self) -> None:
        await asyncio.shield(self.begun)

    async def wait(self) -> int:
        return await asyncio.shield(self.exited)

    async def drain(self) -> bytes:
        self._stop_reading()
        return self.take_output(len(self._buffer))

    def kill(self, *, tree: bool = False) -> None:
        self._machine.send({"op": "kill", "number": self._number, "tree": tree})

    def lost(self, why: MachineError) -> None:
        """It will not be heard of any more."""
        self._stop_reading()
        _fail(self.begun, why)
        _fail(self.exited, why)

    def _read(self) -> None:
        try:
            data = os.read(self._output, 1 << 16)
        except BlockingIOError:
            return
        if data:
            self._buffer += data
        else:
            self._stop_reading()

    def _stop_reading(self) -> None:
        if self._output >= 0:
            asyncio.get_running_loop().remove_reader(self._output)
            os.close(self._output)
            self._output = -1


class NamespaceMachine(base.Machine):
    """See the package's docstring; ``folder`` keeps the machine's files."""

    kind = "namespace"

    def __init__(self, spec: InstanceSpec, settings: Settings, folder: Path) -> None:
        super().__init__()
        self._spec = spec
        self._settings = settings
        self._folder = folder
        self._log = folder.parent / f"{folder.name}.log"
        self._launcher: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._outbox: deque[tuple[bytes, list[int]]] = deque()
        """Requests that the socket has no room for yet, with their descriptors."""
        self._numbers = itertools.count(1)
        self._processes: dict[int, NamespaceProcess] = {}
        self._written: dict[str, asyncio.Future[int]] = {}
        self._checks: dict[int, asyncio.Future[str]] = {}
        self._ready: asyncio.Future[None] | None = None
        self._down: asyncio.Future[None] | None = None
        self._full = False
        self._skew_s = 0

    async def boot(self, boot_id: str) -> None:
        try:
            make_tree(self._folder, self._spec)
            log = self._log.open("ab")
        except OSError as error:
            raise MachineError(f"its files: {error.filename or self._folder}: {error.strerror}") from error
        self.boot_id = boot_id
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs, log:
            # Started from the main thread, because PDEATHSIG follows the thread that starts a process.
            self._launcher = subprocess.Popen(  # noqa: ASYNC220  it forks; there is nothing to wait for
                [sys.executable, "-I", "-S", supervisor.__file__, str(theirs.fileno())],
                cwd=self._folder,
                env={},
                pass_fds=[theirs.fileno()],
                # Away from the user's terminal: through /dev/tty a script could type into it.
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._control = ours
        self._ready = loop.create_future()
        self._down = loop.create_future()
        loop.add_reader(ours, self._receive)
        self.send({"boot_id": boot_id, "hostname": self._spec.name, "stop_grace_s": self._settings.stop_grace_s})
        # Who stops waiting for it must not end it for those who see to its end.
        await asyncio.shield(self._ready)
        for path, content in stand_ins(self._spec).items():
            await self._write(*os.path.split(path), content, replace=True)
        if not self._spec.dnf:
            await self._spawn(["sh", "-c", WITHOUT]).wait()
        if self._skew_s:
            await self._write(*os.path.split(CLOCK_SKEW), b"%d\n" % self._skew_s, replace=True)
        if self._full:
            await self._ask({"op": "disk", "full": True})

    async def check(self, script: Script) -> None:
        match await self._ask({"op": "check", "user": script.username, "cwd": script.working_dir}):
            case "no user":
                raise NoSuchUser(f"{script.username}: exit status 1")
            case "a user like root":
                raise NoSuchUser(f"{script.username}: invalid uid and gid")
            case "no folder":
                raise NoSuchFolder(f"{script.working_dir} is no folder")
            case "no home":
                raise NoHome("the home is no folder")

    async def _ask(self, question: dict[str, Any]) -> str:
        """What process 1 answers."""
        number = next(self._numbers)
        checked: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._checks[number] = checked
        self.send({**question, "number": number})
        return await checked

    async def start(self, script: Script) -> NamespaceProcess:
        folder = USER_SCRIPT_FOLDER if script.username else SCRIPT_FOLDER
        path = f"{folder}/{script.name}"
        number = await self._write(folder, script.name, script.content, replace=False)
        if number == errno.EEXIST and not script.repeats:
            raise ScriptExists(path)
        if number not in (0, errno.EEXIST):
            # No disk space, a name that is none: the agent does without the file.
            argument = os.fsdecode(script.content)
        else:
            argument = command_line(script.launcher, path)
        process = self._spawn(["sh", "-c", argument], script.username, script.working_dir)
        process.prepend(self._take_noise())
        return process

    async def run(self, command: str) -> None:
        with open(os.devnull, "wb") as nowhere:  # noqa: ASYNC230  opening /dev/null does not wait
            self.send(self._start_request(["sh", "-c", command]), [nowhere.fileno()])

    async def fill_disk(self, *, full: bool) -> None:
        self._full = full
        with contextlib.suppress(MachineGone):  # it is so at its next boot
            await self._ask({"op": "disk", "full": full})

    async def set_clock(self, skew_s: int) -> None:
        self._skew_s = skew_s
        with contextlib.suppress(MachineGone):
            await self._write(*os.path.split(CLOCK_SKEW), b"%d\n" % skew_s, replace=True)

    async def receive(self, file: SentFile) -> str:
        process = self._spawn(receive_command(file))
        try:
            return problem(await process.wait())
        except CannotStart:  # what no program can be told, such as a name with a NUL
            return "FileCreateFail"
        finally:
            await process.drain()

    async def shut_down(self, action: PowerAction) -> None:
        self.send({"op": "down", "restart": action is PowerAction.RESTART})
        await self._wait_down()

    async def cut_power(self) -> None:
        if self._launcher:
            self._launcher.kill()
        if self._control:
            # A launcher that ends before process 1 has asked to die with it does not take it along.
            self._control.shutdown(socket.SHUT_WR)
        await self._wait_down()

    async def discard(self) -> None:
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        self._log.unlink(missing_ok=True)

    async def _wait_down(self) -> None:
        if self._down:
            # Others wait for the same end; one that is cancelled must not cancel it for them.
            await asyncio.shield(self._down)

    def _spawn(self, argv: list[str], username: str = "", working_dir: str = "") -> NamespaceProcess:
        request = self._start_request(argv, username, working_dir)
        read_end, write_end = os.pipe()
        if os.geteuid() == 0:
            with contextlib.suppress(OSError):  # a container without a nobody: root on the machine is its root
                # It is root on the machine who opens it again, as /dev/stderr.
                os.fchown(write_end, supervisor.NOBODY, supervisor.NOBODY)
        try:
            self.send(request, [write_end])
        except MachineGone:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        # No answer about the process can have been read yet: that happens in the event loop.
        number = request["number"]
        process = self._processes[number] = NamespaceProcess(self, number, read_end)
        return process

    def _start_request(self, argv: list[str], username: str = "", working_dir: str = "") -> dict[str, Any]:
        return {
            "op": "start",
            "number": next(self._numbers),
            "argv": argv,
            "user": username,
            "cwd": working_dir,
            "env": ENVIRONMENT,
        }

    async def _write(self, folder: str, name: str, content: bytes, *, replace: bool) -> int:
        """Write a file on the machine; returns errno, 0 when it worked."""
        written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._written[f"{folder}/{name}"] = written
        text = base64.b64encode(content).decode()
        request = {"op": "write", "folder": folder, "name": name, "mode": 0o755, "replace": replace, "content": text}
        self.send(request)
        return await written

    def send(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Send a request to process 1, in its turn; raises :class:`MachineGone` when there is none."""
        if self._control is None:
            raise MachineGone("the machine is down")
        if not self._outbox:
            asyncio.get_running_loop().add_writer(self._control, self._send_outbox)
        # The caller closes its descriptors when it likes.
        self._outbox.append((json.dumps(message).encode(), [os.dup(descriptor) for descriptor in descriptors]))
        self._send_outbox()

    def _send_outbox(self) -> None:
        """Send what there is room for: process 1 reads one packet at a time."""
        assert self._control
        while self._outbox:
            packet, descriptors = self._outbox[0]
            try:
                socket.send_fds(self._control, [packet], descriptors)
            except BlockingIOError:
                return
            except OSError:
                self._clear_outbox()  # it is going down
                break
            self._outbox.popleft()
            _close(descriptors)
        asyncio.get_running_loop().remove_writer(self._control)

    def _clear_outbox(self) -> None:
        for _packet, descriptors in self._outbox:
            _close(descriptors)
        self._outbox.clear()

    def _receive(self) -> None:
        assert self._control
        try:
            data = self._control.recv(supervisor.PACKET_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._went_down()
            return
        message = json.loads(data)
        if "exited" in message:
            process = self._processes.pop(message["exited"], None)
            if process and not process.exited.done():
                process.exited.set_result(message["status"])
        elif "started" in message:
            self._started(message)
        elif "checked" in message:
            # Nobody waits for it any more where the command was stopped meanwhile.
            asked = self._checks.pop(message["checked"], None)
            if asked and not asked.done():
                asked.set_result(message["problem"])
        elif "written" in message:
            future = self._written.pop(message["written"], None)
            if future and not future.done():
                future.set_result(message["errno"])
        elif "going_down" in message:
            self.on_going_down()
        elif "syslog" in message:
            self.on_syslog(message["syslog"])
        elif "ready" in message and self._ready:
            self._ready.set_result(None)
        elif "failed" in message and self._ready and not self._ready.done():
            self._ready.set_exception(MachineError(f"cannot make a namespace machine: {message['failed']}"))

    def _started(self, answer: dict[str, Any]) -> None:
        number = answer["started"]
        if number not in self._processes:
            return  # a power action, which nobody waits for
        if answer["errno"] == 0:
            self._processes[number].begun.set_result(None)
        else:
            self._processes.pop(number).lost(CannotStart(answer["program"], answer["errno"]))

    def _went_down(self) -> None:
        """Process 1 has closed its end: collect the launcher and tell whoever waits."""
        assert self._control and self._launcher and self._ready and self._down
        asyncio.get_running_loop().remove_reader(self._control)
        asyncio.get_running_loop().remove_writer(self._control)
        self._clear_outbox()
        self._control.close()
        self._control = None
        status = self._launcher.wait()  # it ends right after process 1
        for process in self._processes.values():
            process.lost(MachineGone("the machine went down while the command ran"))
        self._processes.clear()
        asked: list[asyncio.Future[Any]] = [*self._written.values(), *self._checks.values()]
        for future in asked:
            _fail(future, MachineGone("the machine went down"))
        self._written.clear()
        self._checks.clear()
        booted = self._ready.done()
        if not booted:
            self._ready.set_exception(MachineError("cannot make a namespace machine: process 1 ended at once"))
            self._ready.exception()  # nobody need be waiting
        self._down.set_result(None)
        if booted and not self._ready.exception():
            self.on_down(PowerAction.RESTART if status == supervisor.EXIT_RESTART else PowerAction.POWER_OFF)


def _fail(future: asyncio.Future[Any], why: MachineError) -> None:
    if not future.done():
        future.set_exception(why)
        future.exception()  # nobody need be waiting


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


async def why_not(folder: Path) -> str | None:
    """Why this computer cannot run namespace machines, or None when it can: boots one below ``folder`` and ends it."""
    with tempfile.TemporaryDirectory(prefix="probe-", dir=folder) as probe:
        spec = InstanceSpec(id="i-probe0000", name="probe", region_id="probe", zone_id="probe")
        machine = NamespaceMachine(spec, Settings(stop_grace_s=0.0), Path(probe, "machine"))
        try:
            await machine.boot("00000000-0000-4000-8000-000000000000")
        except MachineError as error:
            return str(error)
        finally:
            await machine.cut_power()
    return None
