# SPDX-License-Identifier: GPL-3.0-or-later
"""How often an action is answered: a bucket of one second's requests for each caller, and one for all of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ecs_simulator.clock import Clock
from ecs_simulator.cloud.errors import ApiError
from ecs_simulator.fleet_callers import Throttle

EVERY_ACTION = "*"


@dataclass
class _Bucket:
    """Fills with ``rate`` requests a second, and holds at least one."""

    rate: float
    level: float
    at: float

    @classmethod
    def full(cls, rate: float, now: float) -> "_Bucket":
        return cls(rate, max(1.0, rate), now)

    def wait_s(self, now: float) -> float:
        """How long until it holds a request."""
        self.level = min(max(1.0, self.rate), self.level + (now - self.at) * self.rate)
        self.at = now
        return max(0.0, 1.0 - self.level) / self.rate


class Throttling:
    """Counts the requests of a simulated account."""

    def __init__(self, limits: Mapping[str, Throttle], clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def check(self, caller: str, action: str) -> None:
        """Count a request, or refuse it with the time after which the next one is answered."""
        limit = self._limits.get(action) or self._limits.get(EVERY_ACTION)
        if limit is None:
            return
        now = self._clock.time()
        buckets = [
            (code, self._buckets.setdefault((action, whose), _Bucket.full(rate, now)))
            for code, whose, rate in (("User", caller, limit.per_second), ("Api", "", limit.api_per_second))
            if rate
        ]
        for code, bucket in buckets:
            if (wait_s := bucket.wait_s(now)) > 0:
                raise throttled(code, wait_s)
        for _code, bucket in buckets:
            bucket.level -= 1


def throttled(code: str, wait_s: float) -> ApiError:
    """Throttling.User or Throttling.Api, with the hint that Alibaba's SDKs read: milliseconds in x-acs-retry-after."""
    return ApiError(
        400,
        f"Throttling.{code}",
        f"Request was denied due to {code.lower()} flow control.",
        headers={"x-acs-retry-after": str(math.ceil(wait_s * 1000))},
    )
