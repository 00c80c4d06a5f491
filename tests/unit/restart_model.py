# SPDX-License-Identifier: GPL-3.0-or-later
"""A model of the restart protocol, small enough to visit every state that it can get into.

A host needs one restart, in one run. Controllers ask it to ``continue`` (``runner.sh``), hear what it says, and send
RebootInstances (``batch.py``). Whatever can be late or lost is so in some history: answers, commands, controllers, the
guest itself. What goes without saying in the model: commands that nobody listens to any more may start at any time.

Time passes in quarters of the settle time. Whoever keeps a limit may do so until its very end, so nothing can happen
between two ticks that cannot also happen at one. Ages stop growing where they make no difference any more.

Left out: restarts that others ask for (another run id, ``ecs_reboot``, people), runs that want several, and controllers
of one run that differ in their settle time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import NamedTuple

from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.decisions import Move, decide
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.trailer import Trailer

SETTLE = 4
"""The settle time, in ticks."""
FRESH = SETTLE // 2
"""How long after the host's word RebootInstances may be sent."""
REPORT = 1
"""How long a report of the agent takes at most, see :attr:`Assumption.REPORTS_ARRIVE`."""


class Rule(Enum):
    """What the code does so that there is one restart, and one only. Each can be taken out."""

    REQUEST_RECORDED_FIRST = "the host records that it asks for a restart before it asks"
    WISH_ENDS_WITH_ITS_RESTART = "a proven restart ends the wish that became its request"
    SETTLE_TIME = "a host that has asked lately does not ask again"
    SETTLE_TWICE = "where RebootInstances was asked for, lately means twice the settle time"
    NEW_REQUEST_EACH_TIME = "asking again begins the settle time anew"
    ONE_METHOD_IN_A_BOOT = "within a boot a host asks again by the same method"
    WAITER_NEVER_RESTARTS = "who waited for the keeper of another passes its word on, and nobody is restarted for it"
    REBOOT_ONCE_IN_A_BOOT = "a controller sends RebootInstances once in a boot"
    LOST_ANSWER_IS_AN_ANSWER = "a RebootInstances whose answer is lost is not repeated"
    FRESH_WORD = "RebootInstances is sent within half the settle time of the host's word"
    FRESH_SINCE_THE_LAST_LOOK = "a word is as old as the last look that did not find it"
    SILENCE_RESTARTS_NOBODY = "a controller restarts only who says so"
    HOST_LOOKS_AT_THE_CLOCK = "the host does not restart after not_after"
    CONTROLLER_LOOKS_AT_THE_CLOCK = "RebootInstances is not sent after the batch's time"
    PROOF_BY_BOOT_ID = "only another boot id proves a restart"


class Fault(Enum):
    """What must not happen."""

    SECOND_RESTART = "the host was restarted a second time"
    LATE_RESTART = "a restart was begun after the end of the time"
    FALSE_PROOF = "a restart was proven that did not happen"
    FALSE_DONE = "a controller was told that all is done, without a restart"


class Assumption(Enum):
    """What the rules rely on, and cannot enforce."""

    GUESTS_GO_DOWN = "a guest that RebootInstances restarts at all goes down within the settle time"
    REPORTS_ARRIVE = "what a host says is there for the controller within a quarter of the settle time, or never"


@dataclass(frozen=True)
class Setting:
    """Which controllers there are, by the method that they ask for, and what holds."""

    methods: tuple[str, ...]
    crashes: bool = True
    rules: frozenset[Rule] = frozenset(Rule)
    assumptions: frozenset[Assumption] = frozenset()

    def without(self, what: Rule | Assumption) -> Setting:
        return Setting(self.methods, self.crashes, self.rules - {what}, self.assumptions - {what})


# --- the host ----------------------------------------------------------------------------------------------------


class Word(NamedTuple):
    """What the host says at the end of ``continue``: the exit code, and the words of the trailer that matter."""

    state: str
    exit_code: int
    method: str
    boot: int
    replayed: bool = False


class Request(NamedTuple):
    """The record restart_requested."""

    boot: int
    method: str
    age: int = 0


class Host(NamedTuple):
    """The host with its records, and what is on its way to restart it."""

    boot: int = 0
    wish: bool = True
    request: Request | None = None
    proof: tuple[int, int] | None = None
    keeper: str = ""
    """A keeper holds the lock: the method that its controller has asked for."""
    going_down: bool = False
    """The agent has run shutdown(8). That takes as long as it likes, and is over with the boot."""
    reboots: tuple[int, ...] = ()
    """Ages of the RebootInstances that will take effect, in whatever boot the host is then."""


