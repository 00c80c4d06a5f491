# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a rollout on the virtual clock: all that happens in it follows from its seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

from random_runs.plan import OLD_AGENT, StepPlan

from .cloud import REGION

SETTLE_S = 40
"""What a host says is there for the controller within a quarter of it, and guests go down within it (restart_model)."""
_WORDS = ("one", "two", "three")


@dataclass(frozen=True)
class Hit:
    """Something goes wrong with a host: at its so-manieth record, or so many seconds after the start."""

    what: str
    host: int
    record: int = 0
    at_s: float = 0.0
    seconds: float | None = None


@dataclass(frozen=True)
class Trouble:
    """Something goes wrong with requests for an action, from so many seconds after the start on."""

    action: str
    fault: str
    at_s: float
    times: int = 1
    took_effect: bool = False
    seconds: float = 1.0


@dataclass(frozen=True)
class Death:
    """A controller dies, before or after its so-manieth request for an action."""

    controller: int
    action: str
    number: int
    after: bool


@dataclass(frozen=True)
class HostPlan:
    """A host of the rollout."""

    boot_s: float
    shutdown_s: float
    slowness: float
    sticky: bool
    old_agent: bool
    event: bool
    running: bool


@dataclass(frozen=True)
class Plan:
    """A rollout, and what goes wrong with it. Times are in seconds; the deadline counts from the start."""

    seed: int
    hosts: tuple[HostPlan, ...]
    batches: tuple[int, ...]
    steps: tuple[StepPlan, ...]
    restart: str
    method: str
    most_restarts: int
    timeout_s: int
    restart_timeout_s: int
    step_timeout_s: int
    max_errors: Any
    deadline_s: int | None
    after_batch: int | None
    hits: tuple[Hit, ...]
    troubles: tuple[Trouble, ...]
    deaths: tuple[Death, ...]
    pauses_s: tuple[float, ...]

    @property
    def run_id(self) -> str:
        return f"V{self.seed}"

    @property
    def by_api(self) -> bool:
        """Whether there may be restarts through the API."""
        return self.method != "exit_code"

    @property
    def calm(self) -> bool:
        """Whether nothing goes wrong in it."""
        steps_pass = not any(step.fails or step.hangs for step in self.steps)
        troubles = self.hits or self.troubles or self.deaths
        fit = all(host.running and not (host.old_agent and self.method == "exit_code") for host in self.hosts)
        return steps_pass and fit and not troubles

    @property
    def stops(self) -> bool:
        """Whether there is more than its errors that may stop it."""
        return self.deadline_s is not None or self.after_batch is not None

    def names(self) -> list[str]:
        return [f"h{number}" for number in range(len(self.hosts))]

    def in_batches(self) -> list[list[str]]:
        """The names of the hosts of each batch."""
        names = iter(self.names())
        return [[next(names) for _number in range(size)] for size in self.batches]

    def fleet(self) -> dict[str, Any]:
        """The fleet file."""
        return {
            "seed": self.seed,
            "settings": {"guest_restart_shows_in_status": self.seed % 2 == 1, "agent_restart_s": 15.0},
            "regions": {
                REGION: {
                    "instances": [
                        {
                            "name": name,
                            "machine": "scripted",
                            "boot_s": host.boot_s,
                            "agent": {"version": OLD_AGENT} if host.old_agent else {},
                            "status": "Running" if host.running else "Stopped",
                            "events": [{"type": "SystemMaintenance.Reboot"}] if host.event else [],
                        }
                        for name, host in zip(self.names(), self.hosts)
                    ]
                }
            },
        }

    def step_options(self) -> list[dict[str, Any]]:
        """The steps as ecs_patch takes them. What a script does is for the double to know."""
        return [
            {
                "name": step.name,
                "script": f"echo {step.name}\n",
                "src": None,
                "unless": "check" if step.kind == "guarded" else None,
                "restart": step.restart,
                "timeout_s": self.step_timeout_s,
                "attempts": step.attempts,
                "rerun": step.kind == "rerun",
            }
            for step in self.steps
        ]


