# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder that stands for a host, to run the real step runner on."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import IO, Any

from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.delivery import read_runner
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.trailer import Trailer, read_trailer

FILES = Path(__file__).resolve().parents[2] / "roles" / "patch_hosts" / "files"
OS_UPDATES = {"name": "os_updates", "builtin": "os_updates", "rerun": "yes", "restart": "if_required", "updates": "all"}
OTHER_BOOT = "11111111-1111-4111-8111-111111111111"


class Answer:
    """What a ``continue`` came to."""

    def __init__(self, code: int, output: str, run_id: str = "r-1") -> None:
        self.code = code
        self.output = output
        trailer = read_trailer(output, run_id)
        assert trailer, output
        assert len(output.splitlines()[-1]) <= 4096
        self.trailer: Trailer = trailer

    @property
    def said(self) -> tuple[int, str]:
        return self.code, self.trailer.state


class HostUnderTest:
    """A folder that stands for a host: its records, and the programs that its scripts find."""

    def __init__(self, folder: Path, shell: str) -> None:
        self.base = folder / "base"
        self.programs = folder / "programs"
        self.programs.mkdir()
        self.base.mkdir()
        self.run = self.base / "runs" / "r-1"
        self.trace = folder / "trace"
        self.trace.touch()
        self.etc = folder / "etc"
        self.etc.mkdir()
        self.take_runner()
        program = shutil.which(shell)
        assert program
        # The runner starts itself with sh: that is the shell under test.
        (self.programs / "sh").symlink_to(program)
        self.program("logger", "exit 0")
        self.distribution("alinux")
        ask = f"{self.programs}/needs-restarting"
        self.program("dnf", f'[ "$2" = needs-restarting ] && [ -e {ask} ] && exec {ask} -r; exit 9')
        self._folder = folder

    def take_runner(self, *, without: Collection[str] = ()) -> None:
        """Take the runner, which looks below this folder for what this computer happens to be."""
        self.runner_text = read_runner(FILES, without=without)
        for path in (
            "/etc/os-release",
            "/etc/zypp",
            "/boot/vmlinuz-",
            "/run/reboot-required",
            "/run/reboot-needed",
            "/usr/share/update-notifier",
        ):
            assert path in self.runner_text
            self.runner_text = self.runner_text.replace(path, f"{self.etc}/{path.strip('/').replace('/', '-')}")

    def program(self, name: str, text: str) -> None:
        """Put a program where the runner finds it first."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)

    def distribution(self, name: str) -> None:
        """Say what the host runs."""
        (self.etc / "etc-os-release").write_text(f"ID={name}-leap\nID_LIKE={name}\n", encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.programs}:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TRACE": str(self.trace)}

    def deliver(self, steps: tuple[dict[str, Any], ...], **request: Any) -> Path:
        """What the controller sends, unpacked; ``health`` is the health script."""
        now = int(time.time())
        values = {
            "run_id": "r-1",
            "sent_at": now,
            "not_after": now + 60,
            "settle_s": 60,
            "restart": "if_required",
            "method": "exit_code",
            "most_restarts": 3,
            "steps": len(steps),
        } | request
        work = repr((steps, values | {"sent_at": None, "not_after": None}))
        values.setdefault("work", hashlib.sha256(work.encode()).hexdigest()[:16])
        delivery = self.base / f"delivery.{uuid.uuid4().hex[:8]}"
        delivery.mkdir()
        health = values.pop("health", None)
        if health is not None:
            (delivery / "health").write_text(f"{health}\n", encoding="utf-8")
        (delivery / "runner.sh").write_text(self.runner_text, encoding="utf-8")
        # As what is unpacked has it.
        os.utime(delivery / "runner.sh", (0, 0))
        write_lines(delivery / "request", values)
        for number, step in enumerate(steps, start=1):
            folder = delivery / "steps" / f"{number:02d}"
            folder.mkdir(parents=True)
            settings = {"builtin": "", "restart": "never", "timeout_s": 30, "attempts": 1, "rerun": "no"} | step
            for name in ("script", "unless"):
                text = settings.pop(name, None)
                if text is not None:
                    (folder / name).write_text(f"{text}\n", encoding="utf-8")
            write_lines(folder / "step", settings)
        return delivery

    def start(self, *steps: dict[str, Any], **request: Any) -> subprocess.Popen[str]:
        return self.start_delivery(self.deliver(steps, **request))

    def start_delivery(self, delivery: Path, output: int | IO[str] = subprocess.PIPE) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["sh", str(delivery / "runner.sh"), "continue", str(self.base), str(delivery)],
            env=self.environment,
            executable=str(self.programs / "sh"),
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def continue_(self, *steps: dict[str, Any], **request: Any) -> Answer:
        process = self.start(*steps, **request)
        output, _nothing = process.communicate(timeout=60)
        return Answer(process.returncode, output, request.get("run_id", "r-1"))

    @property
    def traced(self) -> list[str]:
        """What the steps left in the trace."""
        return self.trace.read_text(encoding="utf-8").split()

    def pretend_restart(self, earlier: str = OTHER_BOOT) -> None:
        """As if the request had been made in an earlier boot."""
        record = self.run / "restart_requested"
        _boot, rest = record.read_text(encoding="utf-8").split(" ", 1)
        record.write_text(f"{earlier} {rest}", encoding="utf-8")

    def pretend_age(self, seconds: int) -> None:
        """As if the request had been made so long ago."""
        record = self.run / "restart_requested"
        boot, method, uptime, rest = record.read_text(encoding="utf-8").split(" ", 3)
        record.write_text(f"{boot} {method} {int(uptime) - seconds} {rest}", encoding="utf-8")


def step(name: str, script: str = "", **more: Any) -> dict[str, Any]:
    """A step that leaves its name in the trace, or does something else."""
    return {"name": name, "script": script or f"echo {name} >> $TRACE"} | more


def write_lines(path: Path, values: dict[str, Any]) -> None:
    path.write_text("".join(f"{key}={value}\n" for key, value in values.items()), encoding="utf-8")


def until(look: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextlib.contextmanager
def host_with(shell: str, folder: Path) -> Iterator[HostUnderTest]:
    """A host, of which nothing runs on afterwards."""
    try:
        yield HostUnderTest(folder, shell)
    finally:
        for pid in processes_with(str(folder)):
            kill(pid)


def processes_with(text: str) -> list[int]:
    """Processes whose command line holds a text."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if text in (path / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"):
                found.append(int(path.name))
        except OSError:
            continue
    return found


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def session_of(pid: int) -> int | None:
    """The session of a process that lives."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[3])


def kill_everything(host: HostUnderTest, *, but: int | None = None) -> None:
    """A power cut, as far as processes are concerned, of which the session of one process is spared."""
    sessions = {session_of(pid) for pid in processes_with(str(host.base))} - {None, but and os.getsid(but)}

    def members() -> list[int]:
        pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
        return [pid for pid in pids if session_of(pid) in sessions]

    # All at once: nobody sees another one die.
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in members():
            kill(pid, number)
    until(lambda: members() == [])
