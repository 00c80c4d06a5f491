# SPDX-License-Identifier: GPL-3.0-or-later
"""One randomised run: controllers, one after the other and side by side, until each host has its verdict."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

from end_to_end.clouds import ROOT

from .cloud import Cloud
from .controller import control
from .history import History, Verdict, read_history
from .invariants import Violation, violations
from .network import Network
from .plan import Hit, Plan

# The shortest that the collection takes.
SETTLE_S = 10
RESTART_S = 60
MOST_RESTARTS = 4
# The same command again, before nobody believes in an end.
MOST_STARTS = 8
# A controller's own limits end it long before.
CONTROLLER_S = 600
# For how long a host is watched after its last verdict.
WATCH_S = 5
_LOOK_S = 0.05

_FORK = multiprocessing.get_context("forkserver")
# What a controller imports, it finds there.
_FORK.set_forkserver_preload(["random_runs.campaign"])


@dataclass
class Outcome:
    """How a run ended."""

    plan: Plan
    histories: list[History]
    fired: Counter[str]
    controllers: int
    seconds: float

    @property
    def violations(self) -> list[Violation]:
        return [violation for history in self.histories for violation in violations(history)]


@dataclass
class _Controller:
    run_id: str
    process: ForkServerProcess
    answer: Connection


@dataclass
class Run:
    """A run at work on a cloud."""

    plan: Plan
    cloud: Cloud
    fired: Counter[str] = field(default_factory=Counter)
    verdicts: dict[str, list[Verdict]] = field(default_factory=dict)
    started: int = 0
    _endpoint: str = ""
    _alive: list[_Controller] = field(default_factory=list)
    _hitting: set[asyncio.Task[None]] = field(default_factory=set)
    _passed: Counter[int] = field(default_factory=Counter)

    async def play(self) -> Outcome:
        """The whole run, and what came of it."""
        began = time.monotonic()
        network = Network(self.cloud.connection["endpoint"], self.plan.losses)
        self._endpoint = await network.open()
        hosts = self.plan.host_names()
        self.verdicts = {host: [] for host in hosts}
        for number, host in enumerate(hosts):
            self.cloud.listeners[self.cloud.ids[host]] = lambda line, number=number: self._happened(number, line)
        try:
            await self._until_all_have_verdicts()
            await self._until_quiet()
        finally:
            for host in hosts:
                del self.cloud.listeners[self.cloud.ids[host]]
            for hitting in self._hitting:
                hitting.cancel()
            for controller in self._alive:
                controller.process.kill()
            network.close()
        return Outcome(
            self.plan,
            [self._history(host) for host in hosts],
            self.fired + network.fired,
            self.started,
            time.monotonic() - began,
        )

    def _history(self, host: str) -> History:
        instance_id = self.cloud.ids[host]
        self.cloud.catch_up()
        lines = self.cloud.lines[instance_id]
        return read_history(self.plan, host, lines, self.cloud.ledger(instance_id), self.verdicts[host])

    # --- controllers -------------------------------------------------------------------------------------------

    async def _until_all_have_verdicts(self) -> None:
        waiting = list(self.plan.run_ids)
        rivals = [self.plan.run_id] if self.plan.rival == "same run" else []
        for _start in range(MOST_STARTS):
            before = {run_id: self._words(run_id) for run_id in waiting}
            starts = [self._control(waiting[0])]
            starts += [self._control(run_id, rival=True) for run_id in [*waiting[1:], *rivals]]
            answered = {run_id for run_id in await asyncio.gather(*starts) if run_id}
            waiting = [run_id for run_id in waiting if run_id not in answered or not self._ends(run_id, before[run_id])]
            rivals = []
            if not waiting:
                return

    def _ends(self, run_id: str, before: list[tuple[str, str]]) -> bool:
        """All is well, or asking once more has brought the very same: a step that fails fails again."""
        words = self._words(run_id)
        bad = {status for status, _failure in words} - {"ok"}
        return not bad or (words == before and bad == {"failed"})

    def _words(self, run_id: str) -> list[tuple[str, str]]:
        """The last verdict on each host, as far as there is one."""
        words = []
        for verdicts in self.verdicts.values():
            of_run = [verdict.content for verdict in verdicts if verdict.run_id == run_id]
            if of_run:
                last = of_run[-1]
                words.append(("ok" if last["ok"] else last["status"], last["failure"] or ""))
        return words

    async def _control(self, run_id: str, *, rival: bool = False) -> str | None:
        """A controller from its start to its end, whoever ends it; its run id, if it gave verdicts."""
        await asyncio.sleep(self.plan.rival_delay_s if rival else 0)
        answer, theirs = _FORK.Pipe(duplex=False)
        process = _FORK.Process(target=control, args=(self._job(run_id, rival), theirs), daemon=True)
        await asyncio.to_thread(process.start)
        theirs.close()
        controller = _Controller(run_id, process, answer)
        self._alive.append(controller)
        self.started += 1
        end = time.monotonic() + CONTROLLER_S
        while process.is_alive() and not answer.poll():
            assert time.monotonic() < end, f"a controller of {run_id} does not end"
            await asyncio.sleep(_LOOK_S)
        self._alive.remove(controller)
        try:
            at, verdicts = answer.recv()
        except EOFError:  # it was killed
            at, verdicts = 0.0, []
        await asyncio.to_thread(process.join)
        for verdict in verdicts:
            self.verdicts[verdict["name"]].append(Verdict(run_id, at, verdict))
        return run_id if verdicts else None

    def _job(self, run_id: str, rival: bool) -> dict[str, Any]:
        """The options of ecs_patch_info and ecs_patch."""
        return self.cloud.connection | {
            "endpoint": self._endpoint,
            "instances": [
                {"instance_id": self.cloud.ids[host], "name": host, "region_id": None}
                for host in self.plan.host_names()
            ],
            "run_id": run_id,
            "restart_method": self.plan.rival_method if rival else self.plan.method,
            "steps": [step.options(run_id) for step in self.plan.steps],
            "restart": self.plan.restart,
            "settle_time": SETTLE_S,
            "restart_timeout": RESTART_S,
            "max_restarts": MOST_RESTARTS,
            "timeout": self.plan.timeout_s if self.started < 2 else 120,
            "runner_dir": str(ROOT / "roles" / "patch_hosts" / "files"),
            "hooks": {},
            "plan": {},
            "members": [],
            "stop": {},
            "mode": "patch",
            "health": None,
            "report_dir": None,
            "variables": {},
            "soak_time": 0,
        }

    # --- what goes wrong ---------------------------------------------------------------------------------------

    def _happened(self, host: int, line: dict[str, Any]) -> None:
        for number, hit in enumerate(self.plan.hits):
            if hit.host == host and hit.moment.fits(line):
                self._passed[number] += 1
                if self._passed[number] == hit.moment.number:
                    hitting = asyncio.ensure_future(self._hit(hit))
                    self._hitting.add(hitting)
                    hitting.add_done_callback(self._hitting.discard)

    async def _hit(self, hit: Hit) -> None:
        await asyncio.sleep(hit.moment.delay_s)
        host = self.plan.host_names()[hit.host]
        if hit.victim == "controller":
            was_there = bool(self._alive)
            for controller in self._alive[:1]:
                controller.process.kill()
        elif hit.victim == "keeper":
            was_there = await asyncio.to_thread(self.cloud.kill_keepers, host)
        else:
            was_there = await asyncio.to_thread(self.cloud.fault, self.cloud.ids[host], hit.victim, hit.seconds)
        if was_there:
            self.fired[hit.victim] += 1

    async def _until_quiet(self) -> None:
        """Nobody is at work on the hosts any more, and has not been for a while."""
        await asyncio.sleep(WATCH_S)
        for host in self.plan.host_names():
            await asyncio.to_thread(self.cloud.wait_until_quiet, host)
