# SPDX-License-Identifier: GPL-3.0-or-later
"""What the step runner may do and say, in plain Python. It learns what really ran from the ledger of a GatedHost."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.cloudops.alibaba.tests.unit.gated_host import GatedHost, Work
from ansible_collections.cloudops.alibaba.tests.unit.host_under_test import Answer

SETTLE_S = 60
MOST_RESTARTS = 3
PASSED = (0, 194)


@dataclass
class Step:
    """What is known of one step. ``unsure``: it has begun, and no keeper has seen it end."""

    name: str
    guarded: bool
    rerun: bool
    restart: str
    attempts: int
    in_child: bool
    finished: bool = False
    unsure: bool = False
    guard_said_no: bool = False
    begun_in: str = ""
    tries: int = 0
    passed_in_boot: int | None = None
    works: list[Work] = field(default_factory=list)
    guards: list[Work] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether it has ended well, seen or unseen by a keeper."""
        return any(work.code in PASSED for work in self.works)

    @property
    def waived(self) -> bool:
        """Whether a guard has said that it is done."""
        return any(guard.code == 0 for guard in self.guards)

    @property
    def wanted_a_restart(self) -> bool:
        return self.restart == "always" or (
            self.restart == "if_required" and any(work.code == 194 for work in self.works)
        )


@dataclass(frozen=True)
class Asked:
    """One ``continue``, and what was known when it was sent. ``deadline`` is an uptime of the host."""

    delivery: str
    deadline: int
    changed: bool
    finished: frozenset[str]


