# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine with an init system, seen from the simulator: its agent's service comes and goes by itself."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from ecs_simulator.fleet_instances import InstanceSpec
from ecs_simulator.fleet_settings import Settings
from ecs_simulator.machines import executor
from ecs_simulator.machines.base import MachineError, MachineGone, PowerAction
from ecs_simulator.machines.linux import LinuxMachine
from ecs_simulator.machines.nspawn import launcher
from ecs_simulator.machines.nspawn.rootfs import VARIABLE, build_id
from ecs_simulator.machines.nspawn.tree import UNIT, agent_program, make_tree
from ecs_simulator.machines.remote import ENVIRONMENT, Remote, RemoteProcess, fail

# What systemd-nspawn exits with when the machine has restarted; it would start it again only for systemd.
_EXIT_RESTART = 133
# What systemd takes them as: see systemd(1).
_SIGNALS = {PowerAction.RESTART: signal.SIGRTMIN + 5, PowerAction.POWER_OFF: signal.SIGRTMIN + 4}
_BOOT_ID = "proc/sys/kernel/random/boot_id"
_FOLDER = os.path.dirname(executor.SOCKET)
# journald passes on to it, in the words of syslog, what is logged.
_SYSLOG = "/run/systemd/journal/syslog"
# A restart, because one that was just killed may still count as running.
_START_AGENT = f"systemctl enable {UNIT}; systemctl --no-block restart {UNIT}"
_OVERLAY = """
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
shift 2
exec "$@"
"""


class NspawnMachine(LinuxMachine):
    """See the package's docstring; ``folder`` keeps what differs from the ``rootfs``."""

    kind = "nspawn"

    def __init__(self, spec: InstanceSpec, settings: Settings, folder: Path, rootfs: Path) -> None:
        super().__init__(folder.absolute())
        self._spec = spec
        self._settings = settings
        self._rootfs = rootfs.absolute()
        self._launcher: subprocess.Popen[bytes] | None = None
        self._init = -1
        """A descriptor of the machine's process 1."""
        self._listening: list[socket.socket] = []
        self._orphans: list[RemoteProcess] = []
        self._ready: asyncio.Future[None] | None = None
        self._agent_pid = self._leader = 0

    async def boot(self, boot_id: str, *, with_agent: bool = True) -> bool:  # noqa: ARG002  it makes one itself
        loop = asyncio.get_running_loop()
        try:
            await asyncio.to_thread(make_tree, self._folder, self._spec, self._settings, self._rootfs)
            program = self._write_program()
            log = self._log.open("wb")
            self._listen()
        except OSError as error:
            raise MachineError(f"its files: {error.filename or self._folder}: {error.strerror}") from error
        self._ready = loop.create_future()
        self._down = loop.create_future()
        masked = [] if with_agent or not self._spec.agent.running else [f"systemd.mask={UNIT}"]
        with log:
            self._launcher = subprocess.Popen(  # noqa: ASYNC220  it forks; there is nothing to wait for
                self._command(program, masked),
                env=self._environment(),
                # Ctrl-C in the user's terminal is not meant for it.
                start_new_session=True,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        self._end = os.pidfd_open(self._launcher.pid)
        loop.add_reader(self._end, self._went_down)
        # Who stops waiting for it must not end it for those who see to its end.
        await asyncio.shield(self._ready)
        return self._remote is not None

    def _write_program(self) -> Path:
        """The agent's program, at each boot, so that it follows the simulator's version."""
        program = self._folder / "aliyun-service"
        program.write_text("#!/usr/bin/python3 -IS\n" + Path(executor.__file__).read_text("utf-8"), encoding="utf-8")
        program.chmod(0o755)
        return program

    def _command(self, program: Path, arguments: list[str]) -> list[str]:
        name = f"{self._spec.id}-{os.getpid()}"
        return [
            *(sys.executable, "-I", "-S", launcher.__file__, name),
            *("sh", "-euc", _OVERLAY, "sh", str(self._rootfs), str(self._folder)),
            *("systemd-nspawn", "--quiet", f"--directory={self._folder / 'root'}", f"--machine={name}"),
            f"--hostname={self._spec.name}",
            f"--bind-ro={_quoted(program)}:{agent_program(self._spec)}",
            f"--bind={_quoted(self._folder / 'agent')}:{_FOLDER}",
            f"--bind={_quoted(self._folder / 'agent' / 'syslog')}:{_SYSLOG}",
            *("--register=no", "--keep-unit", "--link-journal=no", "--private-network", "--console=pipe"),
            *("--resolv-conf=off", "--timezone=off", "--notify-ready=yes", "--boot", "systemd.unit=multi-user.target"),
            *arguments,
        ]

    def _environment(self) -> dict[str, str]:
        notify = self._listening[-1].getsockname()
        return {"PATH": os.environ.get("PATH", os.defpath), "NOTIFY_SOCKET": "@" + notify[1:].decode()}

    def _listen(self) -> None:
        """For the agent's service, for what is logged, and for systemd-nspawn."""
        loop = asyncio.get_running_loop()
        # A name through a descriptor: that of a folder may be too long for one of a socket.
        folder = os.open(self._folder / "agent", os.O_RDONLY | os.O_DIRECTORY)
        try:
            for name, kind, act in (
                ("agent", socket.SOCK_SEQPACKET, self._accept),
                ("syslog", socket.SOCK_DGRAM, self._hear_syslog),
            ):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
                listening = socket.socket(socket.AF_UNIX, kind)
                listening.bind(f"/proc/self/fd/{folder}/{name}")
                self._listening.append(listening)
                if kind is socket.SOCK_SEQPACKET:
                    listening.listen()
                loop.add_reader(listening, act, listening)
        finally:
            os.close(folder)
        notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notified.bind("")  # the kernel finds a name
        notified.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._listening.append(notified)
        loop.add_reader(notified, self._hear_nspawn, notified)
        for listening in self._listening:
            listening.setblocking(False)

    def _accept(self, listening: socket.socket) -> None:
        """The agent's service has started."""
        control, _address = listening.accept()
        if self._remote:
            control.close()  # it is there already
            return
        self._agent_pid, _user, _group = struct.unpack(
            "iII", control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        )
        self._remote = Remote(control, on_message=lambda message: None, on_end=self._agent_ended)
        self._remote.send({"op": "welcome"})
        if self._up:
            self.on_agent_up()

    def _agent_ended(self) -> None:
        """The agent's service has ended, and what it has started lives on."""
        assert self._remote
        self._orphans = [orphan for orphan in self._orphans if not orphan.exited.done()] + self._remote.close()
        self._remote = None
        self._agent_pid = 0
        if self._up:
            self.on_agent_down()

    def _hear_syslog(self, listening: socket.socket) -> None:
        self.on_syslog(listening.recv(8192).decode("utf-8", "replace"))

    def _hear_nspawn(self, notified: socket.socket) -> None:
        """See sd_notify(3); only what root says counts."""
        data, messages, _flags, _address = notified.recvmsg(4096, socket.CMSG_SPACE(12))
        pid, user, _group = struct.unpack("iII", messages[0][2])
        assert self._ready
        if user == 0 and b"READY=1" in data.split(b"\n") and not self._ready.done():
            self._leader = _first_process(pid)
            try:
                self._init = os.pidfd_open(self._leader)
                self.boot_id = Path(f"/proc/{self._leader}/root/{_BOOT_ID}").read_text(encoding="ascii").strip()
            except OSError:
                return  # it is down again, as we shall hear
            self._ready.set_result(None)

    @property
    def _up(self) -> bool:
        """Whether it has booted, and the cloud knows."""
        return self._init >= 0

    async def start_agent(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *("nsenter", "--target", str(self._leader), "--all", "sh", "-c", _START_AGENT),
            env={"PATH": ENVIRONMENT["PATH"]},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        await process.wait()

    def kill_agent(self) -> None:
        if self._agent_pid:
            os.kill(self._agent_pid, signal.SIGKILL)

    async def set_clock(self, skew_s: int) -> None:
        """It has none of its own."""

    async def shut_down(self, action: PowerAction) -> None:
        if not self._up:
            raise MachineGone("the machine is down")
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._init, _SIGNALS[action])
        await self._wait_down()

    async def cut_power(self) -> None:
        if self._launcher and self._launcher.stdin:
            self._launcher.stdin.close()
        await self._wait_down()

    def _went_down(self) -> None:
        """The launcher has ended, and with it all that was on the machine."""
        assert self._launcher and self._launcher.stdin and self._ready and self._down
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._end)
        os.close(self._end)
        self._launcher.stdin.close()
        status = self._launcher.wait()
        for listening in self._listening:
            loop.remove_reader(listening)
            listening.close()
        self._listening.clear()
        if self._remote:
            self._orphans += self._remote.close()
            self._remote = None
        for orphan in self._orphans:
            orphan.lost(MachineGone("the machine went down while the command ran"))
        self._orphans.clear()
        booted = self._up
        if booted:
            os.close(self._init)
            self._init = -1
        fail(self._ready, MachineError(f"systemd-nspawn ended at once: {self._last_words()}"))
        self._down.set_result(None)
        if booted:
            self.on_down(PowerAction.RESTART if status == _EXIT_RESTART else PowerAction.POWER_OFF)

    def _last_words(self) -> str:
        return " ".join(self._log.read_text(encoding="utf-8", errors="replace").split())[-500:] or "it said nothing"


