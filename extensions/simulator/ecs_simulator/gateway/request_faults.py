# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong with requests: errors of the gateway, cut connections, answers that are late or not true."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError
from ecs_simulator.fleet_request_faults import RequestFault
from ecs_simulator.gateway.memory import Memory, Question, empty, repeat_row
from ecs_simulator.gateway.throttle import throttled

Answer = dict[str, Any]


class ConnectionCut(Exception):
    """There is to be no answer."""


class RequestFaults:
    """Lets the faults of a cloud's requests happen."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._memory = Memory()
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Late answers come now."""
        self._closing.set()

    async def answer(self, question: Question, request_id: str, act: Callable[[], Answer]) -> Answer:
        """What the caller gets: the answer that ``act`` gives, unless a fault is due."""
        fault = self._cloud.faults.queue.due_on_request(question.action, lambda fault: self._shows(fault, question))
        if fault is None:
            return self._memory.keep(question, act())
        self._cloud.audit.request_fault(question.action, fault.name, request_id=request_id)
        match fault.name:
            case "slow":
                try:
                    return self._memory.keep(question, act())
                finally:
                    await self._wait(fault.seconds)
            case "throttle":
                raise throttled("User", fault.seconds)
            case "stale":
                return self._memory.last(question) or empty(act())
            case "duplicate_row":
                before = self._memory.page_before(question)
                return repeat_row(before, self._memory.keep(question, act()))
        if fault.took_effect:
            act()
        if fault.name == "connection_cut":
            raise ConnectionCut
        raise _broken(fault.name)

    def _shows(self, fault: RequestFault, question: Question) -> bool:
        """A row can come twice only on a page that follows another one."""
        return fault.name != "duplicate_row" or bool(self._memory.page_before(question))

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)


def _broken(name: str) -> ApiError:
    if name == "http_503":
        return ApiError(503, "ServiceUnavailable", "The request has failed due to a temporary failure of the server.")
    return ApiError(500, "InternalError", "The request processing has failed due to some unknown error.")
