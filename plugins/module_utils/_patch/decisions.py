# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What to do with a host after its answer. Pure functions: what was heard goes in, the next move comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .._instances.failure import Failure
from .trailer import Trailer

# ErrorCodes that a restart leaves behind: the host is asked what happened.
_INTERRUPTED = ("InstanceRestarted", "ClientRestarted", "ExecutionInterrupted", "ClientIsUpgrading")


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
        return Decision(Move.FAILED, Failure("script", _sentence("A step failed", trailer)))
    if trailer.state == "refused":
        return Decision(Move.FAILED, Failure("input", _sentence("The host refused the run", trailer)))
    if trailer.state == "late" or result["exit_code"] == 76:
        return Decision(Move.FAILED, Failure("timeout", _sentence("The host's time was over", trailer)))
    if trailer.state == "restart" and not trailer.replayed:
        return Decision(Move.RESTART if trailer.method == "api" else Move.AWAIT_RESTART)
    return Decision(Move.ASK_AGAIN, Failure("lost", _sentence("The host is not ready", trailer)))


def _without_trailer(result: Mapping[str, Any], *, first: bool) -> Decision:
    if result["power_action"] == "restart":
        return Decision(Move.AWAIT_RESTART)
    kind, info, code = result["failure"] or "", result["error_info"] or "", result["error_code"] or ""
    failure = Failure(kind, info, code)
    if code in _INTERRUPTED or kind in ("lost", "not_delivered", "timeout"):
        return Decision(Move.ASK_AGAIN, failure)
    if result["status"] is None or kind in ("agent", "network", "instance"):
        # Unfit at the first look is a verdict; unfit after a restart may be a host that still boots.
        return Decision(Move.FAILED if first else Move.ASK_AGAIN, failure)
    if kind == "script" and result["exit_code"] not in (0, 1, 75, 76):
        last = result["output"].strip().splitlines()[-1:] or ["it printed nothing"]
        reason = f"The step runner did not start (exit code {result['exit_code']}): {last[0]}"
        return Decision(Move.FAILED, Failure("script", reason, code))
    if kind in ("input", "stopped"):
        return Decision(Move.FAILED, failure)
    return Decision(Move.ASK_AGAIN, Failure("lost", "The end of the step runner's answer is missing or damaged."))


def _sentence(what: str, trailer: Trailer) -> str:
    return f"{what}: {trailer.reason or 'it gave no reason'}. The log on the host is {trailer.log}/log."