def _quoted(path: Path) -> str:
    """For an option of systemd-nspawn that takes two paths."""
    return str(path).replace("\\", "\\\\").replace(":", "\\:")


def _first_process(pid: int) -> int:
    """Of the children of systemd-nspawn the one that is process 1 of the machine; 0 when it is no more."""
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
            for line in Path(f"/proc/{child}/status").read_text(encoding="utf-8").splitlines():
                if line.startswith("NSpid:") and line.split()[-1] == "1":
                    return int(child)
    return 0


def why_not(rootfs: Path | None, folder: Path) -> str | None:
    """Why this computer cannot run nspawn machines below a folder, or None when it can."""
    if os.geteuid():
        return "nspawn machines need root"
    missing = [program for program in launcher.PROGRAMS if not shutil.which(program)]
    if missing:
        return f"nspawn machines need {', '.join(missing)} (Debian: systemd-container, util-linux)"
    if rootfs is None:
        return (
            "nspawn machines need a rootfs: make one with ecs-simulator rootfs DIR, "
            f"and name it with --rootfs or {VARIABLE}"
        )
    try:
        build_id(rootfs)
    except OSError:
        return f"nspawn machines need a rootfs, and {rootfs} is none: make it with ecs-simulator rootfs {rootfs}"
    if not all(os.access(place, os.W_OK) for place in launcher.our_groups()):
        return "nspawn machines need control groups that can be written to"
    with tempfile.TemporaryDirectory(prefix="probe-", dir=folder) as probe:
        for name in ("upper", "work", "root"):
            Path(probe, name).mkdir()
        command = ["unshare", "--mount", "--pid", "--fork", "sh", "-euc", _OVERLAY, "sh", str(rootfs.absolute()), probe]
        tried = subprocess.run(
            [*command, "true"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    if tried.returncode:
        return f"nspawn machines need namespaces, and overlayfs in {folder}: {' '.join(tried.stderr.split())}"
    return None
