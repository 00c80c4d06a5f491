# SPDX-License-Identifier: GPL-3.0-or-later
"""What no real cloud offers: requests that make something go wrong. They need no signature."""

import json
from dataclasses import asdict
from typing import Any

from aiohttp import web

from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.faults import Waiting
from ecs_simulator.cloud.injection import FaultRefused
from ecs_simulator.errors import FleetError
from ecs_simulator.fleet import parse_fault
from ecs_simulator.gateway.known_actions import check_fault

FAULTS_PATH = "/_simulator/faults"


class Control:
    """Serves the requests that steer a cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(FAULTS_PATH, self.list_faults),
            web.post(FAULTS_PATH, self.add_fault),
            web.delete(FAULTS_PATH, self.take_back_all),
            web.delete(FAULTS_PATH + r"/{number:[0-9]{1,18}}", self.take_back),
        ]

    async def list_faults(self, _request: web.Request) -> web.Response:
        """The faults that wait for an event or a request."""
        rows = [_row(number, waiting) for number, waiting in self._cloud.faults.queue.waiting().items()]
        return web.json_response({"faults": rows})

    async def add_fault(self, request: web.Request) -> web.Response:
        """A fault, which has happened when the answer is there, or which waits from then on, at its Location."""
        try:
            body = json.loads(await request.read())
        except (ValueError, RecursionError) as error:
            return _refused(400, f"the body is not JSON: {error}")
        try:
            fault = parse_fault(body, self._cloud.names())
            check_fault(fault)
            number = await self._cloud.faults.add(fault)
        except (FleetError, FaultRefused) as error:
            return _refused(400, str(error))
        return web.json_response({}, headers={} if number is None else {"Location": f"{FAULTS_PATH}/{number}"})

    async def take_back(self, request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        if not self._cloud.faults.queue.take_back(number):
            return _refused(404, f"no fault {number} waits; it may have come as often as it was to come")
        return web.json_response({})

    async def take_back_all(self, _request: web.Request) -> web.Response:
        for number in self._cloud.faults.queue.waiting():
            self._cloud.faults.queue.take_back(number)
        return web.json_response({})


def _row(number: int, waiting: Waiting) -> dict[str, Any]:
    keys = asdict(waiting.fault)
    return {"id": number, "fault": keys.pop("name"), **keys, "left": waiting.left}


def _refused(status: int, sentence: str) -> web.Response:
    return web.json_response({"error": sentence}, status=status)
