# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a randomised run: everything in it follows from its seed, and only the timing is left to the machine."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

LEDGER = "/root/ledger"
OLD_AGENT = "2.2.3.250"
"""It knows nothing of exit code 194, so that ``auto`` becomes the API."""

# Each attempt says when it begins and how it ends, in which run and which boot. Its first attempts may fail, or hang
# until their time is over.
_SCRIPT = """\
note() {{ echo "$1 {run} {step} $(cat /proc/sys/kernel/random/boot_id) $(date +%s.%3N)" >> {ledger}; }}
trap 'note failed; exit 4' TERM
note start
made=$(cat /root/{run}.{step}.made 2>/dev/null || echo 0)
echo $((made + 1)) > /root/{run}.{step}.made
[ "$made" -ge {hangs} ] || sleep 30
sleep {seconds}
[ "$made" -ge {fails} ] || {{ note failed; exit 3; }}
touch /root/{run}.{step}.done
{evidence}note end
exit {code}
"""


@dataclass(frozen=True)
class StepPlan:
    """A step: ``bare`` has neither guard nor rerun; ``wish`` says how its script asks for a restart."""

    name: str
    kind: str
    restart: str
    wish: str
    seconds: float
    fails: int
    hangs: int
    attempts: int

    @property
    def wants_restart(self) -> bool:
        """Whether it asks for one in any case once it has passed."""
        return self.restart == "always" or (self.restart == "if_required" and self.wish == "exit_code")

    def options(self, run_id: str) -> dict[str, Any]:
        """The step as ecs_patch takes it."""
        options = {"name": self.name, "script": None, "src": None, "unless": None, "rerun": self.kind == "rerun"}
        if self.kind != "os_updates":
            options["script"] = _SCRIPT.format(
                run=run_id,
                step=self.name,
                ledger=LEDGER,
                hangs=self.hangs,
                fails=self.fails,
                seconds=self.seconds,
                evidence="touch /run/reboot-required\n" if self.wish == "evidence" else "",
                code=194 if self.wish == "exit_code" else 0,
            )
        if self.kind == "guarded":
            options["unless"] = f"test -e /root/{run_id}.{self.name}.done"
        # Well above what an attempt takes that does not hang, or it may end just as its time does.
        timeout_s = 6 if self.hangs else 60
        return options | {"restart": self.restart, "attempts": self.attempts, "timeout_s": timeout_s}


@dataclass(frozen=True)
class Moment:
    """The so-manieth line of the audit log about a host that has these values; of ``text`` a part."""

    values: tuple[tuple[str, str], ...]
    number: int = 1
    delay_s: float = 0.0

    def fits(self, line: dict[str, Any]) -> bool:
        return all(value in str(line.get(key, "")) for key, value in self.values)


@dataclass(frozen=True)
class Hit:
    """Something dies at a moment: what, and on which host of the run."""

    victim: str
    moment: Moment
    host: int = 0
    seconds: float | None = None


@dataclass(frozen=True)
class Loss:
    """The so-manieth request of an action is late, or its answer gets lost."""

    action: str
    number: int
    delay_s: float = 0.0


@dataclass(frozen=True)
class Plan:
    """A rollout, and what goes wrong with it."""

    seed: int
    steps: tuple[StepPlan, ...]
    restart: str
    method: str
    old_agent: bool
    updates: tuple[str, ...]
    hosts: int
    timeout_s: int
    rival: str
    rival_method: str
    rival_delay_s: float
    hits: tuple[Hit, ...]
    losses: tuple[Loss, ...]

    @property
    def run_id(self) -> str:
        return f"R{self.seed}"

    @property
    def run_ids(self) -> tuple[str, ...]:
        """Two, when another run wants the same hosts."""
        return (self.run_id, f"{self.run_id}-other") if self.rival == "other run" else (self.run_id,)

    @property
    def by_api(self) -> bool:
        """Whether there are restarts through the API."""
        return self.old_agent or "api" in (self.method, self.rival_method)

    def host_names(self) -> list[str]:
        return [f"h{self.seed}-{number}" for number in range(self.hosts)]

    def instances(self) -> list[dict[str, Any]]:
        """Its hosts, as a fleet file describes them."""
        agent = {"version": OLD_AGENT} if self.old_agent else {}
        updates = [{"name": name, "from": "1", "to": "2", "restart": name == "kernel"} for name in self.updates]
        return [
            {
                "name": name,
                "id": f"i-random{self.seed:09d}{number:02d}",
                "machine": "namespace",
                "boot_s": 0.5,
                "agent": agent,
                "updates": updates,
            }
            for number, name in enumerate(self.host_names())
        ]


