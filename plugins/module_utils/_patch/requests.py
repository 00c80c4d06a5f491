# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""A restart that was asked for and is not proven: what a controller knows of it, and the receipt for that.

The host proves its restarts itself, in its next boot. As long as it has not, the verdict on it has a receipt of the
controller's for the last one, so that nobody has to guess whether there was one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .._restart.receipts import Receipt, judge
from .trailer import Trailer


@dataclass(frozen=True)
class Request:
    """A request for a restart in the boot ``boot_id`` (empty when the answer that told it was damaged).

    ``sent`` means that the agent or RebootInstances may have had it, ``still`` that the host has asked again in the
    same boot since, which it does when a restart should long have come.
    """

    method: str
    boot_id: str
    at: str | None
    reason: str = ""
    sent: bool = True
    still: bool = False

    def sent_at(self, moment: str | None) -> Request:
        """The same, after RebootInstances."""
        return replace(self, at=moment, sent=True, still=False)

    def receipt(self) -> Receipt:
        """Not restarted where that is known, else unknown."""
        notes = [] if self.sent else ["nobody has carried the request out"]
        return judge(
            method=self.method,
            before=self.boot_id,
            after=self.boot_id if self.still or not self.sent else None,
            requested_at=self.at,
            proven_at=None,
            evidence=[*notes, *([f"reason: {self.reason}"] if self.reason else [])],
        )


def after_answer(
    request: Request | None, result: Mapping[str, Any], trailer: Trailer | None, *, ours: bool
) -> Request | None:
    """What is open after an answer of the host; ``ours``: this controller asked for it, and nobody else acts on it."""
    if trailer is None:
        # The agent restarts it, though the words that say why have not come.
        asked = result["power_action"] == "restart"
        return Request("exit_code", "", result["finished_at"]) if asked else request
    if trailer.state == "restart":
        return _asked(request, result, trailer, ours=ours and not trailer.replayed)
    if request is None or trailer.state == "done":
        return None
    proven = any(request.boot_id in ("", receipt.boot_id_before) for receipt in trailer.restarts)
    return None if proven else request


def _asked(request: Request | None, result: Mapping[str, Any], trailer: Trailer, *, ours: bool) -> Request:
    by_api = trailer.method == "api"
    if by_api and request and request.sent and request.boot_id == trailer.boot_id:
        return replace(request, still=True)
    # Exit code 76 is the host's own word that its time was over. RebootInstances is a step of its own.
    held = ours and (by_api or result["exit_code"] == 76)
    return Request(trailer.method, trailer.boot_id, result["finished_at"], trailer.reason, sent=not held)