def decide_on_host(host: Host, method: str, rules: frozenset[Rule]) -> tuple[Word, Host]:
    """What the keeper says and writes down: ``settle_restart`` and what follows it in runner.sh."""
    request = host.request
    age = 0
    if request and request.boot == host.boot:
        twice = request.method == "api" and Rule.SETTLE_TWICE in rules
        if Rule.SETTLE_TIME in rules and request.age < (2 * SETTLE if twice else SETTLE):
            return Word("pending", 75, request.method, host.boot), host
        if Rule.ONE_METHOD_IN_A_BOOT in rules:
            method = request.method
        if Rule.NEW_REQUEST_EACH_TIME not in rules:
            age = request.age
    if request and (request.boot != host.boot or Rule.PROOF_BY_BOOT_ID not in rules):
        wish = host.wish and Rule.WISH_ENDS_WITH_ITS_RESTART not in rules
        host = host._replace(request=None, proof=(request.boot, host.boot), wish=wish)
    if not host.wish and not host.request:
        return Word("done", 0, method, host.boot), host
    if Rule.REQUEST_RECORDED_FIRST in rules:
        host = host._replace(request=Request(host.boot, method, age), wish=False)
    return Word("restart", 0 if method == "api" else 194, method, host.boot), host


# --- the controllers ---------------------------------------------------------------------------------------------


class Controller(NamedTuple):
    """One call of ecs_patch, as far as this host goes."""

    place: str = "ready"
    """ready: asks at any time. keeps, waits: its command is on the host. told: the host has said that it wants to be
    restarted through the API. due: the controller has heard it. done: the host has said so."""
    word: Word | None = None
    age: int = 0
    """Of the word: its real one while told, what the controller takes it for when due."""
    late: bool = False
    """The batch's time is over, and not_after with it."""
    rebooted: int = -1
    """The boot in which it has sent RebootInstances."""


def may_send(controller: Controller, boot: int, rules: frozenset[Rule]) -> bool:
    """Whether it sends RebootInstances for a host that is due: ``_restart`` in batch.py."""
    return not (
        (Rule.REBOOT_ONCE_IN_A_BOOT in rules and controller.rebooted == boot)
        or (Rule.FRESH_WORD in rules and controller.age > FRESH)
        or (Rule.CONTROLLER_LOOKS_AT_THE_CLOCK in rules and controller.late)
    )


@cache
def next_move(word: Word) -> Move:
    """What the real controller does next."""
    trailer = Trailer("r", word.state, word.method, str(word.boot), reason="", log="", replayed=word.replayed)
    return decide({"exit_code": word.exit_code, "output": ""}, trailer, first=False).move


# --- what can happen ---------------------------------------------------------------------------------------------


class State(NamedTuple):
    host: Host
    controllers: tuple[Controller, ...]
    fault: Fault | None = None


Steps = Iterator[tuple[str, State]]


def start(setting: Setting) -> State:
    return State(Host(), tuple(Controller() for _method in setting.methods))


def steps(state: State, setting: Setting) -> Steps:
    """All that can happen next, and what to call it."""
    for number, controller in enumerate(state.controllers):
        for what, after in _controller_steps(state, setting, number, controller):
            yield f"controller {number} {what}", after
    yield from _host_steps(state, setting)
    yield from _time_passes(state, setting)


def _controller_steps(state: State, setting: Setting, number: int, controller: Controller) -> Steps:
    rules, host = setting.rules, state.host
    ready = controller._replace(place="ready", word=None, age=0)
    if controller.place == "ready":
        # A command may start long after it was sent, and even after it was stopped.
        if not controller.late or Rule.HOST_LOOKS_AT_THE_CLOCK not in rules:
            if host.keeper:
                yield "asks, and waits for the keeper", _put(state, number, controller._replace(place="waits"))
            else:
                asked = _put(state, number, controller._replace(place="keeps"))
                yield "asks", asked._replace(host=host._replace(keeper=setting.methods[number]))
        if Rule.SILENCE_RESTARTS_NOBODY not in rules and not controller.late:
            yield from _send(state, setting, number, host.boot)
    elif controller.place != "done":
        yield "hears nothing", _put(state, number, ready)
    if controller.place == "told":
        age = 0
        if Rule.FRESH_SINCE_THE_LAST_LOOK in rules and Assumption.REPORTS_ARRIVE in setting.assumptions:
            age = max(0, controller.age - REPORT)
        yield "hears that the host wants a restart", _put(state, number, controller._replace(place="due", age=age))
    if controller.place == "due" and controller.word and may_send(controller, controller.word.boot, rules):
        yield from _send(state, setting, number, controller.word.boot)
    if not controller.late:
        yield "has no time left", _put(state, number, controller._replace(late=True))
    if setting.crashes and controller != Controller():
        yield "crashes, and is started again", _put(state, number, Controller())