@dataclass
class Model:
    """One run on one host."""

    host: GatedHost
    steps: dict[str, Step]
    always: bool
    boot: int = 0
    receipts: int = 0
    asked: dict[str, Asked] = field(default_factory=dict)
    # Deliveries that were not alone on the host.
    met: set[str] = field(default_factory=set)
    # The restart that a controller was told of in this boot: its method, and when.
    told: tuple[str, int] | None = None
    seen: set[int] = field(default_factory=set)
    dead_keepers: set[int] = field(default_factory=set)
    # Processes were killed next to a record: whether it is there is not for the model to know.
    blurred: bool = False
    # Somebody forbade restarts meanwhile, which makes the runner forget that a step wants one.
    forbidden: bool = False

    # --- what happens on the host

    def begun(self, work: Work, living: list[Work]) -> None:
        step = self.steps[work.name]
        if work.keeper in self.host.keepers(self.host.processes()):
            for other in self.host.works:
                if other.keeper == work.keeper and other is not work and other.leader not in self.seen:
                    # A keeper does one thing after the other.
                    self.ended(other)
        else:
            # Killed while the step was about to begin, which then has another parent: nobody will see the end of it.
            self.dead_keepers.add(work.keeper)
        if work.kind == "guard":
            step.guards.append(work)
            return
        others = [other for other in living if other is not work and other.kind == "step" and other.code is None]
        assert not others, f"{work} while there is {others}"
        assert not step.finished, f"{step} is finished, and begins again"
        if work.delivery != step.begun_in:
            assert not step.unsure or step.rerun or step.guarded, f"{step} was interrupted, and begins again"
            assert not step.guarded or step.guard_said_no, f"{step} begins without a no of its guard"
            step.tries = 0
        for earlier in self.steps.values():
            if earlier is step:
                break
            assert earlier.passed or earlier.waived, f"{step} begins before {earlier}"
        assert work.now <= self.asked[work.delivery].deadline, f"{step} begins too late"
        step.tries += 1
        assert step.tries <= step.attempts
        step.unsure = True
        step.guard_said_no = False
        step.begun_in = work.delivery
        step.works.append(work)

    def ended(self, work: Work) -> None:
        """A living keeper has seen the end of it."""
        self.seen.add(work.leader)
        step = self.steps[work.name]
        if work.kind == "guard":
            step.finished |= work.code == 0
            step.guard_said_no = work.code == 1
        else:
            step.unsure = False
            step.finished |= work.code in PASSED

    def look(self, living: list[Work], paused: int | None) -> None:
        """All is quiet: keepers that live have recorded what has ended."""
        for work in self.host.works:
            if work.kind == "step" and work.code in PASSED and self.steps[work.name].passed_in_boot is None:
                self.steps[work.name].passed_in_boot = self.boot
            if work.leader in self.seen or work in living or work.keeper in self.dead_keepers:
                continue
            if paused is None or paused != work.keeper:
                self.ended(work)

    def killed_keeper(self, keeper: int, living: list[Work]) -> None:
        """Its records tell what it has seen last; of what still lives nobody will see the end."""
        self.dead_keepers.add(keeper)
        for work in self.host.works:
            if work.keeper == keeper and work.kind == "step" and work not in living and work.leader not in self.seen:
                records = {path.name for path in (self.host.run / "steps" / work.name).iterdir()}
                if records & {"finished", "failed"}:
                    self.ended(work)

    def request(self) -> list[str]:
        """The record of a restart that is asked for, as words: the boot id comes first."""
        return self.host.read("base/runs/r-1/restart_requested").split()

    def booted(self) -> None:
        """The host went down after this: was a restart asked for?"""
        if self.request()[:1] == [self.host.boot_id]:
            self.receipts += 1
        self.boot += 1
        self.told = None

    # --- what the runner says

    def answered(self, asked: Asked, answer: Answer) -> None:
        trailer = answer.trailer
        own = f" for={asked.delivery} " in answer.output
        assert own == (trailer.whole and not trailer.replayed), answer.output
        assert not trailer.replayed or asked.delivery in self.met, f"a replay of old news: {answer.output}"
        assert not trailer.whole or trailer.boot_id == self.host.boot_id, answer.output
        late = self.host.uptime > asked.deadline
        codes = {"done": 0, "pending": 75, "busy": 75, "late": 76, "refused": 78, "failed": 1}
        if trailer.state == "restart":
            code = {"api": 0, "exit_code": 76 if late else 194}[trailer.method]
        else:
            code = codes[trailer.state]
        assert answer.code == (0 if trailer.replayed else code), answer.output
        if trailer.replayed:
            return
        if own:
            self.told_of_steps(asked, answer)
            assert len(trailer.restarts) == self.receipts, answer.output
            assert all(receipt.verdict == "restarted" for receipt in trailer.restarts)
        if trailer.state == "restart":
            self.told_to_restart(answer)
        elif trailer.state == "late":
            assert late, answer.output
        elif trailer.state == "done":
            self.told_done(answer)
        else:
            assert self.is_explained(trailer.reason, asked), f"{answer.output}\n{self}"

    def told_of_steps(self, asked: Asked, answer: Answer) -> None:
        told = {name: entry["state"] for name, entry in answer.trailer.steps.items()}
        assert list(told) == list(self.steps)
        assert answer.trailer.changed == ("done" in told.values())
        for name, state in told.items():
            step = self.steps[name]
            agrees = {
                "done": step.passed,
                "skipped": step.waived,
                "failed": answer.trailer.state == "failed",
                "pending": name not in asked.finished,
            }[state]
            assert agrees, f"{answer.output}\n{step}"

    def told_to_restart(self, answer: Answer) -> None:
        trailer = answer.trailer
        assert self.request()[:1] == [self.host.boot_id], "a restart that is not on record"
        assert self.receipts < MOST_RESTARTS
        living = [work for work in self.host.living(self.host.processes()) if work.kind == "step"]
        assert not living, f"a restart while there is {living}"
        if self.told:
            method, uptime = self.told
            assert trailer.again
            assert trailer.method == method, "methods are mixed"
            assert self.host.uptime - uptime >= SETTLE_S, "two restarts within the settle time"
        self.told = (trailer.method, self.host.uptime)
        if trailer.reason.startswith("step:"):
            assert self.steps[trailer.reason.removeprefix("step:")].wanted_a_restart
        elif trailer.reason == "always":
            assert self.always
        else:
            assert trailer.reason.endswith("reboot-required"), answer.output

    def told_done(self, answer: Answer) -> None:
        assert all(step.passed or step.waived for step in self.steps.values())
        if self.forbidden:
            return
        assert self.receipts or not self.always
        for name, step in self.steps.items():
            if answer.trailer.steps[name]["state"] == "done" and step.wanted_a_restart:
                assert step.passed_in_boot is not None
                assert step.passed_in_boot < self.boot, f"{step} wanted a restart"

    def is_explained(self, reason: str, asked: Asked) -> bool:
        """Whether something has happened that is a reason to say so."""
        if reason.startswith("another restart"):
            return self.receipts == MOST_RESTARTS
        if reason.startswith("the keeper was at work on other steps"):
            return asked.delivery in self.met
        if reason.startswith("the clock is"):
            return self.host.skew < -300
        if reason == "the keeper was killed":
            # Or the runner that was about to start one.
            return bool(self.dead_keepers) or self.blurred
        if reason == "the steps still run":
            return self.host.uptime > asked.deadline
        if reason.startswith("a restart was requested"):
            return self.request()[:1] == [self.host.boot_id]
        _step, name, what = reason.split(" ", 2)
        step = self.steps[name]
        interrupted = step.unsure or self.blurred
        if what == "still runs":
            return interrupted
        if what.startswith("has changed"):
            return interrupted and (self.blurred or asked.changed != self.asked[step.begun_in].changed)
        if what.startswith("was interrupted"):
            alive = any(work in step.works for work in self.host.living(self.host.processes()))
            return interrupted and not alive and not step.rerun and not step.guarded
        if what.startswith("has a guard"):
            return step.guards[-1].code not in (0, 1)
        if what.startswith("failed"):
            return not step.finished
        return False
