# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulator's end of the socket that an executor on a machine serves."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ecs_simulator.machines.base import CannotStart, MachineError, MachineGone
from ecs_simulator.machines.executor import PACKET_BYTES

# What the agent's unit gives its children (facts of the real agent: no USER, LOGNAME or profile).
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "GODEBUG": "execerrdot=0",
}


class RemoteProcess:
    """A process on a machine; its output comes through a pipe."""

    silent = False

    def __init__(self, remote: "Remote", number: int, output: int) -> None:
        self._remote = remote
        self._number = number
        self._output = output
        self._buffer = bytearray()
        self._descriptor = -1
        """Tells that the process has ended, where that may be after its executor."""
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
        self._remote.send({"op": "kill", "number": self._number, "tree": tree})

    def has_begun(self, descriptors: Sequence[int]) -> None:
        """It runs; the descriptor tells its end, if there is one."""
        self._descriptor = descriptors[0] if descriptors else -1
        self.begun.set_result(None)

    def has_exited(self, status: int) -> None:
        self._stop_watching()
        if not self.exited.done():
            self.exited.set_result(status)

    def orphaned(self) -> bool:
        """Its executor is gone; whether its end will be heard of all the same, without an exit code."""
        if self._descriptor < 0:
            return False
        end = MachineGone("nobody was there any more when the command ended")
        asyncio.get_running_loop().add_reader(self._descriptor, self.lost, end)
        return True

    def lost(self, why: MachineError) -> None:
        """It will not be heard of any more."""
        self._stop_watching()
        self._stop_reading()
        fail(self.begun, why)
        fail(self.exited, why)

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

    def _stop_watching(self) -> None:
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


class Remote:
    """Asks an executor, until :meth:`close`.

    ``on_message`` gets what is no answer, ``on_end`` is called when the executor has closed its end. ``owner`` is root
    on the machine: it is the one who opens a process's output again, as ``/dev/stderr``.
    """

    def __init__(
        self,
        control: socket.socket,
        *,
        on_message: Callable[[dict[str, Any]], None],
        on_end: Callable[[], None],
        owner: int | None = None,
    ) -> None:
        control.setblocking(False)
        self._control = control
        self._on_message = on_message
        self._on_end = on_end
        self._owner = owner
        self._open = True
        self._outbox: deque[tuple[bytes, list[int]]] = deque()
        """Requests that the socket has no room for yet, with their descriptors."""
        self._numbers = itertools.count(1)
        self._processes: dict[int, RemoteProcess] = {}
        self._written: dict[str, asyncio.Future[int]] = {}
        self._checks: dict[int, asyncio.Future[str]] = {}
        asyncio.get_running_loop().add_reader(control, self._receive)

    def spawn(self, argv: list[str], username: str = "", working_dir: str = "") -> RemoteProcess:
        """Start a process as a user, root when empty, in a folder, the user's home when empty."""
        request = self._start_request(argv, username, working_dir)
        read_end, write_end = os.pipe()
        if self._owner is not None:
            with contextlib.suppress(OSError):  # a container without such a user: root on the machine is its root
                os.fchown(write_end, self._owner, self._owner)
        try:
            self.send(request, [write_end])
        except MachineGone:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        # No answer about the process can have been read yet: that happens in the event loop.
        number = request["number"]
        process = self._processes[number] = RemoteProcess(self, number, read_end)
        return process

    def run(self, command: str) -> None:
        """Start a shell command line of which nobody wants to hear again."""
        with open(os.devnull, "wb") as nowhere:
            self.send(self._start_request(["sh", "-c", command]), [nowhere.fileno()])

    async def ask(self, question: dict[str, Any]) -> str:
        """What the executor answers."""
        number = next(self._numbers)
        checked: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._checks[number] = checked
        self.send({**question, "number": number})
        return await checked

    async def write(self, folder: str, name: str, content: bytes, *, replace: bool) -> int:
        """Write a file, mode 0755, into a folder that is made if need be; returns errno, 0 when it worked."""
        written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._written[f"{folder}/{name}"] = written
        text = base64.b64encode(content).decode()
        request = {"op": "write", "folder": folder, "name": name, "mode": 0o755, "replace": replace, "content": text}
        self.send(request)
        return await written

    def send(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Send a request, in its turn; raises :class:`MachineGone` when nobody is there."""
        if not self._open:
            raise MachineGone("the machine is down")
        if not self._outbox:
            asyncio.get_running_loop().add_writer(self._control, self._send_outbox)
        # The caller closes its descriptors when it likes.
        self._outbox.append((json.dumps(message).encode(), [os.dup(descriptor) for descriptor in descriptors]))
        self._send_outbox()

    def hang_up(self) -> None:
        """Let the executor know that nobody asks any more; its own end comes through ``on_end``."""
        if self._open:
            self._control.shutdown(socket.SHUT_WR)

    def close(self) -> list[RemoteProcess]:
        """Ask no more; returns the processes that live on and of whose end the caller will hear."""
        if not self._open:
            return []
        self._open = False
        asyncio.get_running_loop().remove_reader(self._control)
        asyncio.get_running_loop().remove_writer(self._control)
        self._clear_outbox()
        self._control.close()
        gone = MachineGone("the machine went down while the command ran")
        orphans = [process for process in self._processes.values() if process.orphaned()]
        for process in self._processes.values():
            if process not in orphans:
                process.lost(gone)
        asked: list[asyncio.Future[Any]] = [*self._written.values(), *self._checks.values()]
        for future in asked:
            fail(future, MachineGone("the machine went down"))
        return orphans

    def _start_request(self, argv: list[str], username: str = "", working_dir: str = "") -> dict[str, Any]:
        return {
            "op": "start",
            "number": next(self._numbers),
            "argv": argv,
            "user": username,
            "cwd": working_dir,
            "env": ENVIRONMENT,
        }

    def _send_outbox(self) -> None:
        """Send what there is room for: an executor reads one packet at a time."""
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
        try:
            data, descriptors, _flags, _address = socket.recv_fds(self._control, PACKET_BYTES, 1)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        if not data:
            self._on_end()
            return
        message = json.loads(data)
        if "started" in message:
            self._started(message, descriptors)
            return
        _close(descriptors)
        if "exited" in message:
            process = self._processes.pop(message["exited"], None)
            if process:
                process.has_exited(message["status"])
        elif "checked" in message:
            # Nobody waits for it any more where the command was stopped meanwhile.
            asked = self._checks.pop(message["checked"], None)
            if asked and not asked.done():
                asked.set_result(message["problem"])
        elif "written" in message:
            future = self._written.pop(message["written"], None)
            if future and not future.done():
                future.set_result(message["errno"])
        else:
            self._on_message(message)

    def _started(self, answer: dict[str, Any], descriptors: Sequence[int]) -> None:
        process = self._processes.get(answer["started"])
        if process and answer["errno"] == 0:
            process.has_begun(descriptors)
            return
        _close(descriptors)
        if process:  # otherwise a power action, which nobody waits for
            del self._processes[answer["started"]]
            process.lost(CannotStart(answer["program"], answer["errno"]))


def fail(future: asyncio.Future[Any], why: MachineError) -> None:
    """The end of a future, unless it has come; nobody need be waiting."""
    if not future.done():
        future.set_exception(why)
        future.exception()


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
