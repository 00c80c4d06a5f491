# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Have the agent's service as it is wanted: look, decide, act, and look again."""

from __future__ import annotations

from typing import Any, NoReturn, Protocol

from .._waiting import Clock, Deadline, growing_pauses, wait_until
from . import which
from .ancestry import command_of, lineage
from .decide import Plan, complaint, make_plan, predict, reached
from .host import Done, Host
from .shapes import ABSENT, STARTED, STARTING, STOPPED, STOPPING, Service, ServiceError, Wanted
from .systemd import Systemd
from .sysvinit import Sysvinit
from .upstart import Upstart
from .version import agent_version

# Of a command that has ended the agent still has to report the end: up to four calls of at most five seconds each, and
# two seconds between them (basetask.go and httputil.go of the agent).
_REPORT_S = 30
# How long a command that exited 0 has for an effect that nothing announces.
_EFFECT_S = 5.0
# A service that ends as soon as it has started was started, for a moment.
_STEADY_S = 1.0


class InitSystem(Protocol):
    """What each init system can be asked."""

    @property
    def names(self) -> tuple[str, ...]:
        """What the agent may be called, what it should be called first."""

    def look(self, host: Host, name: str) -> Service | None: ...

    def command(self, verb: str, name: str) -> list[str]: ...

    def enable(self, host: Host, name: str, enabled: bool) -> tuple[list[str], Done]: ...


INIT_SYSTEMS: dict[str, InitSystem] = {
    which.SYSTEMD: Systemd(),
    which.UPSTART: Upstart(),
    which.SYSVINIT: Sysvinit(),
}


def ensure_service(host: Host, clock: Clock, wanted: Wanted, *, timeout_s: float, dry: bool) -> dict[str, Any]:
    """Have it so, and return what is; with ``dry`` what would be. A failure is a result with the key ``failed``."""
    return _Task(host, clock, wanted, timeout_s, dry).run()


class _Task:
    """One task on one host."""

    def __init__(self, host: Host, clock: Clock, wanted: Wanted, timeout_s: float, dry: bool) -> None:
        self._host, self._clock, self._wanted, self._timeout_s, self._dry = host, clock, wanted, timeout_s, dry
        self._init_name = which.init_system(which.look_for_evidence(host, Sysvinit.names))
        self._changed = False
        self._command: int | None = None
        self._seen: Service | None = None

    def run(self) -> dict[str, Any]:
        try:
            service = self._look()
            if self._wanted.state is None and self._wanted.enabled is None:
                return self._result(service)
            if service is None:
                raise ServiceError(self._nothing_there())
            plan = make_plan(self._wanted, service, in_command=self._command is not None)
            after = predict(plan, service) if self._dry else self._carry_out(plan, service)
            self._changed = plan.changes
            more: dict[str, Any] = {"diff": _diff(plan, service, after)}
            if plan.detached:
                more["msg"] = (
                    "The agent is restarted once the command that this task runs in has ended and is reported."
                )
            return self._result(after, detached=plan.detached, **more)
        except ServiceError as error:
            return self._result(self._seen, failed=True, msg=str(error))

    @property
    def _init(self) -> InitSystem:
        return INIT_SYSTEMS[self._init_name or ""]

    def _look(self) -> Service | None:
        """The service under whichever name; if under several, the one that runs."""
        if self._init_name is None:
            return None
        found = [service for name in self._init.names for service in [self._init.look(self._host, name)] if service]
        found.sort(key=lambda service: service.state == STOPPED)
        self._seen = found[0] if found else None
        self._command = command_of(lineage(self._host), self._seen.pid if self._seen else None)
        return self._seen

    def _look_again(self, service: Service) -> Service:
        found = self._init.look(self._host, service.name)
        if found is None:
            raise ServiceError(f"{service.name} was there and is gone.")
        self._seen = found
        return found

    def _carry_out(self, plan: Plan, service: Service) -> Service:
        if plan.enable is not None:
            service = self._enable(service, plan.enable)
        if plan.verb is None:
            return service
        command = self._init.command(plan.verb, service.name)
        if plan.detached:
            self._host.run_after(self._command or self._host.pid, _REPORT_S, command)
            return service
        deadline = Deadline(self._clock, self._timeout_s)
        self._changed = True
        done = self._host.run(command, self._timeout_s)
        return self._await_effect(plan.verb, service, command, done, deadline)

    def _enable(self, service: Service, enabled: bool) -> Service:
        self._changed = True
        command, done = self._init.enable(self._host, service.name, enabled)
        now = self._look_again(service)
        if now.enabled is not enabled:
            effect = f"{service.name} does {'not ' if enabled else ''}start with the host"
            raise ServiceError(complaint(command, done, effect))
        return now

    def _await_effect(self, verb: str, before: Service, command: list[str], done: Done, deadline: Deadline) -> Service:
        """The service once a verb has had its effect, and has kept it."""

        patience = Deadline(self._clock, 0 if done.status else _EFFECT_S)

        def settled(now: Service) -> bool:
            return reached(verb, before, now) or (patience.passed and now.state not in (STARTING, STOPPING))

        now = wait_until(
            lambda: self._look_again(before),
            settled,
            deadline=deadline,
            clock=self._clock,
            pauses=growing_pauses(0.2, longest_s=2.0),
        )
        if not reached(verb, before, now):
            same = verb == "restart" and now.state == STARTED
            self._complain(command, done, before, now, "still the same process" if same else now.words)
        if verb != "stop":
            self._clock.sleep(_STEADY_S)
            later = self._look_again(before)
            if later.state != STARTED or later.pid != now.pid:
                self._complain(command, done, before, later, f"{later.words}: it has ended as soon as it had started")
        return now

    @staticmethod
    def _complain(command: list[str], done: Done, before: Service, now: Service, words: str) -> NoReturn:
        raise ServiceError(complaint(command, done, f"{before.name} is {now.state} ({words})"))

    def _nothing_there(self) -> str:
        if self._init_name is None:
            return "Nothing tells that systemd, upstart or sysvinit starts services on this host."
        names = " nor ".join(self._init.names)
        return (
            f"The Cloud Assistant Agent is not installed on this host: {self._init_name} has neither {names}. "
            "cloudops.alibaba.ecs_cloud_assistant installs it."
        )

    def _result(self, service: Service | None, **more: Any) -> dict[str, Any]:
        return {
            "changed": self._changed,
            "init_system": self._init_name,
            "service": service.name if service else None,
            "state": service.state if service else ABSENT,
            "status": service.words if service else None,
            "enabled": service.enabled if service else None,
            "agent_version": agent_version(self._host, service),
            "in_command": self._command is not None,
            "detached": False,
            **more,
        }


def _diff(plan: Plan, before: Service, after: Service) -> dict[str, dict[str, Any]]:
    """State and start with the host, before and after; of a restart it says that it is one."""
    state = "restarted" if plan.verb == "restart" else after.state
    return {
        "before": {"state": before.state, "enabled": before.enabled},
        "after": {"state": state, "enabled": after.enabled},
    }
