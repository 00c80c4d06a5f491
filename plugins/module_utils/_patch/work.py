# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What a batch is to do, read from the options that both the preflight and the work itself are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._sdk.errors import BadInput
from .._sources import read_source
from .batch import Limits
from .health import HEALTH_SPEC, Health, read_health
from .host import Host
from .steps import Policy, Step, needs_platform, read_steps, unix_lines

STEP_SPEC: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "script": {"type": "str"},
    "src": {"type": "path"},
    "unless": {"type": "str"},
    "platform": {"type": "str", "choices": ["linux", "windows"]},
    "restart": {"type": "str", "choices": ["never", "if_required", "always"], "default": "if_required"},
    "timeout_s": {"type": "int", "default": 3600},
    "attempts": {"type": "int", "default": 1},
    "rerun": {"type": "bool", "default": False},
    "updates": {"type": "str", "choices": ["all", "security"]},
    "include": {"type": "list", "elements": "str"},
    "exclude": {"type": "list", "elements": "str"},
}
# plugins/doc_fragments/_patch.py describes these; the action plugins set runner_dir.
WORK_SPEC: dict[str, dict[str, Any]] = {
    "mode": {"type": "str", "choices": ["patch", "assess", "put_back"], "default": "patch"},
    "steps": {"type": "list", "elements": "dict", "default": [], "options": STEP_SPEC},
    "restart": {"type": "str", "choices": ["never", "if_required", "always"], "default": "if_required"},
    "settle_time": {"type": "int", "default": 120},
    "restart_timeout": {"type": "int", "default": 900},
    "max_restarts": {"type": "int", "default": 3},
    "health": {"type": "dict", "options": HEALTH_SPEC},
    "timeout": {"type": "int", "default": 7200},
    "soak_time": {"type": "int", "default": 0},
    "runner_dir": {"type": "path"},
}


@dataclass(frozen=True)
class Work:
    """What is to be done to the hosts of a batch.

    ``mode`` is patch, assess or put_back, ``restart`` and the two numbers are those of :class:`~.steps.Policy`.
    """

    mode: str
    steps: tuple[Step, ...]
    restart: str
    settle_s: int
    most_restarts: int
    health: Health
    limits: Limits

    def policy(self, run_id: str) -> Policy:
        """What holds for the whole run. To a host, being put back is a run in which there is nothing to do."""
        mode = "assess" if self.mode == "assess" else "patch"
        return Policy(run_id, self.restart, self.settle_s, self.most_restarts, mode=mode, health=self.health)


def read_work(options: Mapping[str, Any]) -> Work:
    """The work from a module's options (``WORK_SPEC``); raises :class:`BadInput`."""
    puts_back = options["mode"] == "put_back"
    work = Work(
        mode=options["mode"],
        steps=() if puts_back else tuple(read_steps([_with_script(step) for step in options["steps"]])),
        restart="never" if puts_back else options["restart"],
        settle_s=options["settle_time"],
        most_restarts=options["max_restarts"],
        health=_read_health(options["health"]),
        limits=Limits(options["timeout"], options["restart_timeout"], options["soak_time"]),
    )
    _check_numbers(work)
    return work


def check_platforms(hosts: Sequence[Host], work: Work) -> None:
    """What is not there for Windows is refused, and no script for sh comes there because nobody has thought of it."""
    windows = [host.name for host in hosts if host.platform == "windows"]
    if not windows:
        return
    if work.health.wanted:
        raise BadInput(
            f"Hosts with Windows cannot be asked for their health yet, and {windows[0]} is one: have a play of their "
            "own for them. Nothing was done."
        )
    unclear = [step for step in work.steps if needs_platform(step)]
    if unclear:
        what = "a script" if unclear[0].script else "unless"
        raise BadInput(
            f"The step {unclear[0].name!r} has {what}, and {windows[0]} runs Windows: set platform of the step to "
            "windows if that is PowerShell, or to linux if the step is not for hosts with Windows. Nothing was done."
        )


def _with_script(step: Mapping[str, Any]) -> dict[str, Any]:
    return {**step, "script": _script_of(step, f"The step {step['name']!r}")}


def _read_health(value: Mapping[str, Any] | None) -> Health:
    return read_health(value, unix_lines(_script_of(value, "The health check") or "") if value else "")


def _script_of(value: Mapping[str, Any], what: str) -> str | None:
    if value["src"] and value["script"]:
        raise BadInput(f"{what} has both script and src; give one of them.")
    return read_source(value["src"], what) if value["src"] else value["script"]


def _check_numbers(work: Work) -> None:
    """Options by the names of the modules, and by those that users of the role know."""
    for option, variable, seconds, least in (
        ("settle_time", "timeouts.settle", work.settle_s, 10),
        ("timeout", "timeouts.batch", work.limits.timeout_s, 1),
        ("restart_timeout", "timeouts.restart", work.limits.restart_timeout_s, 1),
        ("soak_time", "soak_s", work.limits.soak_s, 0),
    ):
        if seconds < least:
            raise BadInput(f"{option} (patch_hosts_{variable}) is {seconds} s, and must be at least {least} s.")
    if work.most_restarts < 0:
        raise BadInput("max_restarts (patch_hosts_max_restarts) must not be negative.")
