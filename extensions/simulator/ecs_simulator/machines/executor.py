# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's hands on a machine: starts, kills and collects processes and writes files, as the simulator asks.

On a namespace machine process 1 has them. On a machine with an init system of its own this file is the program of the
agent's service, ``aliyun-service``, with Python's library as all that it needs: what it starts are children of the
service, and when the service ends, they live on and the simulator has lost its agent.

It speaks to the kernel through ctypes because Python 3.11 has no ``unshare``.
"""

import array
import base64
import contextlib
import ctypes
import errno
import json
import os
import pwd
import resource
import select
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

# <sched.h>, <sys/prctl.h>, <linux/capability.h>
CLONE_NEWUSER = 0x10000000
PR_SET_DUMPABLE, PR_CAPBSET_DROP = 4, 24
CAP_SYS_ADMIN = 21

PACKET_BYTES = 1 << 17
SOCKET = "/run/ecs-simulator/agent"
"""Where the simulator listens, on a machine with an init system of its own."""

_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> None:
    """Call a libc function that returns -1 and sets errno on failure."""
    if getattr(_libc, name)(*arguments) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def write_own_maps(uid: int, outer_uid: int, gid: int, outer_gid: int) -> None:
    """The one user and group that everybody may map: who they are."""
    maps = {"setgroups": "deny", "uid_map": f"{uid} {outer_uid} 1", "gid_map": f"{gid} {outer_gid} 1"}
    for name, text in maps.items():
        with open(f"/proc/self/{name}", "wb") as file:
            file.write(text.encode())


def receive(control: socket.socket) -> tuple[bytes, list[int]]:
    """A packet and the descriptors that came with it (socket.recv_fds imports a module at its first call)."""
    data, messages, _flags, _address = control.recvmsg(PACKET_BYTES, socket.CMSG_SPACE(4))
    descriptors = array.array("i")
    for level, kind, content in messages:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content)
    return data, list(descriptors)


def look_up(program: str, path: str) -> str | None:
    """The first executable file of that name."""
    for folder in path.split(":"):
        file = f"{folder}/{program}"
        if os.path.isfile(file) and os.access(file, os.X_OK):
            return file
    return None


def become(user: pwd.struct_passwd) -> None:
    """Run on as a user of the machine, without PAM or a login; where only one user is mapped, in name only."""
    groups = os.getgrouplist(user.pw_name, user.pw_gid)
    try:
        os.setgroups(groups)
        os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
        os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    except OSError:
        # Its files are root's then, but it has no power over others.
        call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)
        call("unshare", CLONE_NEWUSER)
        write_own_maps(user.pw_uid, 0, user.pw_gid, 0)


def problem_with(username: str, folder: str) -> str:
    """What keeps a user from running something in a folder (the default one when empty); empty when nothing does."""
    home = "/root"
    if username:
        try:
            user = pwd.getpwnam(username)
        except (KeyError, ValueError):
            return "no user"
        if not (user.pw_uid > 0 and user.pw_gid > 0):
            return "a user like root"
        home = user.pw_dir
    if folder:
        return "" if os.path.isdir(folder) else "no folder"
    return "" if os.path.isdir(home) else "no home"


def fill_disk(*, full: bool) -> None:
    """Let no process on the machine write anything to a file, or let all of them again.

    A limit on the size of files does it without a file system of the machine's own, and also to who runs already. The
    error is "File too large" where a full disk says "No space left on device".
    """
    own = os.getpid()
    for name in (str(own), *os.listdir("/proc")):
        if name.isdigit():
            with contextlib.suppress(ProcessLookupError):
                _soft, hard = resource.prlimit(int(name), resource.RLIMIT_FSIZE)
                resource.prlimit(int(name), resource.RLIMIT_FSIZE, (0 if full else hard, hard))


class SimulatorGone(Exception):
    """Nobody asks any more."""


class Executor:
    """Serves the simulator over a packet socket.

    ``confined``: nothing that it starts may ever have CAP_SYS_ADMIN. ``outlived``: what it starts may live on after it,
    so the simulator gets a descriptor of each process, which tells when it ends.
    """

    def __init__(self, control: socket.socket, *, confined: bool = False, outlived: bool = False) -> None:
        self._control = control
        self._confined = confined
        self._outlived = outlived
        self._children: dict[int, int] = {}  # pid inside → number the simulator gave the process
        self._wake = self._make_wakeup()
        self.sources: list[Any] = [control, self._wake]
        """What :meth:`serve` is to be called for when there is something to read."""

    def serve(self, readable: list[Any]) -> dict[str, Any]:
        """Do what is asked; what it is not for is returned. Raises :class:`SimulatorGone`."""
        if self._wake in readable:
            self.clear_wakeup()
            self.collect()
        return self._serve_request() if self._control in readable else {}

    def _serve_request(self) -> dict[str, Any]:
        data, descriptors = receive(self._control)
        if not data:
            raise SimulatorGone
        request: dict[str, Any] = json.loads(data)
        operation = request["op"]
        if operation == "start":
            try:
                self._start(request, descriptors[0])
            finally:
                os.close(descriptors[0])
        elif operation == "check":
            self.send({"checked": request["number"], "problem": problem_with(request["user"], request["cwd"])})
        elif operation == "disk":
            fill_disk(full=request["full"])
            self.send({"checked": request["number"], "problem": ""})
        elif operation == "write":
            self._write(request)
        elif operation == "kill":
            for pid, number in self._children.items():
                if number == request["number"]:
                    (os.killpg if request["tree"] else os.kill)(pid, signal.SIGKILL)
        else:
            return request
        return {}

    def _start(self, request: dict[str, Any], output: int) -> None:
        """Start a process; the answer carries errno, 0 when it runs."""
        program = look_up(request["argv"][0], request["env"]["PATH"])
        answer: dict[str, Any] = {"started": request["number"], "program": program or request["argv"][0]}
        if not program:
            self.send({**answer, "errno": None})
            return
        news, report = os.pipe()
        try:
            pid = os.fork()
        except OSError as error:  # the machine has used up all processes
            os.close(news)
            os.close(report)
            self.send({**answer, "errno": error.errno})
            return
        if pid == 0:
            self._become_program(program, request, output, report)
        os.close(report)
        number = int(os.read(news, 16) or b"0")  # the end comes when the program runs
        os.close(news)
        if number:
            os.waitpid(pid, 0)
        else:
            self._children[pid] = request["number"]
        with _descriptor_of(pid if self._outlived and not number else 0) as descriptors:
            self.send({**answer, "errno": number}, descriptors)

    def _become_program(self, program: str, request: dict[str, Any], output: int, report: int) -> NoReturn:
        """In a process group of its own, output to the given descriptor, input from /dev/null."""
        try:
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            # Python ignores SIGPIPE, and what is ignored stays ignored: so shall SIGXFSZ, or a full disk would kill.
            for number in (signal.SIGCHLD, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            null = os.open("/dev/null", os.O_RDONLY)
            os.dup2(null, 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            report = os.dup2(report, 3, inheritable=False)
            os.closerange(4, 256)
            if self._confined:
                call("prctl", PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0)
            os.umask(0o022)
            environment = request["env"]
            user = pwd.getpwnam(request["user"]) if request["user"] else None
            home = user.pw_dir if user else environment["HOME"]
            os.chdir(request["cwd"] or home)
            if user:
                become(user)
            os.execve(program, request["argv"], {**environment, "HOME": home})
        except OSError as error:
            os.write(report, b"%d" % (error.errno or errno.EIO))
        except (KeyError, ValueError):  # the user is gone, or a NUL in an argument
            os.write(report, b"%d" % errno.EINVAL)
        finally:
            os._exit(127)

    def _write(self, request: dict[str, Any]) -> None:
        """Write a file into a folder, which is made if need be; the answer carries errno, 0 when it worked."""
        path, number = f"{request['folder']}/{request['name']}", 0
        try:
            os.makedirs(request["folder"], mode=0o755, exist_ok=True)
            how = os.O_CREAT | os.O_WRONLY | (os.O_TRUNC if request["replace"] else os.O_EXCL)
            descriptor = os.open(path, how, 0o600)
            try:
                content = base64.b64decode(request["content"])
                while content:
                    content = content[os.write(descriptor, content) :]
                os.fchmod(descriptor, request["mode"])
            finally:
                os.close(descriptor)
        except OSError as error:
            number = error.errno or errno.EIO
        except ValueError:  # a NUL in the name
            number = errno.EINVAL
        self.send({"written": path, "errno": number})

    def collect(self) -> None:
        """Collect every process that ended, orphans included."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            number = self._children.pop(pid, None)
            if number is not None:
                self.send({"exited": number, "status": os.waitstatus_to_exitcode(status)})

    def clear_wakeup(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 4096)

    def wait(self, seconds: float) -> None:
        """Wait until something may have ended."""
        select.select([self._wake], [], [], seconds)
        self.clear_wakeup()

    def send(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Tell the simulator."""
        try:
            socket.send_fds(self._control, [json.dumps(message).encode()], descriptors)
        except OSError:
            raise SimulatorGone from None

    @staticmethod
    def _make_wakeup() -> int:
        read_end, write_end = os.pipe()
        for end in (read_end, write_end):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        return read_end


@contextlib.contextmanager
def _descriptor_of(pid: int) -> Iterator[list[int]]:
    """A list with a descriptor of that process, which is ours and not collected yet; an empty one for 0."""
    descriptors = [os.pidfd_open(pid)] if pid else []
    try:
        yield descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def main() -> int:
    """The agent's service: serve until it ends or the simulator does."""
    if sys.argv[1:] == ["--version"]:
        print(os.path.basename(os.path.dirname(os.path.realpath(sys.argv[0]))))
        return 0
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control.connect(SOCKET)
    if not control.recv(PACKET_BYTES):
        print("The agent runs already.", file=sys.stderr)
        return 1
    tell_systemd("READY=1")
    executor = Executor(control, outlived=True)
    with contextlib.suppress(SimulatorGone):
        while True:
            readable, _writable, _errors = select.select(executor.sources, [], [])
            executor.serve(readable)
    return 1


def tell_systemd(state: str) -> None:
    """sd_notify(3)."""
    address = os.environ.pop("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)


if __name__ == "__main__":
    sys.exit(main())
