# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What to do with a host after its answer. Pure functions: what was heard goes in, the next move comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .._instances.failure import Failure
from .trailer import Trailer, without_trailer

# Exit codes of a delivery that cannot start the runner: nothing was done, and asking again does not help. 78 is the
# delivery's own, 126 and 127 are the shell's for an interpreter or a program that it cannot run.
_CANNOT_START = (78, 126, 127)
# There is nobody to ask any more.
_GONE = ("InstanceReleased", "InstanceNotExists")


class Move(Enum):
    """What happens to a host next."""

    DONE = "done"
    FAILED = "failed"
    AWAIT_RESTART = "await_restart"
    """The agent restarts it: wait until it is back, then continue."""
    RESTART = "restart"
    """Restart it through the API, wait until it is back, then continue."""
    ASK_AGAIN = "ask_again"
    """It is unknown how far it is; ``continue`` harms nothing, so ask again a little later."""


@dataclass(frozen=True)
class Decision:
    """A move, and for FAILED and ASK_AGAIN the reason."""

    move: Move
    failure: Failure | None = None


def decide(result: Mapping[str, Any], trailer: Trailer | None, *, first: bool) -> Decision:
    """The next move for a host.

    ``result`` is the result of ``continue`` in the shape of all modules, ``trailer`` what the runner said at its
    end, ``first`` whether the host has not been asked before in this call.
    """
    if trailer is None:
        return _without_trailer(result, first=first)
    if trailer.state == "done":
        return Decision(Move.DONE)
    if trailer.state == "failed":
        return Decision(Move.FAILED, Failure(trailer.blame, _sentence("It failed", trailer) + _last_line(result)))
    # What another delivery was told holds for that delivery's time and request, not for ours.
    if not trailer.replayed:
        if trailer.state == "refused":
            return Decision(Move.FAILED, Failure(trailer.blame, _sentence("The host refused the run", trailer)))
        if trailer.state == "late":
            return Decision(Move.FAILED, Failure("timeout", _sentence("The host's time was over", trailer)))
        if trailer.state == "restart" and result["exit_code"] == 76:
            reason = "The host's time was over before its restart; it was not restarted"
            return Decision(Move.FAILED, Failure("timeout", _sentence(reason, trailer)))
        if trailer.state == "restart":
            return Decision(Move.RESTART if trailer.method == "api" else Move.AWAIT_RESTART)
    return Decision(Move.ASK_AGAIN, Failure("lost", _sentence("The host is not ready", trailer)))


def _without_trailer(result: Mapping[str, Any], *, first: bool) -> Decision:
    if result["power_action"] == "restart":
        return Decision(Move.AWAIT_RESTART)
    kind, info, code = result["failure"] or "", result["error_info"] or "", result["error_code"] or ""
    if result["status"] is None:
        # Nothing ran. At the first look that is a verdict; later it may be a host that still boots. And of a command
        # whose answer was lost nobody knows that it did not run.
        settled = first and kind != "lost"
        return Decision(Move.FAILED if settled else Move.ASK_AGAIN, Failure(kind, info, code))
    if code in _GONE:
        return Decision(Move.FAILED, Failure(kind, info, code))
    cannot_start = kind == "script" and result["exit_code"] in _CANNOT_START
    if cannot_start or kind in ("input", "stopped"):
        # The script is ours: what is wrong with it is the host's.
        kind = "instance" if cannot_start else kind
        return Decision(Move.FAILED, Failure(kind, f"The step runner did not start. {info}{_last_line(result)}", code))
    if kind in ("", "script"):
        info = _no_words(result, info)
    return Decision(Move.ASK_AGAIN, Failure("lost", info, code))


def _no_words(result: Mapping[str, Any], info: str) -> str:
    """A command that ended, and of which nobody knows what it did."""
    printed = _last_line(result).strip() or ("" if result["output"] else "It printed nothing.")
    parts = (
        "The end of the step runner's answer is missing or damaged, so it is not known how far the host is.",
        info,
        f"Look at the output of invocation {result.get('invoke_id')}, and whether the host can run scripts; then start "
        "the same command again with the same run id, which repeats nothing that has finished.",
        printed,
    )
    return " ".join(part for part in parts if part)


def _last_line(result: Mapping[str, Any]) -> str:
    """What the host's programs printed last, without what the runner itself says there."""
    lines = [line for line in without_trailer(result["output"]).splitlines() if line and not line.startswith("---")]
    return f" It printed last: {lines[-1]}" if lines else ""


def _sentence(what: str, trailer: Trailer) -> str:
    return f"{what}: {trailer.reason or 'it gave no reason'}. The log on the host is {trailer.log}."