def make_plan(seed: int) -> Plan:
    """The plan of a seed."""
    dice = random.Random(f"virtual {seed}")
    sizes = dice.choice(((1, 2), (1, 2, 2), (2, 3), (1, 1, 3), (3,), (1, 4)))
    method = dice.choice(("auto", "auto", "exit_code", "api"))
    hosts = [_host(dice) for _number in range(sum(sizes))]
    if method == "exit_code":
        hosts = [replace(host, old_agent=host.old_agent and dice.random() < 0.1) for host in hosts]
    steps = [_step(dice, name) for name in _WORDS[: dice.choice((1, 2, 2, 3))]]
    trouble = dice.choices((0, 1, 2), (1, 5, 4))[0]
    if not trouble:
        hosts = [replace(host, running=True) for host in hosts]
        steps = [replace(step, fails=0, hangs=0) for step in steps]
    counts = [dice.choices((0, 1, 2, 3, 4), (2, 3, 3, 2, 1))[0] * bool(trouble) for _kind in range(3)]
    return Plan(
        seed=seed,
        hosts=tuple(hosts),
        batches=sizes,
        steps=tuple(steps),
        restart=dice.choices(("if_required", "always", "never"), (7, 2, 1))[0],
        method=method,
        most_restarts=dice.choice((1, 3, 4, 4)),
        timeout_s=dice.choices((500, 300, 100), (6, 2, 1))[0],
        restart_timeout_s=dice.choice((90, 150)),
        step_timeout_s=dice.choice((20, 60)),
        max_errors=dice.choice((None, 0, 0, 1, "25%", {"all": 0, "script": 1}, {"all": 1, "lost": 0})),
        deadline_s=dice.choices((None, 600, 1000, 2000), (6, 1, 2, 1))[0],
        after_batch=dice.choices((None, 1, 2), (6, 1, 1))[0],
        hits=tuple(_hit(dice, len(hosts)) for _number in range(counts[0] * trouble)),
        troubles=tuple(_trouble(dice) for _number in range(counts[1])),
        deaths=tuple(_death(dice, number) for number in range(min(3, counts[2]))),
        pauses_s=tuple(round(dice.choice((1, 20, dice.uniform(0, 300))), 1) for _start in range(8)),
    )


def _host(dice: random.Random) -> HostPlan:
    return HostPlan(
        boot_s=round(dice.choice((2, 10, dice.uniform(1, 30))), 1),
        shutdown_s=round(dice.choice((0.5, 3, dice.uniform(0, 25))), 1),
        slowness=round(dice.choice((1, 1, dice.uniform(0.5, 4))), 2),
        sticky=dice.random() < 0.1,
        old_agent=dice.random() < 0.2,
        event=dice.random() < 0.15,
        running=dice.random() > 0.03,
    )


def _step(dice: random.Random, name: str) -> StepPlan:
    fails = dice.choices((0, 1), (8, 2))[0]
    return StepPlan(
        name=name,
        kind=dice.choice(("guarded", "rerun", "bare")),
        restart=dice.choices(("never", "if_required", "always"), (2, 4, 2))[0],
        wish=dice.choices(("none", "exit_code", "evidence"), (3, 3, 2))[0],
        seconds=round(dice.choice((0.5, 3, dice.uniform(0.5, 8))), 2),
        fails=fails,
        hangs=dice.choices((0, 1), (9, 1))[0] if not fails else 0,
        attempts=dice.choice((1, 2, 2)),
    )


_HITS = {
    "controller": 5,
    "keeper": 5,
    "step": 3,
    "power_loss": 5,
    "agent_killed": 3,
    "agent_offline": 3,
    "report_lost": 3,
    "output_flood": 1,
    "spoiled_trailer": 4,
    "deaf_to_restart": 3,
    "boot_slow": 2,
    "boot_stuck": 1,
    "boot_twice": 1,
    "boot_without_agent": 1,
    "clock_skew": 2,
}


def _hit(dice: random.Random, hosts: int) -> Hit:
    what = dice.choices(list(_HITS), list(_HITS.values()))[0]
    hit = Hit(what, dice.randrange(hosts))
    if dice.random() < 0.75:
        hit = replace(hit, record=dice.choice((1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 18)))
    else:
        hit = replace(hit, at_s=round(dice.uniform(0, 200), 2))
    seconds = {
        "agent_killed": dice.choice((1, 10, 40)),
        "agent_offline": dice.choice((2, 8, 30, 100, 300)),
        "boot_slow": dice.choice((30, 100, 300)),
        "boot_twice": dice.choice((0, 5, 30)),
        "clock_skew": dice.choice((-1000, -310, -200, -20, 20, 200, 5000)),
    }
    return replace(hit, seconds=seconds.get(what))


_ACTIONS = {
    "RunCommand": 5,
    "RebootInstances": 5,
    "DescribeInvocations": 2,
    "DescribeInvocationResults": 2,
    "DescribeCloudAssistantStatus": 1,
    "Describe*": 1,
}


def _trouble(dice: random.Random) -> Trouble:
    action = dice.choices(list(_ACTIONS), list(_ACTIONS.values()))[0]
    fault = dice.choice(("throttle", "throttle", "http_500", "http_503", "connection_cut", "connection_cut"))
    if action.startswith("Describe") and dice.random() < 0.3:
        fault = "stale"
    return Trouble(
        action,
        fault,
        at_s=round(dice.choice((0, dice.uniform(0, 30), dice.uniform(0, 300))), 1),
        # Old news for longer than a quarter of the settle time is beyond what the collection promises to bear.
        times=dice.choice((1, 1, 2, 5, 15)) if fault != "stale" else 1,
        took_effect=fault not in ("throttle", "stale") and dice.random() < 0.6,
        seconds=dice.choice((1, 1, 4, 15)),
    )


def _death(dice: random.Random, number: int) -> Death:
    action = dice.choice(("RunCommand", "RebootInstances", "DescribeInvocations", "DescribeInvocationResults"))
    return Death(number, action, dice.choice((1, 1, 2, 3, 6)), dice.random() < 0.5)
