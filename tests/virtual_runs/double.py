# SPDX-License-Identifier: GPL-3.0-or-later
"""A double of the step runner: what `runner.sh continue` does and says, in plain Python and in virtual time.

It follows the functions of roles/patch_hosts/files/runner one by one, and keeps the same records. Left out are the
built-in step os_updates, health, assessing, other runs on the same host, clones and full disks.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import NoReturn, Protocol

from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.trailer import cksum

FAILED, LATER, LATE, REFUSED, RESTART = 1, 75, 76, 78, 194
CLOCK_SKEW_S = 300
TERM_GRACE_S = 10
GUARD_TIMEOUT_S = 60
OF_STATE = {"done": 0, "pending": LATER, "late": LATE, "refused": REFUSED}
FOLDER = "/var/lib/cloudops.alibaba/runs"


@dataclass(frozen=True)
class Step:
    """A step as it was delivered; ``content`` stands for what its script does."""

    name: str
    restart: str
    timeout_s: int
    attempts: int
    rerun: bool
    guarded: bool
    content: str


@dataclass(frozen=True)
class Delivery:
    """What a controller sent; ``request`` holds its key=value lines."""

    name: str
    request: dict[str, str]
    steps: tuple[Step, ...]

    def number(self, key: str) -> int:
        return int(self.request[key])


@dataclass
class Session:
    """A step or a guard at work, in a session of its own. ``ended`` gets its exit status."""

    kind: str
    step: str
    boot_id: str
    ended: asyncio.Future[int]
    task: asyncio.Task[None] | None = None
    signal: str = ""
    overdue: bool = False

    @property
    def lives(self) -> bool:
        return not self.ended.done()

    def kill(self, signal: str) -> None:
        """End it: by TERM it may still write down that it was ended."""
        if self.task and self.lives:
            self.signal = self.signal or signal
            self.task.cancel()


@dataclass
class Started:
    """The record of a step that has begun."""

    session: Session
    content: str
    attempt: int
    uptime: int
    timeout_s: int


@dataclass
class StepRecords:
    """BASE/runs/RUN/steps/NAME."""

    started: Started | None = None
    failed: bool = False
    finished: tuple[str, int] | None = None


@dataclass
class Requested:
    """restart_requested."""

    boot_id: str
    method: str
    uptime: int
    at: str
    reason: str


@dataclass
class Run:
    """BASE/runs/RUN: what is on the disk of a run; and its keeper, who is gone with the boot."""

    plan: str = ""
    wanted: str = ""
    requested: Requested | None = None
    restarts: list[str] = field(default_factory=list)
    stale_reason: str = ""
    steps: dict[str, StepRecords] = field(default_factory=dict)
    trailer: str = ""
    summary: list[str] = field(default_factory=list)
    keeper: asyncio.Task[None] | None = None

    @property
    def locked(self) -> bool:
        return self.keeper is not None and not self.keeper.done()


class Kernel(Protocol):
    """What the runner finds on its host."""

    boot_id: str
    runs: dict[str, Run]

    def date(self) -> int:
        """The host's clock, in seconds since the epoch."""

    def uptime(self) -> int: ...

    async def sleep(self, seconds: float) -> None: ...

    async def overtime(self, seconds: float) -> None:
        """Sleep for as long as a step or guard may take."""

    def log(self, text: str) -> None:
        """A line for the host's log."""

    async def recorded(self) -> None:
        """A record has just been written: the moment at which things like to go wrong."""

    def evidence(self) -> tuple[str, str]:
        """Whether a restart is required, and the reason."""

    def spawn(self, session: Session, run_id: str, started: Started | None) -> None:
        """Begin a session's work: a step writes its record ``started`` first."""


class _End(Exception):
    """The keeper has said its last word."""


@dataclass(frozen=True)
class Said:
    """The end of a `continue`."""

    code: int
    output: str


