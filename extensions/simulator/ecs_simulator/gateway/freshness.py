# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests are new: their time is ours, and their nonce has not been used."""

from datetime import UTC, datetime

from ecs_simulator.cloud.errors import ApiError

# The service takes requests that are stamped at most 15 minutes from its own time.
WINDOW_S = 15 * 60


class Nonces:
    """The nonces of the requests that might still be sent again."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, str], float] = {}

    def use(self, caller: str, nonce: str, now: float) -> None:
        """Note a caller's nonce; refuses one that it has used."""
        while self._used and next(iter(self._used.values())) < now:
            del self._used[next(iter(self._used))]
        if (caller, nonce) in self._used:
            raise ApiError(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
        # A request from the future can be sent again for two windows.
        self._used[caller, nonce] = now + 2 * WINDOW_S


def check_time(stamp: str, now: float) -> None:
    """Refuse a request that was stamped too long ago, or too far ahead."""
    try:
        sent = datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise ApiError(
            400, "InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted."
        ) from None
    if abs(sent - now) > WINDOW_S:
        raise ApiError(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
