# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""A host of a batch: where it is in its cycle, and what it has said so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from .._cloud_assistant.results import Result
from .._cloud_assistant.submit import CommandApi, Invocation
from .._instances.describe import Seen
from .._instances.events import EventApi
from .._instances.failure import Failure
from .._instances.power import PowerApi
from .._restart.coming_back import looks_back
from .._waiting import Clock, Deadline
from .leasing import TagApi
from .requests import Request, after_answer
from .trailer import Trailer, read_trailer, without_trailer
from .verdict import verdict_of


class PatchApi(CommandApi, PowerApi, EventApi, TagApi, Protocol):
    """The calls that patching needs."""


def no_answer_of(invoke_id: str) -> str:
    """A sentence on a host that was asked, and of which nobody knows how far it came."""
    return (
        f"Its answer to invocation {invoke_id} has not come. It may have finished, or still work: start the same "
        "command again with the same run id, and it tells."
    )


@dataclass(frozen=True)
class Ready:
    """It is asked to continue as soon as may be; ``reason`` is why its last answer said nothing, if there was one."""

    reason: str = ""
    word = "to continue"

    @property
    def unfinished(self) -> str:
        return f"It was not asked to continue any more. {self.reason}".rstrip()


@dataclass(frozen=True)
class Asked:
    """The invocation runs on it; its answer was not there yet at ``silent`` (monotonic)."""

    invocation: Invocation
    silent: float
    adopted: bool = False
    """An earlier controller of the run sent it, with its own limit of time."""
    word = "working"

    @property
    def unfinished(self) -> str:
        return no_answer_of(self.invocation.invoke_id)


@dataclass(frozen=True)
class Due:
    """It asks for a restart through the API. It may have said so right after ``silent`` (monotonic)."""

    silent: float
    word = "to restart"
    unfinished = "It asks for a restart, and was not restarted."


@dataclass(frozen=True)
class Away:
    """It restarts, or may, or its last answer said nothing; ``reason`` says which.

    ``left`` (monotonic) is when that began. It is asked again when its agent has said hello after ``since`` (the
    service's clock; None: after the first look), or when it has been online for the settle time all the same, but
    not before ``pause_s`` are over. It is given up when ``patience`` is over.
    """

    since: float | None
    left: float
    pause_s: float
    patience: Deadline
    reason: Failure

    @property
    def word(self) -> str:
        return "to be asked again" if self.pause_s else "restarting"

    @property
    def unfinished(self) -> str:
        return self.reason.info

    def worth_asking(self, seen: Seen, now: float, settle_s: float) -> bool:
        """Whether an answer can be hoped for. ``now`` is monotonic."""
        gone_s = now - self.left
        if gone_s < self.pause_s:
            return False
        return looks_back(seen, self.since) or (seen.online and gone_s >= settle_s)


def returning(clock: Clock, patience_s: float) -> Away:
    """The place of a host that is restarting for an earlier controller: any word of its agent will do."""
    reason = Failure("lost", "It was away when the run went on, and has not been seen since. Look at it.")
    return Away(0.0, clock.monotonic(), 0.0, Deadline(clock, patience_s), reason)


@dataclass(frozen=True)
class Settled:
    """It has its verdict: nothing more happens to it in this call."""

    verdict: dict[str, Any]


# Where a host is. Each place but the last has a word for progress lines, and a sentence on who is still there when the
# batch's time is over.
Place: TypeAlias = "Ready | Asked | Due | Away | Settled"


@dataclass
class Host:
    """One host of the batch.

    ``rebooted_boot`` is the boot id in which RebootInstances was sent for it, ``unanswered`` why its answer is not
    known, ``request`` a restart that is not proven yet. ``trailer`` is the last one that a keeper wrote; ``log`` any
    runner can tell. ``platform`` is linux or windows, ``event`` says that a system event wants a restart.
    """

    name: str
    instance_id: str
    api: PatchApi
    method: str
    platform: str = "linux"
    event: bool = False
    place: Place = field(default_factory=Ready)
    cycles: int = 0
    asks: int = 0
    invoke_ids: list[str] = field(default_factory=list)
    output: str = ""
    started_at: str | None = None
    finished_at: str | None = None
    trailer: Trailer | None = None
    log: str = ""
    rebooted_boot: str = ""
    unanswered: Failure | None = None
    request: Request | None = None

    def afresh(self) -> Host:
        """The same host, before anything was asked of it."""
        return Host(self.name, self.instance_id, self.api, self.method, self.platform, self.event)

    @property
    def boot_id(self) -> str:
        """The boot id that it told last."""
        return self.trailer.boot_id if self.trailer else ""

    def take_in(self, result: Result, run_id: str) -> Trailer | None:
        """Keep what an answer brought; the trailer of this very answer."""
        self.cycles += 1
        if result["invoke_id"]:
            self.invoke_ids.append(result["invoke_id"])
        if result["output"]:
            self.output = result["output"]
        self.started_at = self.started_at or result["started_at"]
        self.finished_at = result["finished_at"] or self.finished_at
        trailer = read_trailer(result["output"], run_id)
        adopted = isinstance(self.place, Asked) and self.place.adopted
        self.request = after_answer(self.request, result, trailer, ours=not adopted)
        if trailer:
            self.log = trailer.log or self.log
            if trailer.whole:
                self.trailer = trailer
        return trailer

    def conclude(self, run_id: str, status: str | None, failure: Failure | None) -> None:
        """Give it its verdict; with ``status`` None its own words decide."""
        self.place = Settled(
            verdict_of(
                name=self.name,
                instance_id=self.instance_id,
                region_id=self.api.region_id,
                run_id=run_id,
                status=status,
                failure=failure,
                trailer=self.trailer,
                open_request=self.request,
                cycles=self.cycles,
                invoke_ids=self.invoke_ids,
                started_at=self.started_at,
                finished_at=self.finished_at,
                log=self.log,
                output=without_trailer(self.output),
            )
        )
