# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose clock, boots and every step are in the hands of a test, so that nothing has to be slept for.

Steps and guards write into a ledger when they begin, stay until the test lets them go, and write what they end with.
The runner's own processes can be paused just before or after one of their records is written or removed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.cloudops.alibaba.tests.unit.host_under_test import HostUnderTest, kill, until

# Put in front of the runner. Every record is synced before and after it gets its name.
HOOKS = """
date() { if [ "$1" = +%s ]; then read -r now <"$HOST/clock"; echo "$now"; else command date "$@"; fi; }
logger() { :; }
sync() { fuse; }
rm() { fuse; command rm "$@"; }
fuse() {
  [ -e "$HOST/fuse" ] && mv "$HOST/fuse" "$HOST/fuse.$$" 2>/dev/null || return 0
  read -r left <"$HOST/fuse.$$"
  echo $((left - 1)) >"$HOST/fuse.$$"
  if [ "$left" -gt 0 ]; then mv "$HOST/fuse.$$" "$HOST/fuse"; return 0; fi
  echo "$$" >"$HOST/paused"
  read -r _go <"$HOST/resume"
}
"""
SCRIPT = """
work() {
  mkfifo "$HOST/gate.$$"
  read -r now _idle <"$HOST/uptime"
  echo "begin @WORK@ $$ $PPID $now $0" >>"$HOST/ledger"
  read -r code <"$HOST/gate.$$"
  echo "end @WORK@ $$ $code" >>"$HOST/ledger"
  exit "$code"
}
"""


@dataclass
class Work:
    """A step or a guard that has begun, as the ledger tells."""

    kind: str
    name: str
    leader: int
    keeper: int
    now: float
    delivery: str
    code: int | None = None
    let_go: bool = False


@dataclass(frozen=True)
class Process:
    """What /proc tells of a process."""

    pid: int
    parent: int
    session: int
    stopped: bool
    command: str

    def is_verb(self, verb: str) -> bool:
        return f"/runner.sh {verb} " in self.command


