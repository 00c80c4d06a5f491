# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout on the virtual clock: controllers, one after the other, each as the role goes through the batches."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.cloudops.alibaba.plugins.doc_fragments._patch import ModuleDocFragment
from ansible_collections.cloudops.alibaba.plugins.module_utils._module import Context
from ansible_collections.cloudops.alibaba.plugins.module_utils._progress import Progress
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import CloudError
from ansible_collections.cloudops.alibaba.plugins.modules import ecs_patch, ecs_patch_info
from ecs_simulator.clock import iso
from ecs_simulator.cloud.injection import FaultRefused
from ecs_simulator.fleet_faults import Fault
from ecs_simulator.fleet_request_faults import RequestFault
from end_to_end.clouds import ROOT
from random_runs.history import History, Verdict, read_history

from .cloud import REGION, VirtualCloud, WatchedEcs
from .machine import DoubleMachine
from .plan import SETTLE_S, Hit, Plan, Trouble

MOST_STARTS = 6
# For how long the hosts are watched after the last verdict.
WATCH_S = 1500


class Killed(BaseException):
    """The controller is dead: no line of it runs any more."""


@dataclass(frozen=True)
class Batch:
    """A batch as a controller came to it ``at`` a time: what it knew of the run, whether it ``began``, and when."""

    controller: int
    number: int
    hosts: tuple[str, ...]
    failed: tuple[str, ...]
    at: float
    stop: str | None
    requests: int
    began: float


@dataclass
class Outcome:
    """How a rollout went."""

    plan: Plan
    histories: dict[str, History] = field(default_factory=dict)
    batches: list[Batch] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    lines: list[dict[str, Any]] = field(default_factory=list)
    start: float = 0.0
    end: float = 0.0
    ids: dict[str, str] = field(default_factory=dict)
    deaths: list[float] = field(default_factory=list)
    refused: list[CloudError] = field(default_factory=list)
    """What controllers ended with in place of verdicts."""

    @property
    def deadline(self) -> float | None:
        return None if self.plan.deadline_s is None else self.start + self.plan.deadline_s


class Controller:
    """One call of ansible-playbook: a clock whose sleeps pass the cloud's time, the API, and the role's batches."""

    def __init__(self, run: Rollout, number: int) -> None:
        self._run = run
        self.number = number
        self.dead = False
        self._asked: Counter[str] = Counter()

    # --- the clock

    def time(self) -> float:
        return self._run.cloud.now

    def monotonic(self) -> float:
        return self._run.cloud.now

    def sleep(self, seconds: float) -> None:
        self._run.cloud.advance(seconds)
        self.breathe()

    def breathe(self) -> None:
        """Nothing more of a dead controller."""
        if self.dead:
            raise Killed

    # --- requests

    def about_to_ask(self, action: str) -> None:
        self.breathe()
        self._asked[action] += 1
        self._die(action, after=False)

    def has_asked(self, action: str) -> None:
        self._die(action, after=True)
        self.breathe()

    def _die(self, action: str, *, after: bool) -> None:
        for death in self._run.plan.deaths:
            place = (death.controller, death.action, death.number, death.after)
            if place == (self.number, action, self._asked[action], after):
                self._run.outcome.fired["controller"] += 1
                self.dead = True
                raise Killed

    @property
    def requests(self) -> int:
        return self._asked.total()

    def connect(self) -> WatchedEcs:
        controller = self

        class Api(WatchedEcs):
            def before(self, action: str) -> None:
                controller.about_to_ask(action)

            def after(self, action: str) -> None:
                controller.has_asked(action)

        return self._run.cloud.reach(Api, self)

    # --- the role

    def roll_out(self) -> None:
        """What roles/patch_hosts/tasks/main.yml does with patch_hosts_fail: at_end."""
        plan, run = self._run.plan, self._run
        failed: list[str] = []
        for number, names in enumerate(plan.in_batches(), start=1):
            at, requests = self.time(), self.requests
            instances = [{"instance_id": run.ids[name], "name": name, "region_id": None} for name in names]
            found = self._call(
                ecs_patch_info,
                instances=instances,
                all_instance_ids=run.ids,
                run_id=plan.run_id,
                batch=number,
                restart_method=plan.method,
                restart=plan.restart,
                stop={
                    "failed": failed,
                    "hosts": len(plan.hosts),
                    "max_errors": plan.max_errors,
                    "deadline": run.deadline_text,
                    "batch_s": plan.timeout_s,
                    "after_batch": plan.after_batch,
                },
            )
            stop = (found.get("stop") or {}).get("kind")
            batch = Batch(
                self.number, number, tuple(names), tuple(failed), at, stop, self.requests - requests, self.time()
            )
            run.outcome.batches.append(batch)
            if stop:
                return
            patched = self._call(
                ecs_patch,
                instances=instances,
                preflight=found,
                steps=plan.step_options(),
                restart=plan.restart,
                settle_time=SETTLE_S,
                restart_timeout=plan.restart_timeout_s,
                max_restarts=plan.most_restarts,
                timeout=plan.timeout_s,
                runner_dir=runner_folder().name,
            )
            for verdict in patched["instances"].values():
                run.verdicts[verdict["name"]].append(Verdict(plan.run_id, self.time(), verdict))
            failed += [blame_of(verdict) for verdict in patched["instances"].values() if not verdict["ok"]]

    def _call(self, module: Any, **options: Any) -> dict[str, Any]:
        context = _Context(
            _defaults(module) | {"region_id": REGION} | options,
            check_mode=False,
            clock=self,
            progress=Progress(self, enabled=False),
        )
        context.params["_api"] = self.connect()
        result: dict[str, Any] = module.core(context)
        return result


