# SPDX-License-Identifier: GPL-3.0-or-later
"""The double of the step runner says word for word what the real one says, whatever happens to both.

The real one runs in a shell on a GatedHost, and the model of test_runner_interleavings.py looks on. Both are given the
same deliveries, ends of steps, kills, power cuts, times and clocks. ``COMPARISONS=200 pytest
tests/virtual_runs/test_double.py`` compares more of them.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.trailer import Trailer
from ansible_collections.cloudops.alibaba.tests.unit.gated_host import Work
from ansible_collections.cloudops.alibaba.tests.unit.host_under_test import Answer
from ansible_collections.cloudops.alibaba.tests.unit.runner_model import Asked
from ansible_collections.cloudops.alibaba.tests.unit.test_runner_interleavings import Interleaving
from ecs_simulator.clock import ManualClock

from .double import Delivery, Run, Runner, Said, Session, Started, StepRecords, make_delivery

pytestmark = pytest.mark.once

EXAMPLES = int(os.environ.get("COMPARISONS", "12"))
_MOVES = 14
_TURNS = 30


class GatedKernel:
    """What the double finds on the host that the real runner has: its boots and clocks, and gates of its own."""

    def __init__(self, interleaving: Compared) -> None:
        self._host = interleaving.host
        self._loop = interleaving.loop
        self.clock = ManualClock()
        self.runs: dict[str, Run] = {}
        self.sessions: list[tuple[Session, asyncio.Future[int]]] = []

    @property
    def boot_id(self) -> str:
        return self._host.boot_id

    def date(self) -> int:
        return self._host.clock

    def uptime(self) -> int:
        return self._host.uptime

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    async def overtime(self, seconds: float) -> None:
        """The real one's watches live in real time, of which too little passes here."""
        await self._loop.create_future()

    def log(self, text: str) -> None:
        """Nobody reads it."""

    async def recorded(self) -> None:
        """Nothing goes wrong there: the real one would have to be stopped at the very same record."""

    def evidence(self) -> tuple[str, str]:
        path = self._host.folder / "reboot-required"
        return ("required", str(path)) if path.exists() else ("unknown", "nothing_tells")

    def spawn(self, session: Session, run_id: str, started: Started | None) -> None:
        if started:
            self.runs[run_id].steps.setdefault(session.step, StepRecords()).started = started
        gate: asyncio.Future[int] = self._loop.create_future()
        self.sessions.append((session, gate))
        session.task = asyncio.ensure_future(self._work(session, gate))

    async def _work(self, session: Session, gate: asyncio.Future[int]) -> None:
        code = 137
        try:
            code = await gate
        finally:
            session.ended.set_result(code)

    def living(self, work: Work) -> tuple[Session, asyncio.Future[int]]:
        (found,) = (
            (session, gate)
            for session, gate in self.sessions
            if session.lives and (session.kind, session.step) == (work.kind, work.name)
        )
        return found

    def kill_keeper(self) -> None:
        for run in self.runs.values():
            if run.keeper:
                run.keeper.cancel()

    def cut_power(self) -> None:
        self.kill_keeper()
        for session, _gate in self.sessions:
            session.kill("KILL")


