# SPDX-License-Identifier: GPL-3.0-or-later
"""Process 1 of a namespace machine.

Run as ``supervisor.py CONTROL_FD`` (see :data:`COMMAND`) with the machine's folder as the working directory. It enters
namespaces of its own, makes the machine's folder the root, and then serves the simulator over a packet socket:
it does what an :class:`~ecs_simulator.machines.executor.Executor` does, collects orphans, forwards the system log and
goes down when told to. When the simulator dies the socket ends, process 1 ends with it, and the kernel ends everything
on the machine.

Nothing outside ``/usr`` stays visible, and nobody may not be able to read Python's library, so all imports happen
first and nothing here may import later (files are opened as bytes: text files import their encoding). It speaks to
the kernel through ctypes because Python 3.11 has neither ``unshare`` nor ``mount``.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
import time

from ecs_simulator.machines.executor import (
    CLONE_NEWUSER,
    PACKET_BYTES,
    PR_SET_DUMPABLE,
    Executor,
    SimulatorGone,
    call,
    write_own_maps,
)

# <sched.h>, <sys/mount.h>, <sys/prctl.h>
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWPID = 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MS_NOATIME, MS_NODIRATIME, MS_RELATIME = 1024, 2048, 1 << 21
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
# As little of Python as there can be: a machine boots in the time of a few imports.
_START = f"import sys; sys.path.append({_PACKAGE!r}); from {__name__} import main; sys.exit(main())"
COMMAND = [sys.executable, "-I", "-S", "-c", _START]

# How process 1 tells its parent what happens next. Signals do the same for reboot(2): SIGHUP and SIGINT.
EXIT_RESTART, EXIT_POWER_OFF, EXIT_FAILED = 10, 11, 12

NOBODY = 65534
# Users 1 to 65534 of a machine are these outside, where only root may map more than one user. Nobody has them: systemd
# sets them aside (https://systemd.io/UIDS-GIDS).
FIRST_USER = 0x70000000
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
INITCTL = "/run/initctl"


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """mount(2)."""

    def text(value: str | None) -> bytes | None:
        return None if value is None else os.fsencode(value)

    try:
        call("mount", text(source), text(target), text(kind), ctypes.c_ulong(flags), text(data))
    except OSError as error:
        raise OSError(error.errno, f"mount {source or kind} on {target}: {os.strerror(error.errno or 0)}") from error


def bind(source: str, target: str, *, read_only: bool = False) -> None:
    """Show ``source`` at ``target`` too, with everything mounted below it."""
    mount(source, target, None, MS_BIND | MS_REC)
    if read_only:
        make_read_only(target)


def make_read_only(target: str) -> None:
    """Make one mount read-only. Flags that the host has set are locked here and have to be repeated."""
    now = os.statvfs(target).f_flag
    keep = {
        os.ST_NOSUID: MS_NOSUID,
        os.ST_NODEV: MS_NODEV,
        os.ST_NOEXEC: MS_NOEXEC,
        os.ST_NOATIME: MS_NOATIME,
        os.ST_NODIRATIME: MS_NODIRATIME,
        os.ST_RELATIME: MS_RELATIME,
    }
    flags = sum(flag for host_flag, flag in keep.items() if now & host_flag)
    mount(None, target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | flags)


class Mapper:
    """A child that is still root when we have become nobody, and then maps the users of the machine for us."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair()
        pid = os.getpid()
        self._child = os.fork()
        if self._child == 0:
            self._ours.close()
            os._exit(0 if theirs.recv(1) and self._write_maps(pid) else 1)
        theirs.close()

    def map(self) -> bool:
        """Whether it could: in a container it may not be allowed to, or there may not be so many users."""
        with self._ours:
            self._ours.send(b"x")
        _pid, status = os.waitpid(self._child, 0)
        return status == 0

    @staticmethod
    def _write_maps(pid: int) -> bool:
        with contextlib.suppress(OSError):
            for name in ("gid_map", "uid_map"):
                with open(f"/proc/{pid}/{name}", "wb", 0) as file:
                    file.write(b"0 %d 1\n1 %d %d\n" % (NOBODY, FIRST_USER + 1, NOBODY))
            return True
        return False


def become_nobody() -> Mapper | None:
    """As root, drop to nobody first: root inside the machine is then nobody outside."""
    if os.geteuid() != 0:
        return None
    mapper = Mapper()
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError:
        # A container that maps no such user: stay what we are, which is not root outside it either.
        return None
    # A process that changed its user may not write its own uid_map until it is dumpable again.
    call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)
    return mapper


def enter_namespaces(mapper: Mapper | None) -> None:
    """Own user, mount, pid, uts and ipc namespaces; the caller's user becomes root in them."""
    uid, gid = os.geteuid(), os.getegid()
    call("unshare", CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC)
    if not (mapper and mapper.map()):
        write_own_maps(0, uid, 0, gid)


def die_with_parent() -> None:
    """SIGKILL when the parent dies. A change of user clears it, so this comes after."""
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def mount_root(boot_id: str) -> None:
    """Build the machine's view below ``root`` in the working directory and make it ``/``."""
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    with open("boot_id", "wb") as file:
        file.write(boot_id.encode() + b"\n")
    bind("root", "root")
    bind("/usr", "root/usr", read_only=True)
    for submount in _mounts_below(os.path.realpath("root/usr")):
        make_read_only(submount)
    bind("local", "root/usr/local")
    if os.path.isdir("root/usr/lib/modules"):
        mount("tmpfs", "root/usr/lib/modules", "tmpfs", MS_RDONLY)
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        # On a host without merged /usr these are real folders.
        if os.path.isdir(f"/{name}") and not os.path.islink(f"/{name}"):
            os.makedirs(f"root/{name}", exist_ok=True)
            bind(f"/{name}", f"root/{name}", read_only=True)
    mount("tmpfs", "root/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=16m")
    _mount_dev("root/dev")
    _mount_proc("root/proc", "boot_id")
    os.chdir("root")
    call("pivot_root", b".", b".")
    call("umount2", b".", MNT_DETACH)
    os.chdir("/")


