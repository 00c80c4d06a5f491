# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may call a simulated account, for what and how often, as the fleet file says it."""

import re
from dataclasses import dataclass

from ecs_simulator.fleet_reader import Reader

EVERYTHING = ("*",)
# `ecs:RunCommand`, `ecs:Describe*`, `sts:*` or `*`, as in the Action of a RAM policy.
_ALLOWED = re.compile(r"\*|[a-z0-9*]+:[A-Za-z0-9*]+")
_ROLE_NAME = re.compile(r"[A-Za-z0-9.-]{1,64}")
_ACTION = re.compile(r"\*|[A-Za-z0-9]+")


@dataclass(frozen=True)
class AccessKey:
    """The credentials of a RAM user, who is called as its key; ``allow`` holds the actions that it may call."""

    id: str
    secret: str
    allow: tuple[str, ...] = EVERYTHING


@dataclass(frozen=True)
class Role:
    """A RAM role that AssumeRole gives out, and what may be called with it."""

    name: str
    allow: tuple[str, ...] = EVERYTHING


@dataclass(frozen=True)
class Throttle:
    """How often an action may be called; None is as often as one likes."""

    per_second: float | None = None
    """By each caller; more is Throttling.User."""
    api_per_second: float | None = None
    """By all callers together; more is Throttling.Api."""


def access_key(reader: Reader) -> AccessKey:
    """An entry of ``access_keys``."""
    key = AccessKey(reader.take("id", str), reader.take("secret", str), _allow(reader))
    reader.finish()
    return key


def role(reader: Reader) -> Role:
    """An entry of ``roles``."""
    found = Role(reader.take("name", str), _allow(reader))
    reader.finish()
    if not _ROLE_NAME.fullmatch(found.name):
        reader.fail("name", f"must be 1 to 64 letters, digits, dots or hyphens, not {found.name!r}")
    return found


def throttling(reader: Reader) -> dict[str, Throttle]:
    """The mapping ``throttling``, from an action's name, or ``*`` for every other one, to its limits."""
    actions = reader.keys()
    return {action: _throttle(reader, action) for action in actions}


def _throttle(reader: Reader, action: str) -> Throttle:
    limits = reader.reader(action)
    if not _ACTION.fullmatch(action):
        reader.fail(action, "must be the name of an action, or *")
    values = {key: limits.take(key, float, None) for key in ("per_second", "api_per_second")}
    limits.finish()
    if not any(values.values()):
        reader.fail(action, "needs per_second or api_per_second, above 0")
    for key, value in values.items():
        if value is not None and not 0 < value < float("inf"):
            limits.fail(key, "must be above 0")
    return Throttle(**values)


def _allow(reader: Reader) -> tuple[str, ...]:
    if not reader.holds("allow"):
        return EVERYTHING
    patterns = tuple(reader.take("allow", list))
    for pattern in patterns:
        if not isinstance(pattern, str) or not _ALLOWED.fullmatch(pattern):
            reader.fail("allow", f"must hold actions such as ecs:RunCommand, ecs:Describe* or *, not {pattern!r}")
    return patterns