class Compared(Interleaving):
    """An interleaving that happens to both."""

    def __init__(self, folder: Path, shell: str, steps: list[dict[str, Any]], always: bool) -> None:
        super().__init__(folder, shell, steps, always)
        self.loop = asyncio.new_event_loop()
        self.kernel = GatedKernel(self)
        self.doubles: dict[str, asyncio.Task[Said]] = {}
        self.compared = 0
        self._delivery: Delivery | None = None
        self._deliver, self.host.deliver = self.host.deliver, self._note_delivery  # type: ignore[method-assign]
        self._judge, self.model.answered = self.model.answered, self._compare  # type: ignore[method-assign]

    def settle(self) -> None:
        async def turns() -> None:
            for _turn in range(_TURNS):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turns())

    def _note_delivery(self, *arguments: Any, **more: Any) -> Path:
        path = self._deliver(*arguments, **more)
        files = {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}
        self._delivery = make_delivery(path.name, files)
        return path

    def send(self, controller: str, kind: str, method: str) -> None:
        super().send(controller, kind, method)
        delivery = self._delivery
        assert delivery

        async def start() -> None:
            self.doubles[delivery.name] = asyncio.ensure_future(Runner(self.kernel, delivery).continue_run())

        self.loop.run_until_complete(start())
        self.settle()

    def _compare(self, asked: Asked, answer: Answer) -> None:
        self._judge(asked, answer)
        self.settle()
        said = self.doubles.pop(asked.delivery).result()
        double = Answer(said.code, said.output)
        assert (double.code, _words(double.trailer)) == (answer.code, _words(answer.trailer)), asked
        self.compared += 1

    def let_go(self, work: Work, code: int, evidence: bool) -> None:
        session, gate = self.kernel.living(work)
        if evidence and work.kind == "step":
            self.host.write("reboot-required", "")
        self.loop.call_soon(gate.set_result, code if work.kind == "step" else int(code != 1))
        self.settle()
        super().let_go(work, code, evidence)
        assert not session.lives

    def let_all_pass(self) -> None:
        while self.held():
            work = self.held()[0]
            done = self.model.steps[work.name].passed
            self.let_go(work, 0 if work.kind == "step" or done else 1, evidence=False)

    def targets(self) -> list[tuple[str, int]]:
        """Of those that can be killed, the ones that the double has too."""
        return [target for target in super().targets() if target[0].split()[0] in ("runner", "keeper", "session")]

    def kill(self, index: int) -> None:
        targets = self.targets()
        if not targets:
            return
        what, pid = targets[index % len(targets)]
        if what == "keeper":
            self.kernel.kill_keeper()
        elif what == "session":
            (work,) = (work for work in self.held() if work.leader == pid)
            self.kernel.living(work)[0].kill("KILL")
        else:
            self.doubles.pop(self.runners[what.split()[1]][1].delivery).cancel()
        self.settle()
        super().kill(index)

    def cut_power(self) -> None:
        super().cut_power()
        self.kernel.cut_power()
        for double in self.doubles.values():
            double.cancel()
        self.doubles.clear()
        self.settle()

    def pass_time(self, seconds: int) -> None:
        # The host's clock first: whoever wakes up looks at it.
        self.host.pass_time(seconds)
        self.loop.run_until_complete(self.kernel.clock.advance(seconds))
        super().pass_time(0)

    def end(self) -> None:
        super().end()
        self.kernel.cut_power()
        for double in self.doubles.values():
            double.cancel()
        self.settle()
        self.loop.close()


def _words(trailer: Trailer) -> dict[str, Any]:
    """What a trailer says, without where the log is and when it was."""
    kept = ("state", "method", "boot_id", "reason", "again", "wait_s", "blame", "changed", "replayed", "whole", "steps")
    words = {key: getattr(trailer, key) for key in (*kept, "evidence", "evidence_reason", "stale")}
    receipts = [(one.verdict, one.method, one.boot_id_before, one.boot_id_after) for one in trailer.restarts]
    return words | {"restarts": receipts}


def _steps(dice: random.Random) -> list[dict[str, Any]]:
    return [
        {
            "guarded": dice.random() < 0.5,
            "rerun": dice.random() < 0.5,
            "restart": dice.choice(("never", "if_required", "always")),
            "attempts": dice.choice((1, 2)),
            "in_child": False,
        }
        for _number in range(dice.choice((2, 3)))
    ]


def _move(interleaving: Compared, dice: random.Random) -> tuple[str, tuple[Any, ...]]:
    index = dice.randrange(10)
    name = dice.choices(("go_on", "continue_", "kill", "pass_time", "cut_power", "jump"), (8, 5, 4, 2, 2, 1))[0]
    kinds = ("plain", "plain", "plain", "late", "soon", "changed", "forbid")
    return name, {
        "go_on": (index, dice.choice((0, 0, 0, 1, 194)), dice.random() < 0.3),
        "continue_": (dice.choice("AB"), dice.choice(kinds), dice.choice(("exit_code", "exit_code", "api"))),
        "kill": (index,),
        "pass_time": (dice.choice((10, 100)),),
        "cut_power": (),
        "jump": (dice.choice((-400, -100, 0, 100)),),
    }[name]


@pytest.mark.parametrize("seed", range(EXAMPLES))
def test_the_double_says_what_the_runner_says(tmp_path: Path, seed: int) -> None:
    dice = random.Random(f"double {seed}")
    interleaving = Compared(tmp_path, "sh", _steps(dice), dice.random() < 0.2)
    try:
        for _number in range(_MOVES):
            move, arguments = _move(interleaving, dice)
            interleaving.story.append(f"{move} {arguments}")
            getattr(interleaving, move)(*arguments)
        interleaving.calm_down()
    except BaseException:
        print(*interleaving.story, interleaving.host.read("base/runs/r-1/log"), sep="\n")
        raise
    finally:
        interleaving.end()
    assert interleaving.compared >= 2