def make_plan(seed: int) -> Plan:
    """The plan of a seed."""
    dice = random.Random(seed)
    names = iter(("one", "two", "three", "four"))
    steps = [_step(dice, next(names)) for _number in range(dice.choice((1, 2, 2, 3, 3, 4)))]
    updates: tuple[str, ...] = ()
    if dice.random() < 0.25:
        updates = dice.choice((("kernel",), ("curl",), ("kernel", "curl")))
        steps[dice.randrange(len(steps))] = StepPlan(
            "os_updates", "os_updates", dice.choice(("never", "if_required", "if_required")), "none", 0, 0, 0, 1
        )
    method, old_agent = dice.choice((("exit_code", False), ("auto", False), ("api", False), ("auto", True)))
    hosts = dice.choice((1, 1, 1, 2))
    rival = dice.choices(("none", "same run", "other run"), (6, 2, 2))[0]
    rival_method = dice.choice((method, "api", "api" if old_agent else "exit_code")) if rival != "none" else method
    return Plan(
        seed=seed,
        steps=tuple(steps),
        restart=dice.choices(("if_required", "always", "never"), (7, 2, 1))[0],
        method=method,
        old_agent=old_agent,
        updates=updates,
        hosts=hosts,
        timeout_s=dice.choices((40, 20, 6), (8, 1, 1))[0],
        rival=rival,
        rival_method=rival_method,
        rival_delay_s=round(dice.uniform(0, 3), 2) if rival != "none" else 0,
        hits=tuple(_hit(dice, hosts) for _number in range(dice.choices((0, 1, 2, 3, 4, 5), (1, 2, 4, 4, 3, 2))[0])),
        losses=tuple(_loss(dice) for _number in range(dice.choices((0, 1, 2), (6, 3, 1))[0])),
    )


def _step(dice: random.Random, name: str) -> StepPlan:
    fails = dice.choices((0, 1), (8, 2))[0]
    hangs = dice.choices((0, 1), (9, 1))[0] if not fails else 0
    return StepPlan(
        name=name,
        kind=dice.choice(("guarded", "rerun", "bare")),
        restart=dice.choices(("never", "if_required", "always"), (3, 4, 1))[0],
        wish=dice.choices(("none", "exit_code", "evidence"), (4, 3, 1))[0],
        seconds=round(dice.choice((0.05, 0.5, dice.uniform(0, 3))), 2),
        fails=fails,
        hangs=hangs,
        attempts=dice.choice((1, 2, 2)) if fails or hangs else dice.choice((1, 2)),
    )


def _loss(dice: random.Random) -> Loss:
    action = dice.choice(("RunCommand", "RunCommand", "RebootInstances", "RebootInstances", "DescribeInvocations"))
    return Loss(action, dice.choice((1, 1, 2, 3)), dice.choice((0.0, round(dice.uniform(0.2, 4), 1))))


def _syslog(text: str) -> tuple[tuple[str, str], ...]:
    return (("event", "syslog"), ("text", text))


# With weights: there is much to hit in the middle of a step, and around a restart.
_MOMENTS: dict[tuple[tuple[str, str], ...], int] = {
    (("action", "RunCommand"), ("code", "200")): 2,
    (("action", "RebootInstances"), ("code", "200")): 2,
    (("event", "command_start"),): 2,
    (("event", "command_end"),): 3,
    (("event", "shutdown"),): 2,
    (("event", "boot"),): 2,
    (("event", "agent_up"),): 2,
    _syslog("its guard runs"): 2,
    _syslog(" starts"): 10,
    _syslog("attempt 1 failed"): 2,
    _syslog(": done"): 4,
    _syslog("state restart: "): 6,
    _syslog("state done"): 1,
}
_VICTIMS = {
    "controller": 4,
    "keeper": 4,
    "power_loss": 4,
    "agent_killed": 3,
    "agent_offline": 2,
    "report_lost": 1,
}


def _hit(dice: random.Random, hosts: int) -> Hit:
    victim = dice.choices(list(_VICTIMS), list(_VICTIMS.values()))[0]
    moment = Moment(
        dice.choices(list(_MOMENTS), list(_MOMENTS.values()))[0],
        dice.choice((1, 1, 1, 2, 2, 3)),
        dice.choice((0.0, 0.0, 0.0, round(dice.uniform(0, 0.5), 2), round(dice.uniform(0, 3), 2))),
    )
    if victim == "agent_offline":
        return Hit(victim, moment, dice.randrange(hosts), round(dice.choice((0.5, 3, dice.uniform(1, 25))), 1))
    if victim == "agent_killed":
        return Hit(victim, moment, dice.randrange(hosts), round(dice.choice((0.5, dice.uniform(0, 6))), 1))
    return Hit(victim, moment, dice.randrange(hosts))
