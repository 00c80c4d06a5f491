# SPDX-License-Identifier: GPL-3.0-or-later
"""What no real cloud offers: a request that makes something go wrong. It needs no signature."""

import json

from aiohttp import web

from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.injection import FaultRefused
from ecs_simulator.errors import FleetError
from ecs_simulator.fleet import parse_fault

FAULTS_PATH = "/_simulator/faults"


class Control:
    """Serves the requests that steer a cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def add_fault(self, request: web.Request) -> web.Response:
        """A fault, which has happened when the answer is there, or which waits for its event from then on."""
        try:
            body = json.loads(await request.read())
        except ValueError as error:
            return _bad_request(f"the body is not JSON: {error}")
        try:
            await self._cloud.faults.add(parse_fault(body, self._cloud.names()))
        except (FleetError, FaultRefused) as error:
            return _bad_request(str(error))
        return web.json_response({})


def _bad_request(sentence: str) -> web.Response:
    return web.json_response({"error": sentence}, status=400)
