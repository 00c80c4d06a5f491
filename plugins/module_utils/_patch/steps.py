# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Steps and the policy of a run, checked before anything is sent."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._sdk.errors import BadInput
from .health import Health

RUN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_STEP_NAME = re.compile(r"[A-Za-z0-9._-]{1,40}")
BUILTIN = ("os_updates",)
# Names of packages reach a shell and package managers: what none of them takes for anything else. A * is ours.
_PACKAGES = re.compile(r"[A-Za-z0-9*][A-Za-z0-9+._*-]{0,99}")
_MOST_PACKAGES = 100
# So that the names of all steps fit into the trailer.
MOST_STEPS = 20


@dataclass(frozen=True)
class Updates:
    """Which updates the step os_updates makes: ``which`` is all or security; the others are names, with * perhaps."""

    which: str = "all"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One idempotent piece of patch work: a script, or something the runner has built in.

    ``platform`` is linux or windows, or empty: then it is for all hosts, and a script of it is for sh.
    """

    name: str
    script: str = ""
    builtin: str = ""
    unless: str = ""
    restart: str = "if_required"
    timeout_s: int = 3600
    attempts: int = 1
    rerun: bool = False
    updates: Updates | None = None
    platform: str = ""


@dataclass(frozen=True)
class Policy:
    """What holds for a whole run.

    ``restart`` is never, if_required or always; ``settle_s`` is how long a requested restart may take to begin before
    it is asked for again; ``most_restarts`` is how many a host may have in the run. ``event`` says of a host that a
    system event wants a restart through the API. ``mode`` is patch, or assess: then hosts only tell what there is to
    do, and no step runs. ``health`` is what a host must show at the end.
    """

    run_id: str
    restart: str
    settle_s: int
    most_restarts: int
    event: bool = False
    mode: str = "patch"
    health: Health = field(default_factory=Health)


def work_of(policy: Policy, steps: Sequence[Step], method: str) -> str:
    """A name for exactly what a host is asked for: an answer to anything else is not one."""
    return hashlib.sha256(repr((policy, tuple(steps), method)).encode()).hexdigest()[:16]


def inputs_of(steps: Sequence[Step], restart: str) -> dict[str, Any]:
    """What a plan was made for, to be compared with what a run is to do: a sum of the steps, and the policy."""
    return {"steps": hashlib.sha256(repr(tuple(steps)).encode()).hexdigest()[:16], "restart": restart}


def steps_for(platform: str, steps: Sequence[Step]) -> list[Step]:
    """The steps that a host of a platform gets."""
    return [step for step in steps if step.platform in ("", platform)]


def needs_platform(step: Step) -> bool:
    """Whether a step has a script, or a guard, of which nobody has said for which platform it is."""
    return not step.platform and bool(step.script or step.unless)


def check_run_id(run_id: str) -> str:
    """The run id, or :class:`BadInput`."""
    if not RUN_ID.fullmatch(run_id) or run_id in (".", ".."):
        raise BadInput(f"The run id {run_id!r} must be 1 to 64 of the characters A-Z, a-z, 0-9, '.', '_' and '-'.")
    return run_id


def read_steps(values: Sequence[Mapping[str, Any]]) -> list[Step]:
    """The steps from a module's options; raises :class:`BadInput` that names the step."""
    if len(values) > MOST_STEPS:
        raise BadInput(f"There are {len(values)} steps, and a run takes at most {MOST_STEPS}: join some of them.")
    steps = [_read_step(number, value) for number, value in enumerate(values, start=1)]
    for step in steps:
        if [other.name for other in steps].count(step.name) > 1:
            raise BadInput(f"Two steps have the name {step.name!r}; the records on the host need one name for each.")
    return steps


def _read_step(number: int, value: Mapping[str, Any]) -> Step:
    name = value["name"]
    script = unix_lines(value.get("script") or "")
    builtin = name if name in BUILTIN and not script else ""
    if not _STEP_NAME.fullmatch(name) or name.startswith("."):
        raise BadInput(
            f"Step {number} has the name {name!r}; a name is 1 to 40 of the characters A-Z, a-z, 0-9, '.', '_' and "
            "'-', and does not begin with a dot."
        )
    if not script.strip() and not builtin:
        raise BadInput(
            f"The step {name!r} has neither a script nor the name of a built-in step ({', '.join(BUILTIN)})."
        )
    for what in ("updates", "include", "exclude"):
        if value.get(what) and not builtin:
            raise BadInput(f"{what} of the step {name!r} is for os_updates, and this step is a script.")
    for what in ("timeout_s", "attempts"):
        if value[what] < 1:
            raise BadInput(f"{what} of the step {name!r} must be at least 1.")
    return Step(
        name=name,
        script=script,
        builtin=builtin,
        unless=unix_lines(value.get("unless") or ""),
        restart=value["restart"],
        timeout_s=value["timeout_s"],
        attempts=value["attempts"],
        # A built-in step looks anew at what there is to do, so it may always start again.
        rerun=bool(value["rerun"] or builtin),
        updates=_read_updates(name, value) if builtin else None,
        platform=value.get("platform") or "",
    )


def _read_updates(name: str, value: Mapping[str, Any]) -> Updates:
    chosen: dict[str, tuple[str, ...]] = {}
    for what in ("include", "exclude"):
        chosen[what] = tuple(value.get(what) or ())
        if len(chosen[what]) > _MOST_PACKAGES:
            raise BadInput(f"{what} of the step {name!r} has {len(chosen[what])} names, and takes {_MOST_PACKAGES}.")
        for package in chosen[what]:
            if not _PACKAGES.fullmatch(package):
                raise BadInput(
                    f"{what} of the step {name!r} has {package!r}, which is no name of a package: 1 to 100 of the "
                    "characters A-Z, a-z, 0-9, '+', '.', '_', '-' and '*', of which '+', '.', '_' and '-' are not the "
                    "first."
                )
    return Updates(value.get("updates") or "all", chosen["include"], chosen["exclude"])


def unix_lines(text: str) -> str:
    """A shell reads a carriage return as part of the word before it."""
    text = text.replace("\r\n", "\n")
    return text if not text or text.endswith("\n") else text + "\n"
