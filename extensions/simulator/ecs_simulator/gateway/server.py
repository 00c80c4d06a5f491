# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP server: authenticates a request, finds its action, answers as Alibaba's gateway does."""

import hmac
import logging
import time
from typing import Any

from aiohttp import web

from ecs_simulator.api.actions import ACTIONS
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError
from ecs_simulator.gateway.control import Control
from ecs_simulator.gateway.signature import parse_authorization, sign

VERSION = "2014-05-26"
# RunCommand sends up to 24 KB of script in the request line.
_REQUEST_LINE_BYTES = 64 * 1024


class Gateway:
    """Serves one cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._secrets = {key.id: key.secret for key in cloud.fleet.access_keys}
        self._control = Control(cloud)
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, which the system chooses when ``port`` is 0."""
        application = web.Application()
        application.router.add_route("*", "/", self._serve)
        self._control.add_routes(application.router)
        self._runner = web.AppRunner(
            application, access_log=None, max_line_size=_REQUEST_LINE_BYTES, max_field_size=_REQUEST_LINE_BYTES
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def close(self) -> None:
        self._control.close()
        if self._runner:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        started = time.monotonic()
        request_id = self._cloud.ids.request()
        query = dict(request.query)
        body = await request.read()
        if request.content_type == "application/x-www-form-urlencoded":
            query |= {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        action = request.headers.get("x-acs-action") or query.get("Action", "")
        parameters = Parameters(query)
        caller = ""
        try:
            caller = self._authenticate(request, body)
            answer = self._answer(action, request.headers.get("x-acs-version", ""), parameters, caller)
            status, code = 200, "200"
        except ApiError as error:
            status, code = error.status, error.code
            answer = {"Code": code, "Message": error.message, "HostId": request.host}
            answer["Recommend"] = f"https://api.aliyun.com/troubleshoot?q={code}&product=Ecs&requestId={request_id}"
        except Exception:
            # A bug of ours: say so in the API's words, and where the maintainer looks.
            logging.getLogger(__name__).exception("%s failed", action)
            status, code = 500, "InternalError"
            answer = {"Code": code, "Message": "The simulator failed; its standard error says why."}
        more = {"invoke_id": answer["InvokeId"]} if "InvokeId" in answer else {}
        self._cloud.audit.api(
            action=action,
            caller=caller,
            instance_ids=parameters.numbered("InstanceId")
            or [query[name] for name in ("InstanceId",) if name in query],
            code=code,
            request_id=request_id,
            milliseconds=round((time.monotonic() - started) * 1000),
            **more,
        )
        return web.json_response({"RequestId": request_id, **answer}, status=status)

    def _answer(self, action: str, version: str, parameters: Parameters, caller: str) -> dict[str, Any]:
        serve = ACTIONS.get(action)
        if serve is None or version != VERSION:
            raise ApiError(
                404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method."
            )
        return serve(self._cloud, parameters, caller)

    def _authenticate(self, request: web.Request, body: bytes) -> str:
        """The caller's access key id; raises the error that the real gateway answers with."""
        authorization = parse_authorization(request.headers.get("Authorization", ""))
        if authorization is None:
            raise ApiError(400, "MissingAccessKeyId", "AccessKeyId is mandatory for this action.")
        secret = self._secrets.get(authorization.access_key_id)
        if secret is None:
            raise ApiError(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        expected = sign(
            secret=secret,
            method=request.method,
            path=request.path,
            query=request.query,
            headers={name.lower(): value for name, value in request.headers.items()},
            signed_headers=authorization.signed_headers,
            body=body,
        )
        if not hmac.compare_digest(expected, authorization.signature):
            raise ApiError(400, "SignatureDoesNotMatch", "Specified signature is not matched with our calculation.")
        return authorization.access_key_id
