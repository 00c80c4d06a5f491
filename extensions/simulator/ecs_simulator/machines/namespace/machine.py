# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine made of namespaces, seen from the simulator: boots process 1 and talks to it."""

import asyncio
import contextlib
import os
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ecs_simulator.fleet_instances import InstanceSpec
from ecs_simulator.fleet_settings import Settings
from ecs_simulator.machines.base import MachineError, MachineGone, PowerAction
from ecs_simulator.machines.linux import LinuxMachine
from ecs_simulator.machines.namespace import supervisor
from ecs_simulator.machines.namespace.stand_ins import CLOCK_SKEW, WITHOUT, stand_ins
from ecs_simulator.machines.namespace.tree import make_tree
from ecs_simulator.machines.remote import Remote, fail


class NamespaceMachine(LinuxMachine):
    """See the package's docstring; ``folder`` keeps the machine's files."""

    kind = "namespace"

    def __init__(self, spec: InstanceSpec, settings: Settings, folder: Path) -> None:
        super().__init__(folder)
        self._spec = spec
        self._settings = settings
        self._launcher: subprocess.Popen[bytes] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._skew_s = 0

    async def boot(self, boot_id: str, *, with_agent: bool = True) -> bool:
        try:
            make_tree(self._folder, self._spec)
            log = self._log.open("ab")
        except OSError as error:
            raise MachineError(f"its files: {error.filename or self._folder}: {error.strerror}") from error
        self.boot_id = boot_id
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, log:
            # Started from the main thread, because PDEATHSIG follows the thread that starts a process.
            self._launcher = subprocess.Popen(  # noqa: ASYNC220  it forks; there is nothing to wait for
                [*supervisor.COMMAND, str(theirs.fileno())],
                cwd=self._folder,
                env={},
                pass_fds=[theirs.fileno()],
                # Away from the user's terminal: through /dev/tty a script could type into it.
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._ready = loop.create_future()
        self._down = loop.create_future()
        owner = supervisor.NOBODY if os.geteuid() == 0 else None
        self._remote = Remote(ours, on_message=self._hear, on_end=self._went_down, owner=owner)
        self._remote.send(
            {"boot_id": boot_id, "hostname": self._spec.name, "stop_grace_s": self._settings.stop_grace_s}
        )
        # Who stops waiting for it must not end it for those who see to its end.
        await asyncio.shield(self._ready)
        for path, content in stand_ins(self._spec).items():
            await self._executor.write(*os.path.split(path), content, replace=True)
        if not self._spec.dnf:
            await self._executor.spawn(["sh", "-c", WITHOUT]).wait()
        if self._skew_s:
            await self._executor.write(*os.path.split(CLOCK_SKEW), b"%d\n" % self._skew_s, replace=True)
        if self._full:
            await self.fill_disk(full=True)
        return with_agent

    async def set_clock(self, skew_s: int) -> None:
        self._skew_s = skew_s
        with contextlib.suppress(MachineGone):
            await self._executor.write(*os.path.split(CLOCK_SKEW), b"%d\n" % skew_s, replace=True)

    async def shut_down(self, action: PowerAction) -> None:
        self._executor.send({"op": "down", "restart": action is PowerAction.RESTART})
        await self._wait_down()

    async def cut_power(self) -> None:
        if self._launcher:
            self._launcher.kill()
        if self._remote:
            # A launcher that ends before process 1 has asked to die with it does not take it along.
            self._remote.hang_up()
        await self._wait_down()

    def _hear(self, message: dict[str, Any]) -> None:
        """What process 1 says by itself."""
        if "going_down" in message:
            self.on_going_down()
        elif "syslog" in message:
            self.on_syslog(message["syslog"])
        elif "ready" in message and self._ready:
            self._ready.set_result(None)
        elif "failed" in message and self._ready and not self._ready.done():
            self._ready.set_exception(MachineError(f"cannot make a namespace machine: {message['failed']}"))

    def _went_down(self) -> None:
        """Process 1 has closed its end: collect the launcher and tell whoever waits."""
        assert self._remote and self._launcher and self._ready and self._down
        self._remote.close()
        self._remote = None
        status = self._launcher.wait()  # it ends right after process 1
        booted = self._ready.done()
        fail(self._ready, MachineError("cannot make a namespace machine: process 1 ended at once"))
        self._down.set_result(None)
        if booted and not self._ready.exception():
            self.on_down(PowerAction.RESTART if status == supervisor.EXIT_RESTART else PowerAction.POWER_OFF)


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
