# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What is to be done with a service, and whether it has come true."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .host import Done
from .shapes import STARTED, STOPPED, Service, ServiceError, Wanted

_VERBS = {"started": "start", "stopped": "stop", "restarted": "restart"}


@dataclass(frozen=True)
class Plan:
    """What is to be done; None is nothing."""

    enable: bool | None = None
    verb: str | None = None
    detached: bool = False
    """Whether the verb has to wait until the command that we run in has ended."""

    @property
    def changes(self) -> bool:
        return self.enable is not None or self.verb is not None


def make_plan(wanted: Wanted, service: Service, *, in_command: bool) -> Plan:
    """How to get from what is to what is wanted; refuses what would cut off the result of the command we run in."""
    verb = None if wanted.state in (None, service.state) else _VERBS[wanted.state]
    if verb == "stop" and in_command and not wanted.force:
        raise ServiceError(
            "Refused: this task runs in a command of Cloud Assistant, and an agent that is stopped reports no result "
            "and takes no further command. Stop it over another connection, or set force if the result may be lost."
        )
    if verb == "restart" and service.state == STOPPED:
        # Upstart restarts nothing that has ended.
        verb = "start"
    enable = None if wanted.enabled in (None, service.enabled) else wanted.enabled
    return Plan(enable, verb, detached=verb == "restart" and in_command)


def predict(plan: Plan, service: Service) -> Service:
    """The service once a plan has been carried out."""
    state = {None: service.state, "stop": STOPPED}.get(plan.verb, STARTED)
    return replace(service, state=state, enabled=service.enabled if plan.enable is None else plan.enable)


def reached(verb: str, before: Service, now: Service) -> bool:
    """Whether a verb has had its effect."""
    if verb == "stop":
        return now.state == STOPPED
    # A restart makes another process.
    same = verb == "restart" and now.pid is not None and now.pid == before.pid
    return now.state == STARTED and not same


def complaint(command: list[str], done: Done, effect: str) -> str:
    """The sentence about a command that did not do what it is for; ``effect`` is what there is instead.

    Scripts and service managers exit 0 for much that has failed, so that is said as well.
    """
    said = f" It said: {done.words()}" if done.words() else ""
    return f"{' '.join(command)} exited with status {done.status}, and {effect}.{said}"
