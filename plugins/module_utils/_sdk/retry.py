# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Retrying requests, by named error codes and never commands.

The SDK itself retries nothing. A request is repeated when it certainly had no effect (throttled, never sent), or
when repeating it is harmless: it only reads, or it carries a client token that makes the service answer the same
request once.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from .._waiting import Clock, Deadline
from .errors import ApiError, NoAnswer

T = TypeVar("T")

TOTAL_S = 120.0
# An endpoint that cannot be reached at all is more often misspelt than away.
UNREACHABLE_S = 20.0
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 20.0
_UNAVAILABLE = ("ServiceUnavailable", "InternalError", "SystemBusy", "IdempotentProcessing")


def may_repeat(error: ApiError | NoAnswer, *, harmless: bool) -> bool:
    """Whether the failed request may be sent again."""
    if isinstance(error, NoAnswer):
        return not error.lasting and (harmless or not error.sent)
    if error.code.split(".")[0] == "Throttling":
        return True
    return harmless and (error.status >= 500 or error.code.split(".")[0] in _UNAVAILABLE)


def pause_s(attempt: int, error: ApiError | NoAnswer, jitter: Callable[[float, float], float]) -> float:
    """How long to wait before attempt number ``attempt`` + 1: full jitter, or longer when the server asks for it."""
    longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0**attempt)
    hint = error.retry_after_s if isinstance(error, ApiError) else None
    return max(jitter(0.0, longest), hint or 0.0)


def repeat(
    send: Callable[[], T],
    *,
    harmless: bool,
    clock: Clock,
    total_s: float = TOTAL_S,
    jitter: Callable[[float, float], float] = random.uniform,
) -> T:
    """Send a request until it is answered, refused for good, or ``total_s`` seconds are over.

    When it could not even be sent, that is ``UNREACHABLE_S`` seconds. The error that is raised in the end says that
    the request may have taken effect when that is true of any of the attempts.
    """
    deadline = Deadline(clock, total_s)
    unreachable = Deadline(clock, min(total_s, UNREACHABLE_S))
    attempt = 0
    lost: NoAnswer | None = None
    while True:
        try:
            return send()
        except (ApiError, NoAnswer) as error:
            if isinstance(error, NoAnswer) and error.sent:
                lost = error
            pause = pause_s(attempt, error, jitter)
            never_sent = isinstance(error, NoAnswer) and not error.sent
            out_of_time = pause >= (unreachable if never_sent else deadline).left_s
            if out_of_time or not may_repeat(error, harmless=harmless):
                if lost is None or lost is error:
                    raise
                raise lost from error
        attempt += 1
        clock.sleep(pause)
