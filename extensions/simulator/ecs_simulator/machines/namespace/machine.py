# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine made of namespaces, seen from the simulator: boots process 1 and talks to it."""

import asyncio
import base64
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

from ecs_simulator.fleet import InstanceSpec, Settings
from ecs_simulator.machines import base
from ecs_simulator.machines.base import MachineError, MachineGone, PowerAction, Script, ScriptExists
from ecs_simulator.machines.namespace import supervisor
from ecs_simulator.machines.namespace.stand_ins import WITHOUT, stand_ins
from ecs_simulator.machines.namespace.tree import make_tree

# What the agent's unit gives its children (facts of the real agent: no USER, LOGNAME or profile).
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "GODEBUG": "execerrdot=0",
}
SCRIPT_FOLDER = "/usr/local/share/aliyun-assist/work/script"


class NamespaceProcess:
    """A process on a namespace machine; its output comes through a pipe."""

    def __init__(self, machine: "NamespaceMachine", number: int, output: int) -> None:
        self._machine = machine
        self._number = number
        self._output = output
        self._buffer = bytearray()
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        os.set_blocking(output, False)
        asyncio.get_running_loop().add_reader(output, self._read)

    def take_output(self, limit: int) -> bytes:
        taken = bytes(self._buffer[:limit])
        del self._buffer[:limit]
        return taken

    async def wait(self) -> int:
        return await asyncio.shield(self.exited)

    async def drain(self) -> bytes:
        self._stop_reading()
        return self.take_output(len(self._buffer))

    def kill(self) -> None:
        self._machine.send({"op": "kill", "number": self._number})

    def lost(self) -> None:
        """The machine is gone."""
        self._stop_reading()
        if not self.exited.done():
            self.exited.set_exception(MachineGone("the machine went down while the command ran"))
            self.exited.exception()  # nobody need be waiting

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
        self._ready: asyncio.Future[None] | None = None
        self._down: asyncio.Future[None] | None = None

    async def boot(self, boot_id: str) -> None:
        make_tree(self._folder, self._spec)
        self.boot_id = boot_id
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs, self._log.open("ab") as log:
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
            await self._write(path, content, replace=True)
        if not self._spec.dnf:
            await self._spawn(["sh", "-c", WITHOUT], "/").wait()

    async def start(self, script: Script) -> NamespaceProcess:
        path = f"{SCRIPT_FOLDER}/{script.name}"
        number = await self._write(path, script.content, replace=False)
        if number == errno.EEXIST and not script.repeats:
            raise ScriptExists(f"Saving script to {path} failed: script file existed")
        if number not in (0, errno.EEXIST):
            raise MachineError(f"Saving script to {path} failed: {os.strerror(number)}")
        return self._spawn(["sh", "-c", path], script.working_dir or "/root")

    async def run(self, command: str) -> None:
        with open(os.devnull, "wb") as nowhere:  # noqa: ASYNC230  opening /dev/null does not wait
            self._start(["sh", "-c", command], "/root", nowhere.fileno())

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

    def _spawn(self, argv: list[str], working_dir: str) -> NamespaceProcess:
        read_end, write_end = os.pipe()
        try:
            number = self._start(argv, working_dir, write_end)
        except MachineGone:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        # No answer about the process can have been read yet: that happens in the event loop.
        process = self._processes[number] = NamespaceProcess(self, number, read_end)
        return process

    def _start(self, argv: list[str], working_dir: str, output: int) -> int:
        number = next(self._numbers)
        self.send({"op": "start", "number": number, "argv": argv, "cwd": working_dir, "env": ENVIRONMENT}, [output])
        return number

    async def _write(self, path: str, content: bytes, *, replace: bool) -> int:
        """Write a file on the machine; returns errno, 0 when it worked."""
        written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._written[path] = written
        text = base64.b64encode(content).decode()
        self.send({"op": "write", "path": path, "mode": 0o755, "replace": replace, "content": text})
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
            process.lost()
        self._processes.clear()
        gone = MachineGone("the machine went down")
        for future in self._written.values():
            if not future.done():
                future.set_exception(gone)
        self._written.clear()
        booted = self._ready.done()
        if not booted:
            self._ready.set_exception(MachineError("cannot make a namespace machine: process 1 ended at once"))
            self._ready.exception()  # nobody need be waiting
        self._down.set_result(None)
        if booted and not self._ready.exception():
            self.on_down(PowerAction.RESTART if status == supervisor.EXIT_RESTART else PowerAction.POWER_OFF)


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
