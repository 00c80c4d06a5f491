# SPDX-License-Identifier: GPL-3.0-or-later
"""How a computer outside ECS becomes a managed instance: the request that the agent's ``--register`` sends.

The same path and JSON as the real agent's (`aliyun-service --register`); a machine of the simulator stands for the
computer from then on. Keys that say nothing about the machine (publicKey, osVersion, agentVersion …) are ignored.
"""

import re
from dataclasses import replace
from typing import Any

from aiohttp import web

from ecs_simulator.cloud.activations import CodeRefused
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError
from ecs_simulator.gateway.body import read_json

_TEXTS = ("activationId", "activationCode", "regionId", "hostname", "instanceName", "machineId", "osType")
_HOSTNAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
REGISTER_PATH = "/luban/api/instance/register"


class Registration:
    """Serves one cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def register(self, request: web.Request) -> web.Response:
        try:
            body = await read_json(request)
        except ApiError as error:
            return _refuse(error.message, error.status)
        if not isinstance(body, dict) or not all(isinstance(body.get(key, ""), str) for key in _TEXTS):
            return _refuse("the body must be a JSON object of texts")
        try:
            return web.json_response({"code": 200, "instanceId": self._register(body, request.remote or "")})
        except CodeRefused as error:
            return _refuse(str(error))

    def _register(self, body: dict[str, Any], address: str) -> str:
        activation = self._cloud.activations.get(body.get("activationId", ""))
        if activation is None or activation.region_id != body.get("regionId"):
            raise CodeRefused("there is no such activation code in the region")
        if not _HOSTNAME.fullmatch(body.get("hostname", "localhost")):
            raise CodeRefused("the hostname may only hold letters, digits, dots, underscores and hyphens, 64 at most")
        number = activation.use(body.get("activationCode", ""), address, self._cloud.clock.time())
        os_type = "windows" if body.get("osType") == "windows" else "linux"
        image = self._cloud.fleet.image("win" if os_type == "windows" else "")
        hostname = body.get("hostname", f"managed-{number:03d}")
        host = self._cloud.add(
            replace(
                image,
                id=self._cloud.ids.managed_instance(),
                name=hostname,
                region_id=activation.region_id,
                zone_id="",
                image_id="",
                managed=True,
                tags=dict(activation.tags),
                resource_group_id=activation.resource_group_id,
            )
        )
        host.instance.name = body.get("instanceName") or activation.name(number) or hostname
        host.instance.activation_id = activation.id
        host.instance.machine_id = body.get("machineId", "")
        host.create()
        return host.instance.id


def _refuse(sentence: str, status: int = 400) -> web.Response:
    return web.json_response({"code": status, "message": sentence}, status=status)
