# SPDX-License-Identifier: GPL-3.0-or-later
"""One restart, and one only: every state of the model of the restart protocol is visited.

With all rules nothing goes wrong, whatever is lost, late or crashes. Each rule is needed: without it something goes
wrong, and so does it without each assumption. And the model's decisions are those of the code.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.batch import Limits
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.host import Due
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.trailer import Trailer
from ansible_collections.cloudops.alibaba.tests.unit.restart_model import (
    FRESH,
    SETTLE,
    Assumption,
    Controller,
    Fault,
    Host,
    Request,
    Rule,
    Setting,
    State,
    decide_on_host,
    may_send,
    start,
    steps,
)
from ansible_collections.cloudops.alibaba.tests.unit.test_batch import NEW, OLD, World
from ansible_collections.cloudops.alibaba.tests.unit.test_runner import OTHER_BOOT, HostUnderTest

pytestmark = pytest.mark.once

# However slow guest and agent are.
EXIT_CODE = Setting(("exit_code", "exit_code"))
ONE_THAT_NEVER_CRASHES = Setting(("api",), crashes=False)
# As slow as the assumptions allow.
API = Setting(("api", "api"), assumptions=frozenset(Assumption))
MIXED = Setting(("exit_code", "api"), assumptions=frozenset(Assumption))

# What goes wrong without the rule, and where.
NEEDED = {
    Rule.REQUEST_RECORDED_FIRST: (EXIT_CODE, Fault.SECOND_RESTART),
    Rule.WISH_ENDS_WITH_ITS_RESTART: (EXIT_CODE, Fault.SECOND_RESTART),
    Rule.SETTLE_TIME: (API, Fault.SECOND_RESTART),
    Rule.SETTLE_TWICE: (API, Fault.SECOND_RESTART),
    Rule.NEW_REQUEST_EACH_TIME: (API, Fault.SECOND_RESTART),
    Rule.ONE_METHOD_IN_A_BOOT: (MIXED, Fault.SECOND_RESTART),
    Rule.WAITER_NEVER_RESTARTS: (API, Fault.SECOND_RESTART),
    Rule.REBOOT_ONCE_IN_A_BOOT: (ONE_THAT_NEVER_CRASHES, Fault.SECOND_RESTART),
    Rule.LOST_ANSWER_IS_AN_ANSWER: (ONE_THAT_NEVER_CRASHES, Fault.SECOND_RESTART),
    Rule.FRESH_WORD: (API, Fault.SECOND_RESTART),
    Rule.FRESH_SINCE_THE_LAST_LOOK: (API, Fault.SECOND_RESTART),
    Rule.SILENCE_RESTARTS_NOBODY: (EXIT_CODE, Fault.SECOND_RESTART),
    Rule.HOST_LOOKS_AT_THE_CLOCK: (EXIT_CODE, Fault.LATE_RESTART),
    Rule.CONTROLLER_LOOKS_AT_THE_CLOCK: (ONE_THAT_NEVER_CRASHES, Fault.LATE_RESTART),
    Rule.PROOF_BY_BOOT_ID: (EXIT_CODE, Fault.FALSE_PROOF),
}


@dataclass(frozen=True)
class Found:
    """What a search came to: how many states, a shortest way to a fault, whether a restart was ever proven."""

    states: int
    fault: Fault | None
    way: tuple[str, ...]
    proven: bool

    def __str__(self) -> str:
        what = self.fault.value if self.fault else "nothing wrong"
        return "\n".join([f"{what} ({self.states} states)", *self.way])


def search(setting: Setting) -> Found:
    """Visit all states, the nearest first, until there are no more or one is at fault."""
    first = start(setting)
    came_from: dict[State, tuple[str, State] | None] = {first: None}
    queue = deque([first])
    proven = False
    while queue:
        state = queue.popleft()
        if state.fault:
            return Found(len(came_from), state.fault, _way(came_from, state), proven)
        proven = proven or any(controller.place == "done" for controller in state.controllers)
        for what, after in steps(state, setting):
            if after not in came_from:
                came_from[after] = what, state
                queue.append(after)
    return Found(len(came_from), None, (), proven)


def _way(came_from: Mapping[State, tuple[str, State] | None], state: State) -> tuple[str, ...]:
    way = []
    while step := came_from[state]:
        what, state = step
        way.append(what)
    return tuple(reversed(way))


@pytest.mark.parametrize(
    "setting",
    [EXIT_CODE, ONE_THAT_NEVER_CRASHES, API, MIXED],
    ids=["exit_code", "one_that_never_crashes", "api", "mixed"],
)
def test_nothing_goes_wrong(setting: Setting) -> None:
    found = search(setting)
    assert found.fault is None, f"With all rules: {found}"
    assert found.proven
    assert found.states > 500


@pytest.mark.parametrize("rule", Rule, ids=lambda rule: rule.name.lower())
def test_each_rule_is_needed(rule: Rule) -> None:
    setting, fault = NEEDED[rule]
    found = search(setting.without(rule))
    assert found.fault is fault, f"Without the rule that {rule.value}: {found}"


@pytest.mark.parametrize("assumption", Assumption, ids=lambda assumption: assumption.name.lower())
def test_each_assumption_is_needed(assumption: Assumption) -> None:
    """The limits of what can be promised: RebootInstances can neither be recalled nor sent under a condition."""
    found = search(API.without(assumption))
    assert found.fault is Fault.SECOND_RESTART, f"Not even assuming that {assumption.value}: {found}"


# --- the model's decisions are those of the code --------------------------------------------------------------------

SETTLE_S = 120  # as in World
YOUNG_AND_OLD = (0, SETTLE - 1, SETTLE, 2 * SETTLE - 1, 2 * SETTLE)
HOSTS = [
    *(Host(wish=wish) for wish in (True, False)),
    *(Host(wish=False, request=Request(0, how, age)) for how in ("exit_code", "api") for age in YOUNG_AND_OLD),
    *(Host(boot=1, wish=wish, request=Request(0, "api")) for wish in (True, False)),
]


@pytest.mark.parametrize("method", ["exit_code", "api"])
def test_the_runner_decides_like_the_model(tmp_path: Path, method: str) -> None:
    for number, host in enumerate(HOSTS):
        (tmp_path / str(number)).mkdir()
        real = HostUnderTest(tmp_path / str(number), "sh")
        _write_records(real, host)
        word, after = decide_on_host(host, method, frozenset(Rule))
        answer = real.continue_(method=method, settle_s=SETTLE_S)
        assert answer.said == (word.exit_code, word.state), host
        assert word.state == "done" or answer.trailer.method == word.method, host
        assert (real.run / "restart_wanted").exists() == after.wish, host
        assert _request(real) == (after.request and (after.request.method, after.request.age)), host
        assert len(answer.trailer.restarts) == (after.proof is not None), host


def _write_records(real: HostUnderTest, host: Host) -> None:
    real.run.mkdir(parents=True)
    if host.wish:
        (real.run / "steps" / "one").mkdir(parents=True)
        (real.run / "steps" / "one" / "finished").write_text("done 1 2026-11-22T01:02:03Z 1-1\n", encoding="utf-8")
        (real.run / "restart_wanted").write_text("step:one\n", encoding="utf-8")
    if host.request:
        this_boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        boot = this_boot if host.request.boot == host.boot else OTHER_BOOT
        uptime = _uptime() - host.request.age * SETTLE_S // SETTLE
        text = f"{boot} {host.request.method} {uptime} 2026-11-22T01:02:03Z step:one\n"
        (real.run / "restart_requested").write_text(text, encoding="utf-8")


def _request(real: HostUnderTest) -> tuple[str, int] | None:
    """Method and age of the request that is on record."""
    path = real.run / "restart_requested"
    if not path.exists():
        return None
    _boot, method, uptime, *_more = path.read_text(encoding="utf-8").split()
    return method, (_uptime() - int(uptime)) * SETTLE // SETTLE_S


def _uptime() -> int:
    return int(float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0]))


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("rebooted", [-1, 0, 1])
# At the very end of the time the code already refuses, and the model does not.
@pytest.mark.parametrize("age", [0, FRESH - 1, FRESH + 1])
def test_the_controller_decides_like_the_model(age: int, rebooted: int, late: bool) -> None:
    world = World(i_1=[])
    world.limits = Limits(timeout_s=1000, restart_timeout_s=600)
    batch = world.batch("api")
    (host,) = batch._hosts
    host.trailer = Trailer("r-1", "restart", "api", OLD, reason="", log="")
    host.rebooted_boot = {-1: "", 0: OLD, 1: NEW}[rebooted]
    world.clock.now += 1000 if late else 0
    batch._restart([(host, Due(world.clock.now - age * SETTLE_S / SETTLE))])
    sends = may_send(Controller(age=age, late=late, rebooted=rebooted), 0, frozenset(Rule))
    assert world.api.called("reboot_instances") == ([["i-1"]] if sends else [])