class Runner:
    """The runner of one delivery on a host."""

    def __init__(self, kernel: Kernel, delivery: Delivery) -> None:
        self.kernel = kernel
        self.delivery = delivery
        self.run_id = delivery.request["run_id"]
        self.method = delivery.request["method"]
        self.run_restart = delivery.request["restart"]
        self.log = f"{FOLDER}/{self.run_id}/log"

    async def continue_run(self) -> Said:
        """Carry the run on and tell how far it is."""
        kernel, number = self.kernel, self.delivery.number
        now = kernel.date()
        behind_s = max(0, number("sent_at") - now)
        if behind_s > CLOCK_SKEW_S:
            return self._leave("refused", REFUSED, f"the clock is {behind_s} s behind", blame="instance")
        self.ends_at = kernel.uptime() + number("not_after") - behind_s - now
        if not self._in_time():
            ago_s = now - number("sent_at")
            why = f"before the first step, and by this host's clock it was asked {ago_s} s ago"
            return self._leave("late", LATE, why)
        run = self.run = kernel.runs.setdefault(self.run_id, Run())
        if not run.locked:
            run.trailer = ""
            run.keeper = asyncio.ensure_future(self._keep())
        while run.locked and run.keeper:
            if not self._in_time():
                return self._leave("busy", LATER, "the steps still run")
            timer = asyncio.ensure_future(kernel.sleep(max(1, self.ends_at - kernel.uptime())))
            await asyncio.wait({run.keeper, timer}, return_when=asyncio.FIRST_COMPLETED)
            timer.cancel()
        return self._tell()

    def _in_time(self) -> bool:
        return self.kernel.uptime() <= self.ends_at

    def _tell(self) -> Said:
        run, trailer = self.run, self.run.trailer
        if not trailer:
            return self._leave("pending", LATER, "the keeper was killed")
        if f" for={self.delivery.name} " not in trailer:
            if f" work={self.delivery.request['work']} " not in trailer:
                return self._leave("pending", LATER, "the keeper was at work on other steps of the run")
            replayed = _with_checksum(trailer.rpartition(" cksum=")[0] + " replayed=yes")
            return Said(0, _lines(*run.summary, replayed))
        output = _lines(*run.summary, trailer)
        state = trailer.split(" state=")[1].split(" ")[0]
        if state == "restart":
            if " state=restart method=api " in trailer:
                return Said(0, output)
            return Said(RESTART if self._in_time() else LATE, output)
        return Said(OF_STATE.get(state, FAILED), output)

    def _leave(self, state: str, code: int, reason: str, *, blame: str = "script") -> Said:
        trailer = f"{self._trailer_start(state, 'none')} blame={blame} reason={word(reason)} log={self.log}"
        return Said(code, _lines(_with_checksum(trailer)))

    def _trailer_start(self, state: str, method: str) -> str:
        boot_id = self.kernel.boot_id
        return f"cloudops.alibaba/1 run={self.run_id} state={state} method={method} boot={boot_id} at={self._now()}"

    def _now(self) -> str:
        return datetime.fromtimestamp(self.kernel.date(), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    # --- the keeper --------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        self.boot_id = self.kernel.boot_id
        self.failed_step = ""
        self.blame = "script"
        self.found: tuple[str, str] = ("", "")
        self.stale = ""
        self.again = False
        self.wait_s = 0
        self.attempt = 0
        self.run.summary.clear()
        try:
            await self._check_plan()
            await self._settle_restart()
            await self._restart_for_finished_step()
            for step in self.delivery.steps:
                await self._work_on(step)
            await self._finish_run()
        except _End:
            pass

    async def _record(self) -> None:
        await self.kernel.recorded()

    async def _check_plan(self) -> None:
        plan = "always=yes" if self.run_restart == "always" else "always=no"
        if not self.run.plan:
            self.run.plan = plan
            await self._record()
        if self.run.plan != plan:
            self.blame = "input"
            await self._end(
                "refused",
                "the run id is one that restarts by another rule: give the restart of its first start, or another "
                "run id",
            )

    async def _settle_restart(self) -> None:
        run = self.run
        asked = run.requested
        if asked is None:
            return
        if asked.boot_id != self.boot_id:
            if not any(line.split()[1] == asked.boot_id for line in run.restarts):
                run.restarts.append(
                    f"{asked.method} {asked.boot_id} {self.boot_id} {asked.at} {self._now()} {asked.reason}"
                )
                await self._record()
            self.found = self.kernel.evidence()
            if self.found[0] != "required":
                self.found = (self.found[0], "")
            run.stale_reason = word(self.found[1])
            await self._record()
            run.wanted = ""
            await self._record()
            run.requested = None
            await self._record()
            run.summary.append(f"restarted: the boot id was {asked.boot_id} and is {self.boot_id}")
            return
        if self.run_restart == "never":
            run.summary.append(f"a restart was requested earlier ({asked.reason}), and this run may not restart")
            self.found = ("required", asked.reason)
            return
        self.method = asked.method
        self.again = True
        patience_s = self.delivery.number("settle_s") * (2 if asked.method == "api" else 1)
        age = self.kernel.uptime() - asked.uptime
        if age < patience_s:
            self.wait_s = patience_s - age
            await self._end("pending", f"a restart was requested {age} s ago")
        await self._ask_for_restart(asked.reason)

    async def _work_on(self, step: Step) -> None:
        records = self.run.steps.setdefault(step.name, StepRecords())
        if records.finished:
            return
        self.attempt = 0
        if records.started:
            await self._look_at_started_step(step, records, records.started)
        if not self._in_time():
            await self._end("late", f"before step {step.name}")
        if step.guarded and await self._guard_says_done(step):
            await self._finish_step(step, records, "skipped")
            await self._restart_for_finished_step()
            return
        while True:
            if not self._in_time():
                await self._end("late", f"before attempt {self.attempt + 1} of step {step.name}")
            if await self._run_step(step, records):
                break
            await self._give_up_after_last_attempt(step)
        if self.wants_restart:
            self.run.wanted = f"step:{step.name}"
            await self._record()
        await self._finish_step(step, records, "done")
        if self.run.wanted:
            await self._restart_for_finished_step()
        elif step.restart == "if_required":
            await self._restart_on_evidence()

    async def _look_at_started_step(self, step: Step, records: StepRecords, started: Started) -> None:
        session = started.session
        self.attempt = started.attempt
        same_boot = session.boot_id == self.boot_id
        if records.failed:
            self.attempt = 0
        elif same_boot and session.lives:
            self.wait_s = started.uptime + started.timeout_s - self.kernel.uptime()
            if self.wait_s > 0:
                await self._end("pending", f"step {step.name} still runs")
            self.wait_s = 0
            await self._end_late_attempt(step, records, session)
        elif same_boot and session.overdue:
            session.overdue = False
            await self._end_late_attempt(step, records, session)
        elif started.content != step.content:
            self.blame = "input"
            await self._end("refused", f"step {step.name} has changed since it began")
        elif not step.rerun and not step.guarded:
            self.blame = "lost"
            await self._fail_step(
                step, "was interrupted, and has neither a guard (unless) nor rerun: look how far it came"
            )

    async def _end_late_attempt(self, step: Step, records: StepRecords, session: Session) -> None:
        self.status = f"no end within {step.timeout_s} s"
        await self._end_failed_attempt(step, records, session)
        await self._give_up_after_last_attempt(step)

    async def _guard_says_done(self, step: Step) -> bool:
        self._log(f"step {step.name}: its guard runs")
        session = self._session("guard", step)
        self.kernel.spawn(session, self.run_id, None)
        await self._await(session, GUARD_TIMEOUT_S)
        code = session.ended.result()
        if self.status.startswith("no end") or code > 128:
            await self._fail_step(step, "has a guard that came to no end: it is unknown whether the step is done")
        return code == 0

    def _session(self, kind: str, step: Step) -> Session:
        return Session(kind, step.name, self.boot_id, asyncio.get_running_loop().create_future())

    async def _run_step(self, step: Step, records: StepRecords) -> bool:
        self.attempt += 1
        self.wants_restart = step.restart == "always"
        self.found = ("", self.found[1])
        records.failed = False
        self._log(f"step {step.name}: attempt {self.attempt} starts")
        session = self._session("step", step)
        started = Started(session, step.content, self.attempt, self.kernel.uptime(), step.timeout_s)
        self.kernel.spawn(session, self.run_id, started)
        await self._await(session, step.timeout_s)
        if self.status == "exit status 0":
            return True
        if self.status == f"exit status {RESTART}":
            self.wants_restart = step.restart != "never"
            if step.restart == "never":
                self.run.summary.append(f"{step.name}: asks for a restart, and may not have one")
            return True
        await self._end_failed_attempt(step, records, session)
        return False

    async def _await(self, session: Session, seconds: int) -> None:
        """Wait for a session; a watch of its own ends it when its time is over, keeper or not."""
        watch = asyncio.ensure_future(self._watch(session, seconds))
        await asyncio.wait({session.ended})
        if session.overdue:
            self.status = f"no end within {seconds} s"
            session.overdue = False
        else:
            self.status = f"exit status {session.ended.result()}"
            watch.cancel()

    async def _watch(self, session: Session, seconds: int) -> None:
        await self.kernel.overtime(seconds)
        if session.lives:
            session.overdue = True
            session.kill("TERM")

    async def _end_failed_attempt(self, step: Step, records: StepRecords, session: Session) -> None:
        if session.lives:
            session.kill("TERM")
            await asyncio.wait({session.ended})
        records.failed = True
        await self._record()
        self._log(f"step {step.name}: attempt {self.attempt} failed ({self.status})")

    async def _give_up_after_last_attempt(self, step: Step) -> None:
        if self.attempt < step.attempts:
            return
        if self.status.startswith("no end within"):
            self.blame = "timeout"
        await self._fail_step(step, f"failed ({self.status}), attempt {self.attempt} of {step.attempts}")

    async def _finish_step(self, step: Step, records: StepRecords, outcome: str) -> None:
        records.finished = (outcome, self.attempt)
        await self._record()
        self.run.summary.append(f"{step.name}: {outcome}")
        self._log(f"step {step.name}: {outcome}")

    async def _fail_step(self, step: Step, why: str) -> NoReturn:
        self.failed_step = step.name
        self.run.summary.append(f"{step.name}: {why}")
        await self._end("failed", f"step {step.name} {why}")

    async def _finish_run(self) -> None:
        if self.run_restart == "always" and not self.run.restarts:
            await self._ask_for_restart("always")
        await self._restart_on_evidence()
        by_api = any(line.startswith("api ") for line in self.run.restarts)
        if self.delivery.request.get("event") == "yes" and not by_api:
            await self._restart_for("system_event")
        await self._end("done", "")

    # --- restarts ----------------------------------------------------------------------------------------------

    async def _restart_for_finished_step(self) -> None:
        wanted = self.run.wanted
        records = self.run.steps.get(wanted.removeprefix("step:"))
        if records and records.finished:
            await self._restart_for(wanted)

    async def _restart_on_evidence(self) -> None:
        if not self.found[0]:
            self.found = self.kernel.evidence()
        required, reason = self.found
        if required != "required":
            return
        if word(reason) == self.run.stale_reason:
            self.stale = reason
            return
        await self._restart_for(reason)

    async def _restart_for(self, reason: str) -> None:
        if self.run_restart == "never":
            self.run.wanted = ""
            self.run.summary.append(f"a restart is required ({reason}), and this run may not restart")
            self.found = ("required", reason)
            return
        await self._ask_for_restart(reason)

    async def _ask_for_restart(self, reason: str) -> NoReturn:
        proven = len(self.run.restarts)
        if proven >= self.delivery.number("most_restarts"):
            await self._end("failed", f"another restart is required after {proven}")
        self.run.requested = Requested(self.boot_id, self.method, self.kernel.uptime(), self._now(), word(reason))
        await self._record()
        self.run.wanted = ""
        await self._record()
        self.run.summary.append(f"restart requested: {reason}")
        await self._end("restart", reason)

    # --- the last word -----------------------------------------------------------------------------------------

    def _log(self, text: str) -> None:
        self.kernel.log(f"run {self.run_id}: {text}")

    async def _end(self, state: str, reason: str) -> NoReturn:
        self._log(f"state {state}" + (f": {reason}" if reason else ""))
        await self._record()
        states = [(step.name, *self._state_of(step)) for step in self.delivery.steps]
        words = {
            "again": "yes" if self.again else "no",
            "wait": self.wait_s,
            "blame": self.blame,
            "reason": word(reason),
            "log": self.log,
            "for": self.delivery.name,
            "work": self.delivery.request["work"],
            "changed": "yes" if any(told == "done" for _name, told, _made in states) else "no",
            "steps": ",".join(f"{name}:{told}:{made}" for name, told, made in states),
            "evidence": self.found[0] or "unknown",
            "evidence_reason": word(self.found[1]),
            "stale": word(self.stale),
            "restarts": ";".join(line.replace(" ", "|") for line in self.run.restarts),
            "packages_count": 0,
            "packages": "",
        }
        text = " ".join(f"{key}={value}" for key, value in words.items())
        self.run.trailer = _with_checksum(f"{self._trailer_start(state, self.method)} {text}")
        raise _End

    def _state_of(self, step: Step) -> tuple[str, int]:
        records = self.run.steps.get(step.name)
        if records and records.finished:
            return records.finished
        return ("failed", self.attempt) if step.name == self.failed_step else ("pending", 0)


def word(text: str) -> str:
    """A text as one word of the trailer."""
    kept = "".join(character if character.isalnum() or character in "._+~:,/@() -" else "_" for character in text)
    return kept[:200].replace(" ", "%20")


def _with_checksum(line: str) -> str:
    return f"{line} cksum={cksum(line.encode())}"


def _lines(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def read_steps(files: dict[str, bytes]) -> tuple[Step, ...]:
    """The steps of a delivery, whose unpacked files these are by name."""
    steps = []
    for path in sorted(path for path in files if path.endswith("/step")):
        values = read_lines(files[path])
        folder = path.rpartition("/")[0]
        steps.append(
            Step(
                name=values["name"],
                restart=values["restart"],
                timeout_s=int(values["timeout_s"]),
                attempts=int(values["attempts"]),
                rerun=values["rerun"] == "yes",
                guarded=f"{folder}/unless" in files,
                content=str(cksum(files.get(f"{folder}/script", b""))),
            )
        )
    return tuple(steps)


def read_lines(text: bytes) -> dict[str, str]:
    """key=value lines."""
    return dict(line.partition("=")[::2] for line in text.decode().splitlines())


def make_delivery(name: str, files: dict[str, bytes]) -> Delivery:
    """From the unpacked files of a delivery."""
    return Delivery(name, read_lines(files["request"]), read_steps(files))