@dataclass
class GatedHost(HostUnderTest):
    """See above."""

    folder: Path
    shell: str
    now: int = 1_000_000
    uptime: int = 100
    skew: int = 0
    works: list[Work] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(self.folder, self.shell)
        for real, ours in (
            ("/proc/sys/kernel/random/boot_id", "boot_id"),
            ("/proc/uptime", "uptime"),
            (f"{self.etc}/run-reboot-required", "reboot-required"),
        ):
            assert real in self.runner_text
            self.runner_text = self.runner_text.replace(real, str(self.folder / ours))
        self.runner_text = HOOKS + self.runner_text.replace("    sleep 1\n", "    sleep 0.01\n")
        self._ledger_read = 0
        (self.folder / "ledger").touch()
        os.mkfifo(self.folder / "resume")
        self.boot()

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"HOST": str(self.folder)}

    # --- time and power

    @property
    def clock(self) -> int:
        """The host's clock; those of the controllers have no skew."""
        return self.now + self.skew

    def pass_time(self, seconds: int) -> None:
        self.now += seconds
        self.uptime += seconds
        self.set_clocks()

    def set_clocks(self) -> None:
        self.write("clock", str(self.clock))
        self.write("uptime", f"{self.uptime}.00 0.00")

    def boot(self) -> None:
        self.boot_id = str(uuid.UUID(int=1 + int(getattr(self, "boot_id", "0")[-8:], 16)))
        self.write("boot_id", self.boot_id)
        self.uptime = 100
        self.set_clocks()

    def cut_power(self) -> None:
        """Everything stops before anything is killed: nobody sees another one die."""

        def stop_all() -> bool:
            processes = self.processes()
            for process in processes:
                kill(process.pid, signal.SIGSTOP)
            return all(process.stopped for process in processes)

        def kill_all() -> bool:
            processes = self.processes()
            for process in processes:
                kill(process.pid)
            return not processes

        until(stop_all)
        until(kill_all)
        for name in ("fuse", "paused"):
            (self.folder / name).unlink(missing_ok=True)

    # --- processes

    def processes(self) -> list[Process]:
        """All that live and were started by way of this host's runner."""
        mark = f"HOST={self.folder}\0".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (path / "environ").read_bytes():
                    state, parent, _group, session = (path / "stat").read_text().rsplit(") ", 1)[1].split()[:4]
                    command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if state != "Z":
                        found.append(Process(int(path.name), int(parent), int(session), state == "T", command))
        return found

    def paused(self) -> int | None:
        """The process that stands before or after a record."""
        text = self.read("paused")
        if not text.endswith("\n"):
            return None
        if int(text) in [process.pid for process in self.processes()]:
            return int(text)
        # Somebody has killed it.
        (self.folder / "paused").unlink()
        return None

    def resume(self) -> None:
        (self.folder / "paused").unlink()
        self.tell("resume", "go")

    def living(self, processes: list[Process]) -> list[Work]:
        """Steps and guards of which anything is left, the leader or another of its session."""
        sessions = {process.session for process in processes}
        return [work for work in self.works if work.leader in sessions]

    def is_quiet(self, runners: list[subprocess.Popen[str]]) -> bool:
        """Whether nothing moves until the test does something."""
        processes = self.processes()
        paused = self.paused()
        waiting = {process.parent for process in processes if process.command.startswith("timeout ")}
        moving = [runner.pid for runner in runners if runner.poll() is None and runner.pid not in waiting]
        self.read_ledger()
        pids = {process.pid for process in processes}
        busy = {work.keeper for work in self.works if work.leader in pids and not work.let_go}
        busy |= {process.parent for process in processes if process.pid == paused}
        keepers = self.keepers(processes)
        moving += [keeper for keeper in keepers if keeper not in busy]
        moving += [p.pid for p in processes if p.is_verb("lead") or p.is_verb("guard")]
        asleep = {process.parent for process in processes if process.command.startswith("sleep ")}
        moving += [p.pid for p in processes if p.is_verb("watch") and p.pid not in asleep]
        moving += [work.leader for work in self.living(processes) if work.let_go]
        if not keepers and paused is None:
            # Nobody has the lock, so nobody waits for it.
            moving += [runner.pid for runner in runners if runner.poll() is None]
        return not set(moving) - {paused}

    def keepers(self, processes: list[Process]) -> list[int]:
        return [process.pid for process in processes if process.is_verb("keep") and process.pid == process.session]

    # --- the ledger and the gates

    def read_ledger(self) -> list[Work]:
        """Bring the works up to date; those that have begun since."""
        text = self.read("ledger")
        lines = text[self._ledger_read : text.rfind("\n") + 1]
        self._ledger_read += len(lines)
        begun = []
        for line in lines.splitlines():
            event, kind, name, leader, *rest = line.split()
            if event == "begin":
                keeper, now, path = rest
                begun.append(Work(kind, name, int(leader), int(keeper), float(now), Path(path).parents[2].name))
                self.works.append(begun[-1])
            else:
                (work,) = (work for work in self.works if work.leader == int(leader))
                work.code = int(rest[0])
        return begun

    def let_go(self, work: Work, code: int) -> None:
        work.let_go = True
        self.tell(f"gate.{work.leader}", str(code))

    def step(self, name: str, *, in_child: bool, guarded: bool, **settings: Any) -> dict[str, Any]:
        """What to deliver of a step: it waits at its gate itself, or a child of it does."""
        script = SCRIPT.replace("@WORK@", f"step {name}") + ("work & wait $!" if in_child else "work")
        unless = {"unless": SCRIPT.replace("@WORK@", f"guard {name}") + "work"} if guarded else {}
        return {"name": name, "script": script, "timeout_s": 50_000} | unless | settings

    # --- files

    def read(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(f"{text}\n", encoding="utf-8")

    def tell(self, fifo: str, text: str) -> None:
        """Write into a FIFO as soon as somebody reads it."""

        def told() -> bool:
            with contextlib.suppress(OSError):
                descriptor = os.open(self.folder / fifo, os.O_WRONLY | os.O_NONBLOCK)
                os.write(descriptor, f"{text}\n".encode())
                os.close(descriptor)
                return True
            return False

        until(told)
