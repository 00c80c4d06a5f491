# SPDX-License-Identifier: GPL-3.0-or-later
"""What no real cloud offers: requests that make something go wrong, or that move the time. They need no signature."""

import asyncio
from dataclasses import asdict
from typing import Any

from aiohttp import web

from ecs_simulator.clock import ManualClock, iso_milliseconds
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError
from ecs_simulator.cloud.faults import Waiting
from ecs_simulator.cloud.injection import FaultRefused
from ecs_simulator.errors import FleetError
from ecs_simulator.fleet_reader import Reader
from ecs_simulator.gateway.body import read_json
from ecs_simulator.gateway.known_actions import read_fault

FAULTS_PATH = "/_simulator/faults"
CLOCK_PATH = "/_simulator/clock"
_MAXIMUM_ADVANCE_S = 366 * 86_400.0


class Control:
    """Serves the requests that steer a cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._closing = False
        self._advances: set[asyncio.Task[None]] = set()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get(FAULTS_PATH, self._list_faults)
        router.add_post(FAULTS_PATH, self._add_fault)
        router.add_delete(FAULTS_PATH, self._take_all_back)
        router.add_delete(FAULTS_PATH + "/{number:[0-9]{1,18}}", self._take_back)
        router.add_get(CLOCK_PATH, self._tell_time)
        router.add_post(CLOCK_PATH, self._advance)

    def close(self) -> None:
        """Give up what takes long, and begin nothing more of it."""
        self._closing = True
        for advance in self._advances:
            advance.cancel()

    async def _list_faults(self, _request: web.Request) -> web.Response:
        """The faults that wait for an event or a request."""
        rows = [_row(number, waiting) for number, waiting in self._cloud.faults.queue.waiting().items()]
        return web.json_response({"faults": rows})

    async def _add_fault(self, request: web.Request) -> web.Response:
        """A fault, which has happened when the answer is there, or which waits from then on, at its Location."""
        try:
            document = await read_json(request)
            number = await self._cloud.faults.add(read_fault(document, self._cloud.names()))
        except ApiError as error:
            return _refuse(error.status, error.message)
        except (FleetError, FaultRefused) as error:
            return _refuse(400, str(error))
        return web.json_response({}, headers={} if number is None else {"Location": f"{FAULTS_PATH}/{number}"})

    async def _take_back(self, request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        if not self._cloud.faults.queue.take_back(number):
            return _refuse(404, f"no fault {number} waits; it may have come as often as it was to come")
        return web.json_response({})

    async def _take_all_back(self, _request: web.Request) -> web.Response:
        for number in self._cloud.faults.queue.waiting():
            self._cloud.faults.queue.take_back(number)
        return web.json_response({})

    async def _tell_time(self, _request: web.Request) -> web.Response:
        return web.json_response({"time": iso_milliseconds(self._cloud.clock.time())})

    async def _advance(self, request: web.Request) -> web.Response:
        """Move a virtual clock on. All that is due until then has happened when the answer, the new time, is there."""
        clock = self._cloud.clock
        try:
            seconds = _parse_advance(await read_json(request))
        except ApiError as error:
            return _refuse(error.status, error.message)
        except FleetError as error:
            return _refuse(400, str(error))
        if not isinstance(clock, ManualClock):
            return _refuse(400, "this clock moves by itself: start the simulator with --clock virtual")
        if self._closing:
            return _refuse(400, "the simulator is about to end")
        advance = asyncio.ensure_future(clock.advance(seconds))
        self._advances.add(advance)
        advance.add_done_callback(self._advances.discard)
        await advance
        return await self._tell_time(request)


def _parse_advance(document: Any) -> float:
    body = Reader(document, whole="the body")
    seconds: float = body.take("advance", float, wanted="a number of seconds")
    body.finish()
    if not 0 <= seconds <= _MAXIMUM_ADVANCE_S:
        body.fail("advance", f"must be at least 0 and at most {_MAXIMUM_ADVANCE_S:.0f} seconds, not {seconds:g}")
    return seconds


def _row(number: int, waiting: Waiting) -> dict[str, Any]:
    keys = asdict(waiting.fault)
    return {"id": number, "fault": keys.pop("name"), **keys, "left": waiting.left}


def _refuse(status: int, sentence: str) -> web.Response:
    return web.json_response({"error": sentence}, status=status)
