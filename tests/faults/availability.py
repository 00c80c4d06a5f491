# SPDX-License-Identifier: GPL-3.0-or-later
"""How many hosts were unavailable at once, by the simulator's audit log alone. Pure functions.

A host is unavailable while it is down or without its agent, and from a run's first command for it until that run's last
one there has ended, and the restart that it asked for is over. A run is known by the access key that it uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from random_runs.history import OURS

Line = Mapping[str, Any]


@dataclass
class Span:
    """From one line of the log to another an instance is unavailable, for a run or (without one) because it is down."""

    instance_id: str
    run: str
    first: int
    last: int

    def meets(self, other: Span) -> bool:
        return self.first <= other.last and other.first <= self.last


def most_unavailable(lines: Sequence[Line]) -> int:
    """How many instances at the worst moment, after all had come up for the first time."""
    all_up = max(_first_up(lines).values())
    spans = [*spans_of_work(lines), *spans_down(lines)]
    return max(
        len({span.instance_id for span in spans if span.first <= number <= span.last})
        for number in range(all_up, len(lines))
    )


def shared_hosts(lines: Sequence[Line]) -> set[str]:
    """The instances that two runs were at work on at once."""
    spans = spans_of_work(lines)
    return {
        span.instance_id
        for span in spans
        for other in spans
        if span.instance_id == other.instance_id and span.run != other.run and span.meets(other)
    }


def spans_of_work(lines: Sequence[Line]) -> list[Span]:
    """For each instance and run one, from its first command there to the end of its last one and of its restart."""
    runs = {line["invoke_id"]: line["caller"] for line in _commands(lines)}
    spans: dict[tuple[str, str], Span] = {}
    at_work: dict[str, Span] = {}
    restarting: dict[str, Span] = {}
    for number, line in enumerate(lines):
        if line.get("action") == "RunCommand":
            for instance_id in line["instance_ids"]:
                key = instance_id, line["caller"]
                spans.setdefault(key, Span(*key, number, number)).last = number
            continue
        instance_id, event = line.get("instance_id", ""), line.get("event")
        if event in ("command_start", "command_end"):
            key = instance_id, runs[line["invoke_id"]]
            at_work[instance_id] = spans.setdefault(key, Span(*key, number, number))
            at_work[instance_id].last = number
        elif event == "shutdown" and line.get("cause") in OURS and instance_id in at_work:
            restarting[instance_id] = at_work[instance_id]
        elif event == "agent_up" and instance_id in restarting:
            restarting.pop(instance_id).last = number
    for span in restarting.values():
        span.last = len(lines) - 1
    return list(spans.values())


def spans_down(lines: Sequence[Line]) -> list[Span]:
    """For each time that an instance had no agent at work."""
    spans: list[Span] = []
    down: dict[str, int] = {}
    for number, line in enumerate(lines):
        if line.get("event") in ("shutdown", "agent_down"):
            down.setdefault(line["instance_id"], number)
        elif line.get("event") == "agent_up" and line["instance_id"] in down:
            spans.append(Span(line["instance_id"], "", down.pop(line["instance_id"]), number))
    return spans + [Span(instance_id, "", first, len(lines) - 1) for instance_id, first in down.items()]


def _first_up(lines: Sequence[Line]) -> dict[str, int]:
    ups = [(line["instance_id"], number) for number, line in enumerate(lines) if line.get("event") == "agent_up"]
    return dict(reversed(ups))


def _commands(lines: Sequence[Line]) -> Iterable[Line]:
    return (line for line in lines if line.get("action") == "RunCommand" and "invoke_id" in line)