def _put(state: State, number: int, controller: Controller) -> State:
    controllers = (*state.controllers[:number], controller, *state.controllers[number + 1 :])
    return state._replace(controllers=controllers)


def _send(state: State, setting: Setting, number: int, boot: int) -> Steps:
    """RebootInstances: it takes effect or not, and its answer arrives or not."""
    controller = state.controllers[number]
    sent = _put(state, number, controller._replace(place="ready", word=None, age=0, rebooted=boot))
    if controller.late:
        sent = sent._replace(fault=Fault.LATE_RESTART)
    yield "sends RebootInstances to no effect", sent
    works = sent._replace(host=state.host._replace(reboots=tuple(sorted((*state.host.reboots, 0)))))
    yield "sends RebootInstances", works
    if Rule.LOST_ANSWER_IS_AN_ANSWER not in setting.rules:
        yield "sends RebootInstances, and its answer is lost", works._replace(controllers=state.controllers)


def _host_steps(state: State, setting: Setting) -> Steps:
    host = state.host
    if host.keeper:
        yield from _keeper_ends(state, setting)
        if host == Host(keeper=host.keeper):  # one power cut, at the worst moment, which counts as the restart
            recorded = state._replace(host=host._replace(request=Request(host.boot, host.keeper)))
            yield "the power fails between the request and the end of the wish", _restart(recorded)
    else:
        for method in sorted(set(setting.methods)):
            yield f"a forgotten command ({method}) starts", state._replace(host=host._replace(keeper=method))
    if host.going_down:
        yield "the host has shut down, and restarts", _restart(state)
    for age in sorted(set(host.reboots)):
        left = list(host.reboots)
        left.remove(age)
        granted = state._replace(host=host._replace(reboots=tuple(left)))
        yield "RebootInstances restarts the host", _restart(granted)


def _keeper_ends(state: State, setting: Setting) -> Steps:
    """The keeper tells its runner, and those that wait for the lock, which may exit with 194."""
    rules = setting.rules
    word, host = decide_on_host(state.host, state.host.keeper, rules)
    fault = Fault.FALSE_PROOF if host.proof and host.proof[0] == host.proof[1] else None
    hearsay = word._replace(replayed=True, exit_code=0) if Rule.WAITER_NEVER_RESTARTS in rules else word
    said = {"keeps": word, "waits": hearsay}
    # Of a keeper that nobody listens to any more, the runner exits all the same.
    exit_codes = {word.exit_code} - {said[one.place].exit_code for one in state.controllers if one.place == "keeps"}
    controllers = []
    for controller in state.controllers:
        if controller.place in said:
            heard = said[controller.place]
            if heard.exit_code == 194 and controller.late:
                if Rule.HOST_LOOKS_AT_THE_CLOCK in rules:
                    heard = heard._replace(exit_code=76)
                else:
                    fault = Fault.LATE_RESTART
            exit_codes.add(heard.exit_code)
            controller = _hear(controller, heard)
            if controller.place == "done" and not host.proof:
                fault = Fault.FALSE_DONE
        controllers.append(controller)
    after = State(host._replace(keeper=""), tuple(controllers), fault)
    what = f"the keeper says {word.state}" + (f" by {word.method}" if word.state == "restart" else "")
    yield what, after
    if 194 in exit_codes:
        yield f"{what}, and the agent shuts down", after._replace(host=after.host._replace(going_down=True))


def _hear(controller: Controller, word: Word) -> Controller:
    move = next_move(word)
    if move is Move.RESTART:
        return controller._replace(place="told", word=word)
    # After FAILED it is ready too: somebody may patch again with the same run id.
    return controller._replace(place="done" if move is Move.DONE else "ready")


def _restart(state: State) -> State:
    """What was running is gone, what was on its way from elsewhere is still on its way."""
    host = state.host
    if host.boot:
        return state._replace(fault=Fault.SECOND_RESTART)
    request = host.request and host.request._replace(age=0)
    host = host._replace(boot=1, request=request, keeper="", going_down=False)
    gone = tuple(one._replace(place="ready") if one.place in ("keeps", "waits") else one for one in state.controllers)
    return State(host, gone)


def _time_passes(state: State, setting: Setting) -> Steps:
    host, reboots, request = state.host, state.host.reboots, state.host.request
    if Assumption.GUESTS_GO_DOWN in setting.assumptions:
        if SETTLE in reboots:
            return  # it has to go down first
        reboots = tuple(age + 1 for age in reboots)
    if request and request.boot == host.boot:
        request = request._replace(age=min(request.age + 1, 2 * SETTLE))
    controllers = tuple(
        one._replace(age=min(one.age + 1, FRESH + REPORT + 1)) if one.word else one for one in state.controllers
    )
    yield "a quarter of the settle time passes", State(host._replace(request=request, reboots=reboots), controllers)