def _mounts_below(folder: str) -> list[str]:
    """Relative paths, because nobody need not be able to walk down to the working directory."""
    with open("/proc/self/mountinfo", "rb") as file:
        points = [os.fsdecode(line.split()[4]) for line in file]
    return [os.path.relpath(point) for point in points if point.startswith(folder + "/")]


def _mount_dev(dev: str) -> None:
    mount("tmpfs", dev, "tmpfs", MS_NOSUID, "mode=755,size=64k")
    for name in DEVICES:
        with open(f"{dev}/{name}", "wb"):
            pass
        bind(f"/dev/{name}", f"{dev}/{name}")
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(target, f"{dev}/{name}")
    os.mkdir(f"{dev}/pts")
    mount("devpts", f"{dev}/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
    os.symlink("pts/ptmx", f"{dev}/ptmx")
    os.mkdir(f"{dev}/shm")
    mount("tmpfs", f"{dev}/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=16m")


def _mount_proc(proc: str, boot_id_file: str) -> None:
    mount("proc", proc, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    for name in ("sys", "sysrq-trigger", "irq", "bus"):
        if os.path.exists(f"{proc}/{name}"):
            bind(f"{proc}/{name}", f"{proc}/{name}", read_only=True)
    boot_id = f"{proc}/sys/kernel/random/boot_id"
    bind(boot_id_file, boot_id, read_only=True)


class Supervisor:
    """The main loop of process 1."""

    def __init__(self, control: socket.socket, grace_s: float) -> None:
        # Root on the machine could otherwise make read-only mounts writable again.
        self._executor = Executor(control, confined=True)
        self._grace_s = grace_s
        self._initctl = self._make_initctl()
        self._syslog = self._make_syslog()

    def serve(self) -> int:
        """Serve until the machine goes down; returns the exit status of process 1."""
        self._executor.send({"ready": True})
        while True:
            readable, _writable, _errors = select.select([*self._executor.sources, self._initctl, self._syslog], [], [])
            if self._syslog in readable:
                self._executor.send({"syslog": self._syslog.recv(8192).decode("utf-8", "replace")})
            if self._initctl in readable:
                word = os.read(self._initctl, 64).strip()
                if word in (b"restart", b"poweroff"):
                    return self._go_down(restart=word == b"restart")
            request = self._executor.serve(readable)
            if request.get("op") == "down":
                return self._go_down(restart=request["restart"])

    def _go_down(self, *, restart: bool) -> int:
        """SIGTERM to all, a moment of grace, then the end of process 1 ends the rest."""
        # The agent is a service like others: it ends now, and reports nothing of what ends with it.
        self._executor.send({"going_down": True})
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGTERM)
        deadline = time.monotonic() + self._grace_s
        while time.monotonic() < deadline and self._anyone_left():
            self._executor.wait(0.05)
        return EXIT_RESTART if restart else EXIT_POWER_OFF

    def _anyone_left(self) -> bool:
        self._executor.collect()
        return any(name.isdigit() and name != "1" for name in os.listdir("/proc"))

    @staticmethod
    def _make_initctl() -> int:
        os.mkfifo(INITCTL, 0o600)
        # Opened for writing too, so that it never reports an end.
        return os.open(INITCTL, os.O_RDWR | os.O_CLOEXEC)

    @staticmethod
    def _make_syslog() -> socket.socket:
        syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        syslog.bind("/dev/log")
        os.chmod("/dev/log", 0o666)  # noqa: S103  everybody may log
        return syslog


def machine(control: socket.socket) -> int:
    """Process 1: set the machine up as the first packet says, then serve."""
    die_with_parent()
    data = control.recv(PACKET_BYTES)
    if not data:
        return EXIT_POWER_OFF  # the simulator is gone
    settings = json.loads(data)
    try:
        mount_root(settings["boot_id"])
        name = settings["hostname"].encode()
        call("sethostname", name, len(name))
        supervisor = Supervisor(control, settings["stop_grace_s"])
        # No one on the machine may look into process 1 (its executable and descriptors are the host's).
        call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)
    except OSError as error:
        control.send(json.dumps({"failed": error.strerror or str(error)}).encode())
        return EXIT_FAILED
    os.environ.clear()
    try:
        return supervisor.serve()
    except SimulatorGone:
        return EXIT_POWER_OFF


def main() -> int:
    """Make the namespaces, run process 1 in them and pass on how it ended."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    try:
        enter_namespaces(become_nobody())
        die_with_parent()
        pid = os.fork()
    except OSError as error:
        control.send(json.dumps({"failed": error.strerror or str(error)}).encode())
        return EXIT_FAILED
    if pid == 0:
        os._exit(machine(control))
    control.close()
    _pid, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    # reboot(2) on the machine ends process 1 with SIGHUP (restart) or SIGINT (power off).
    return {-signal.SIGHUP: EXIT_RESTART, -signal.SIGINT: EXIT_POWER_OFF}.get(code, code if code >= 0 else EXIT_FAILED)
