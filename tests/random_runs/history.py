# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened on a host, by its witnesses: the simulator's audit log, the steps' own ledger, and the verdicts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .plan import Plan, StepPlan

OURS = ("guest", "api", "api_forced")
"""Causes of a shutdown in whose place there must have been somebody who asked: here nobody but the runs does."""


@dataclass(frozen=True)
class Note:
    """A line of the ledger: an attempt of a step has begun (``start``), passed (``end``) or ``failed``."""

    word: str
    run_id: str
    step: str
    boot_id: str
    at: float


@dataclass(frozen=True)
class Word:
    """A line that the keeper of a run wrote into the host's log, such as ``step one: done``."""

    run_id: str
    text: str
    boot: int
    at: float


@dataclass(frozen=True)
class Restart:
    """Boot number ``boot`` went down and the next one came up; ``ours``: somebody asked for it."""

    boot: int
    ours: bool
    at: float


@dataclass(frozen=True)
class Verdict:
    """A controller's last word on the host."""

    run_id: str
    at: float
    content: Mapping[str, Any]

    @property
    def receipts(self) -> list[tuple[str, str, str]]:
        """Of restarts that are said to be proven: method, boot id before and after."""
        return [
            (receipt["method"], receipt["boot_id_before"], receipt["boot_id_after"])
            for receipt in self.content["receipts"]
            if receipt["verdict"] == "restarted"
        ]


@dataclass(frozen=True)
class History:
    """One host of a run, or of two runs that wanted it."""

    host: str
    boots: Sequence[str]
    restarts: Sequence[Restart]
    words: Sequence[Word]
    notes: Sequence[Note]
    verdicts: Sequence[Verdict]
    steps: Mapping[str, StepPlan]
    may_restart: bool = True
    by_api: bool = False
    lines: Sequence[Mapping[str, Any]] = field(repr=False, default=())

    @property
    def last_verdicts(self) -> dict[str, Verdict]:
        """Of each run."""
        return {verdict.run_id: verdict for verdict in sorted(self.verdicts, key=lambda verdict: verdict.at)}

    @property
    def receipts(self) -> set[tuple[str, str, str, str]]:
        """All that anybody was ever told: run, method, boot id before and after."""
        return {(verdict.run_id, *receipt) for verdict in self.verdicts for receipt in verdict.receipts}


def read_history(
    plan: Plan, host: str, lines: Sequence[Mapping[str, Any]], ledger: Sequence[str], verdicts: Sequence[Verdict]
) -> History:
    """Put the witnesses' words together."""
    machine = [line for line in lines if line["kind"] == "machine"]
    boots = [str(line["boot_id"]) for line in machine if line["event"] == "boot"]
    return History(
        host=host,
        boots=boots,
        restarts=list(_restarts(machine)),
        words=list(_words(machine)),
        notes=[_note(entry) for entry in ledger],
        verdicts=verdicts,
        steps={step.name: step for step in plan.steps},
        may_restart=plan.restart != "never",
        by_api=plan.by_api,
        lines=lines,
    )


def seconds(time: str) -> float:
    """An ISO 8601 time of the audit log, in seconds since the epoch."""
    return datetime.fromisoformat(time).timestamp()


def _restarts(machine: Sequence[Mapping[str, Any]]) -> Iterator[Restart]:
    """One for each time that the machine was taken down; it may be taken down again before it is up."""
    boot = -1
    down: list[Mapping[str, Any]] = []
    for line in machine:
        if line["event"] == "shutdown":
            down.append(line)
        elif line["event"] == "boot":
            yield from _restart(boot, down)
            boot, down = boot + 1, []
    yield from _restart(boot, down)


def _restart(boot: int, down: Sequence[Mapping[str, Any]]) -> Iterator[Restart]:
    if down:
        yield Restart(boot, any(line["cause"] in OURS for line in down), seconds(down[-1]["time"]))


def _words(machine: Sequence[Mapping[str, Any]]) -> Iterator[Word]:
    boot = -1
    for line in machine:
        boot += line["event"] == "boot"
        said = re.search(r"run (\S+): (.*)", str(line.get("text", "")))
        if said:
            yield Word(said[1], said[2], boot, seconds(line["time"]))


def _note(entry: str) -> Note:
    word, run_id, step, boot_id, at = entry.split()
    return Note(word, run_id, step, boot_id, float(at))