class _Context(Context):
    """A module's context with an API of ours."""

    def connect(self, region_id: str | None = None) -> Any:
        return self.params["_api"]


@cache
def _defaults(module: Any) -> dict[str, Any]:
    """The options that nobody gives."""
    documented = [yaml.safe_load(text)["options"] for text in (module.DOCUMENTATION, ModuleDocFragment.WORK)]
    return {name: option.get("default") for options in documented for name, option in options.items()}


@cache
def runner_folder() -> tempfile.TemporaryDirectory[str]:
    """The real delivery with a runner that is only a name: the double takes its place, and packing it costs time.

    It goes with the process that has asked for it first, so ask before a fork.
    """
    made = tempfile.TemporaryDirectory(prefix="cloudops-virtual-")
    folder = Path(made.name)
    files = ROOT / "roles" / "patch_hosts" / "files"
    for delivery in files.glob("deliver.*"):
        shutil.copy(delivery, folder)
    (folder / "runner").mkdir()
    for part in (files / "runner").iterdir():
        stub = "exit 78\n" if part.suffix == ".sh" else "$REFUSED = 78\nfunction Stop-Runner { exit $REFUSED }\n"
        (folder / "runner" / part.name).write_text(stub, encoding="utf-8")
    return made


class Rollout:
    """A plan at work."""

    def __init__(self, plan: Plan, *, http: bool = False) -> None:
        self.plan = plan
        self.outcome = Outcome(plan)
        self._hosts = dict(zip(plan.names(), plan.hosts))
        self._living: Controller | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.cloud = VirtualCloud(plan.fleet(), self._machine, http=http)
        self.ids = self.outcome.ids = self.cloud.ids()
        self.verdicts: dict[str, list[Verdict]] = {name: [] for name in plan.names()}
        self.outcome.start = self.cloud.now
        self._arm()

    @property
    def deadline_text(self) -> str | None:
        """The deadline as people write it."""
        return None if self.outcome.deadline is None else iso(self.outcome.deadline)

    def _machine(self, name: str, clock: Any) -> DoubleMachine:
        host = self._hosts[name]
        steps = {step.name: step for step in self.plan.steps}
        return DoubleMachine(clock, steps, slowness=host.slowness, shutdown_s=host.shutdown_s, sticky=host.sticky)

    def play(self) -> Outcome:
        """The whole rollout, with all the controllers that it takes."""
        try:
            self._until_it_ends()
            self.cloud.advance(WATCH_S)
            self._note()
        finally:
            self.cloud.close()
        return self.outcome

    def _until_it_ends(self) -> None:
        before: Any = None
        for number in range(MOST_STARTS):
            self._living = Controller(self, number)
            try:
                self._living.roll_out()
            except CloudError as error:
                self.outcome.refused.append(error)
            except Killed:
                self.outcome.deaths.append(self.cloud.now)
                before = None
            else:
                words = self._words()
                if words == before or all(ok for ok, _status, _failure in words.values()):
                    return
                before = words
            self._living = None
            self.cloud.advance(self.plan.pauses_s[number])

    def _words(self) -> dict[str, tuple[bool, str, str]]:
        last = {name: verdicts[-1].content for name, verdicts in self.verdicts.items() if verdicts}
        return {name: (word["ok"], word["status"], word["failure"] or "") for name, word in last.items()}

    def _note(self) -> None:
        outcome = self.outcome
        outcome.end = self.cloud.now
        outcome.lines = self.cloud.lines
        for name, instance_id in self.ids.items():
            lines = [
                line
                for line in self.cloud.lines
                if line.get("instance_id") == instance_id or instance_id in line.get("instance_ids", ())
            ]
            ledger = self.cloud.machines[instance_id].ledger
            outcome.histories[name] = read_history(self.plan, name, lines, ledger, self.verdicts[name])  # type: ignore[arg-type]

    # --- what goes wrong ---------------------------------------------------------------------------------------

    def _arm(self) -> None:
        for name in self.plan.names():
            machine = self.cloud.machines[self.ids[name]]
            machine.on_record = lambda number, name=name: self._recorded(name, number)
        for hit in self.plan.hits:
            if not hit.record:
                self._later(hit.at_s, lambda hit=hit: self._hit(hit))
        for trouble in self.plan.troubles:
            self._later(trouble.at_s, lambda trouble=trouble: self._begin(trouble))

    def _later(self, seconds: float, act: Any) -> None:
        async def later() -> None:
            await self.cloud.clock.sleep(seconds)
            act()

        self.cloud.do(lambda: self._keep(later()))

    def _keep(self, work: Any) -> None:
        self._tasks.append(asyncio.ensure_future(work))

    def _recorded(self, name: str, number: int) -> None:
        for hit in self.plan.hits:
            if hit.record == number and self.plan.names()[hit.host] == name:
                self._hit(hit)

    def _begin(self, trouble: Trouble) -> None:
        self.outcome.fired[f"{trouble.action} {trouble.fault}"] += 1
        self.cloud.cloud.faults.queue.add(
            RequestFault(
                trouble.action,
                trouble.fault,
                times=trouble.times,
                seconds=trouble.seconds,
                took_effect=trouble.took_effect,
            )
        )

    def _hit(self, hit: Hit) -> None:
        instance_id = self.ids[self.plan.names()[hit.host]]
        machine = self.cloud.machines[instance_id]
        was_there = True
        match hit.what:
            case "controller":
                was_there = self._living is not None
                if self._living:
                    self._living.dead = True
            case "keeper":
                was_there = machine.kill_keeper()
            case "step":
                was_there = machine.kill_step()
            case "spoiled_trailer":
                machine.spoil_trailers += 1
            case "deaf_to_restart":
                machine.deaf_to_restarts += 1
            case _:
                self._keep(self._fault(Fault(instance_id, hit.what, seconds=hit.seconds)))
        self.outcome.fired[hit.what] += was_there

    async def _fault(self, fault: Fault) -> None:
        with suppress(FaultRefused):
            await self.cloud.cloud.faults.add(fault)


def blame_of(verdict: dict[str, Any]) -> str:
    """Whose fault a verdict is."""
    return str(verdict.get("blame") or verdict["failure"])


def play(plan: Plan, *, http: bool = False) -> Outcome:
    """Play a plan; what the collection itself leaves to chance follows from the seed too."""
    random.seed(plan.seed)
    return Rollout(plan, http=http).play()
