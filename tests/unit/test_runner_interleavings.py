# SPDX-License-Identifier: GPL-3.0-or-later
"""Random interleavings of controllers, kills, power cuts and clocks, against a model of the step runner.

Ordinary runs try the same few examples each time. ``INTERLEAVINGS=500 pytest tests/unit/test_runner_interleavings.py``
tries 500 new ones with each shell. What fails is printed: the example, and what came of each move.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.tests.unit.gated_host import GatedHost, Work
from ansible_collections.cloudops.alibaba.tests.unit.host_under_test import Answer, kill, until
from ansible_collections.cloudops.alibaba.tests.unit.runner_model import MOST_RESTARTS, SETTLE_S, Asked, Model, Step
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.once

EXAMPLES = int(os.environ.get("INTERLEAVINGS", "0"))
CALM_CONTINUES = 20

STEPS = st.builds(
    dict,
    guarded=st.booleans(),
    rerun=st.booleans(),
    restart=st.sampled_from(["never", "if_required", "always"]),
    attempts=st.integers(1, 2),
    in_child=st.booleans(),
)
INDEX = st.integers(0, 9)
# What may be tried next, with its arguments; what is impossible then is left out. Good moves come up more often.
MOVES = {
    "go_on": (6, st.tuples(INDEX, st.sampled_from([0, 0, 0, 1, 194]), st.booleans())),
    "continue_": (
        4,
        st.tuples(
            st.sampled_from(["A", "B", "AB"]),
            st.sampled_from(["plain", "plain", "plain", "plain", "late", "soon", "soon", "changed", "forbid"]),
            st.sampled_from(["exit_code", "exit_code", "exit_code", "api"]),
        ),
    ),
    "kill": (4, st.tuples(INDEX)),
    "pause_after": (3, st.tuples(st.integers(0, 12))),
    "pass_time": (2, st.tuples(st.sampled_from([10, 100]))),
    "cut_power": (2, st.tuples()),
    "jump": (1, st.tuples(st.sampled_from([-400, -100, 0, 100]))),
}
MOVE = st.sampled_from([name for name, (weight, _arguments) in MOVES.items() for _time in range(weight)]).flatmap(
    lambda name: st.tuples(st.just(name), MOVES[name][1])
)


class Interleaving:
    """Two controllers, one host, and bad luck."""

    def __init__(self, folder: Path, shell: str, steps: list[dict[str, Any]], always: bool) -> None:
        self.host = GatedHost(folder, shell)
        names = ["one", "two", "three"]
        self.model = Model(self.host, {name: Step(name, **more) for name, more in zip(names, steps)}, always)
        self.runners: dict[str, tuple[subprocess.Popen[str], Asked]] = {}
        self.story: list[str] = []

    def go_on(self, index: int, code: int, flag: bool) -> None:
        """Whatever would come next if nothing went wrong, except that a step may fail."""
        held = self.held()
        if self.host.skew < -300:
            self.jump(0)
        if self.host.paused():
            self.resume()
        elif held:
            self.let_go(held[index % len(held)], code, evidence=flag)
        elif self.model.told and not self.runners:
            self.restart(sticky=flag)
        else:
            self.continue_("A")

    # --- controllers

    def continue_(self, who: str, kind: str = "plain", method: str = "exit_code") -> None:
        for controller in who:
            if controller not in self.runners:
                self.send(controller, kind, method)
        self.wait()

    def send(self, controller: str, kind: str, method: str) -> None:
        now = self.host.now
        not_after = now + {"late": -1, "soon": 30}.get(kind, 10_000)
        comment = "\n# changed" if kind == "changed" else ""
        steps = []
        for step in self.model.steps.values():
            sent = self.host.step(
                step.name,
                in_child=step.in_child,
                guarded=step.guarded,
                rerun="yes" if step.rerun else "no",
                restart=step.restart,
                attempts=step.attempts,
            )
            steps.append(sent | {"script": sent["script"] + comment})
        policy = "always" if self.model.always else "never" if kind == "forbid" else "if_required"
        self.model.forbidden |= policy == "never"
        delivery = self.host.deliver(
            tuple(steps),
            sent_at=now,
            not_after=not_after,
            settle_s=SETTLE_S,
            most_restarts=MOST_RESTARTS,
            method=method,
            restart=policy,
        )
        asked = Asked(
            delivery=delivery.name,
            deadline=self.host.uptime + not_after - now - max(0, self.host.skew),
            changed=kind == "changed",
            finished=frozenset(name for name, step in self.model.steps.items() if step.finished),
        )
        if self.host.processes() or self.runners:
            self.model.met |= {asked.delivery, *(other.delivery for _runner, other in self.runners.values())}
        self.model.asked[delivery.name] = asked
        # Not a pipe, which what a killed runner leaves behind would hold open.
        with (self.host.folder / f"{delivery.name}.output").open("w", encoding="utf-8") as output:
            self.runners[controller] = (self.host.start_delivery(delivery, output), asked)

    def wait(self) -> None:
        """Until nothing moves; then see what has happened and what the runners say."""

        def quiet() -> bool:
            begun = len(self.host.works)
            is_quiet = self.host.is_quiet([runner for runner, _asked in self.runners.values()])
            for work in self.host.works[begun:]:
                self.model.begun(work, self.host.living(self.host.processes()))
            return is_quiet and len(self.host.works) == begun

        until(quiet)
        self.model.look(self.host.living(self.host.processes()), self.host.paused())
        for controller, (runner, asked) in list(self.runners.items()):
            if runner.poll() is not None:
                del self.runners[controller]
                if runner.returncode >= 0:
                    self.answer = Answer(runner.returncode, self.host.read(f"{asked.delivery}.output"))
                    self.story.append(
                        f"    {controller} is told {self.answer.code}: {self.answer.output.splitlines()[-1]}"
                    )
                    self.model.answered(asked, self.answer)

    # --- steps

    def held(self) -> list[Work]:
        return [work for work in self.host.living(self.host.processes()) if not work.let_go]

    def let_go(self, work: Work, code: int, evidence: bool) -> None:
        if evidence and work.kind == "step":
            self.host.write("reboot-required", "")
        # Guards mostly say that there is something to do.
        self.host.let_go(work, code if work.kind == "step" else int(code != 1))
        self.wait()

    # --- bad luck

    def targets(self) -> list[tuple[str, int]]:
        """Whom to kill: a name for people, and a process."""
        processes = self.host.processes()
        targets = [(f"runner {name}", runner.pid) for name, (runner, _asked) in self.runners.items()]
        targets += [("keeper", keeper) for keeper in self.host.keepers(processes)]
        targets += [("leader", work.leader) for work in self.held()]
        targets += [("session", work.leader) for work in self.held()]
        watches = {process.pid for process in processes if process.is_verb("watch")}
        targets += [("overtime", process.pid) for process in processes if process.parent in watches]
        paused = self.host.paused()
        return targets + ([("paused", paused)] if paused else [])

    def kill(self, index: int) -> None:
        targets = self.targets()
        if not targets:
            return
        what, pid = targets[index % len(targets)]
        self.story.append(f"    {what}")
        processes = self.host.processes()
        living = self.host.living(processes)
        self.model.blurred |= self.host.paused() is not None
        for process in processes:
            if process.pid == pid or (what == "session" and process.session == pid):
                kill(process.pid)
        until(lambda: pid not in [process.pid for process in self.host.processes()])
        if pid in self.host.keepers(processes):
            self.model.killed_keeper(pid, living)
        self.wait()

    def cut_power(self) -> None:
        processes = self.host.processes()
        living = self.host.living(processes)
        self.model.blurred |= self.host.paused() is not None
        self.host.cut_power()
        for keeper in self.host.keepers(processes):
            self.model.killed_keeper(keeper, living)
        self.model.dead_keepers |= {work.keeper for work in self.host.works}
        for runner, _asked in self.runners.values():
            runner.wait()
        self.runners.clear()
        self.model.booted()
        self.host.boot()

    def restart(self, sticky: bool) -> None:
        """What was asked for: by the agent after 194, or by the API."""
        if not sticky:
            (self.host.folder / "reboot-required").unlink(missing_ok=True)
        self.cut_power()

    # --- time

    def pass_time(self, seconds: int) -> None:
        if self.host.paused():
            return
        self.host.pass_time(seconds)
        processes = self.host.processes()
        for runner, asked in self.runners.values():
            if self.host.uptime > asked.deadline:
                for process in processes:
                    if process.parent == runner.pid and process.command.startswith("timeout "):
                        kill(process.pid, signal.SIGTERM)
        self.wait()

    def jump(self, skew: int) -> None:
        if self.host.paused():
            return
        self.host.skew = skew
        self.host.set_clocks()

    # --- records

    def pause_after(self, records: int) -> None:
        """The next time that so many records have been touched."""
        if not self.host.paused():
            self.host.write("fuse", str(records))

    def resume(self) -> None:
        self.host.resume()
        self.wait()

    # --- the end

    def calm_down(self) -> None:
        """From here on nothing goes wrong: the run gets done, or says what has happened to it."""
        self.story.append("calm")
        (self.host.folder / "fuse").unlink(missing_ok=True)
        if self.host.paused():
            self.resume()
        self.jump(0)
        for _attempt in range(CALM_CONTINUES):
            self.let_all_pass()
            if self.runners:
                continue
            self.continue_("A")
            self.let_all_pass()
            state = self.answer.trailer.state
            if state == "restart":
                self.restart(sticky=False)
            elif state == "pending":
                self.pass_time(SETTLE_S)
            elif state in ("done", "failed", "refused"):
                assert " failed (" not in self.answer.trailer.reason, f"nothing has failed: {self.answer.output}"
                return
        raise AssertionError(f"no end: {self.answer.output}\n{self.model}")

    def let_all_pass(self) -> None:
        """Steps do what they should, and guards tell what is so."""
        while self.held():
            work = self.held()[0]
            self.host.let_go(work, int(work.kind == "guard" and not self.model.steps[work.name].passed))
            self.wait()

    def end(self) -> None:
        self.host.cut_power()
        for runner, _asked in self.runners.values():
            runner.wait()


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_whatever_happens(shell: str, tmp_path: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell} here")

    @settings(
        max_examples=EXAMPLES or 14,
        derandomize=not EXAMPLES,
        phases=[Phase.generate, Phase.shrink] if EXAMPLES else [Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(STEPS, min_size=2, max_size=3), st.booleans(), st.lists(MOVE, min_size=6, max_size=14))
    def whatever(steps: list[dict[str, Any]], always: bool, moves: list[tuple[str, tuple[Any, ...]]]) -> None:
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            interleaving = Interleaving(Path(folder), shell, steps, always)
            try:
                for move, arguments in moves:
                    interleaving.story.append(f"{move} {arguments}")
                    getattr(interleaving, move)(*arguments)
                interleaving.calm_down()
            except BaseException:
                print(*interleaving.story, interleaving.host.read("base/runs/r-1/log"), interleaving.model, sep="\n")
                raise
            finally:
                interleaving.end()

    whatever()
