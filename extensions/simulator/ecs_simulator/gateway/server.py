# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP server: authenticates a request, finds its action, answers as Alibaba's gateway does."""

import functools
import logging
import ssl
import time
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ecs_simulator.api.actions import PRODUCTS, Action
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.clock import Clock, RealClock
from ecs_simulator.cloud.callers import Caller
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError
from ecs_simulator.gateway.authentication import Authentication, Call, read_call
from ecs_simulator.gateway.body import read_body
from ecs_simulator.gateway.control import Control
from ecs_simulator.gateway.memory import Question
from ecs_simulator.gateway.permission import check_permission
from ecs_simulator.gateway.registration import REGISTER_PATH, Registration
from ecs_simulator.gateway.request import Request, parse_request
from ecs_simulator.gateway.request_faults import ConnectionCut, RequestFaults
from ecs_simulator.gateway.throttle import Throttling

# Far more than parse_request takes, because what is longer than this gets an answer that no SDK can read.
_REQUEST_LINE_BYTES = 4 * 1024 * 1024
_HEADER_BYTES = 64 * 1024
_LOG = logging.getLogger(__name__)
# What is no HTTP is answered with status 400, and is no bug of ours to report.
_NO_BUGS = (HttpProcessingError, web.RequestPayloadError)
_LOG.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], _NO_BUGS)))
_NO_CALL = Call({}, "", "", "", "", "", "")


class Gateway:
    """Serves one cloud. ``clock`` is the callers' time, whatever the time in the cloud is."""

    def __init__(self, cloud: Cloud, clock: Clock | None = None) -> None:
        self._cloud = cloud
        clock = clock or RealClock()
        self._authentication = Authentication(cloud.callers, clock)
        self._throttling = Throttling(cloud.fleet.throttling, clock)
        self._faults = RequestFaults(cloud)
        self._control = Control(cloud)
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen; returns the port, which the system chooses when ``port`` is 0."""
        application = web.Application()
        application.router.add_route("*", "/", self._serve)
        self._control.add_routes(application.router)
        application.router.add_post(REGISTER_PATH, Registration(self._cloud).register)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            logger=_LOG,
            max_line_size=_REQUEST_LINE_BYTES,
            max_field_size=_HEADER_BYTES,
            auto_decompress=False,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=tls)
        await site.start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def close(self) -> None:
        self._faults.close()
        self._control.close()
        if self._runner:
            await self._runner.cleanup()

    async def _serve(self, http: web.Request) -> web.Response:
        started = time.monotonic()
        request_id = self._cloud.ids.request()
        call, parameters, caller = _NO_CALL, Parameters({}), None
        headers: dict[str, str] = {}
        # What the action itself said, whatever the caller is told.
        done: dict[str, Any] = {}

        def note(answer: dict[str, Any]) -> dict[str, Any]:
            done.update(answer)
            return answer

        try:
            request = await _read(http)
            call = read_call(request)
            parameters = Parameters(call.parameters)
            caller = self._authentication.check(request, call)
            act = functools.partial(self._permitted(call, caller), self._cloud, parameters, caller.access_key_id)
            question = Question.of(caller.access_key_id, call.action, call.parameters)
            answer = await self._faults.answer(question, request_id, lambda: note(act()))
            status, code = 200, "200"
        except ConnectionCut:
            status, code, answer = 500, "", {}
            if http.transport:
                http.transport.abort()
        except ApiError as error:
            status, code, headers = error.status, error.code, error.headers
            answer = {"Code": code, "Message": error.message, "HostId": http.host, **error.fields}
            answer["Recommend"] = f"https://api.aliyun.com/troubleshoot?q={code}&product=Ecs&requestId={request_id}"
        except Exception:
            # A bug of ours: say so in the API's words, and where the maintainer looks.
            _LOG.exception("%s failed", call.action)
            status, code = 500, "InternalError"
            answer = {"Code": code, "Message": "The simulator failed; its standard error says why."}
        self._cloud.audit.api(
            action=call.action,
            caller=caller.access_key_id if caller else "",
            instance_ids=parameters.numbered("InstanceId") or list(filter(None, [parameters.text("InstanceId")])),
            code=code,
            request_id=request_id,
            milliseconds=round((time.monotonic() - started) * 1000),
            **({"invoke_id": done["InvokeId"]} if "InvokeId" in done else {}),
        )
        return web.json_response({"RequestId": request_id, **answer}, status=status, headers=headers)

    def _permitted(self, call: Call, caller: Caller) -> Action:
        """The function that serves an action, for a caller that may call it, and may call it now."""
        product, actions = PRODUCTS.get(call.version, ("", {}))
        serve = actions.get(call.action)
        if serve is None:
            raise ApiError(
                404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method."
            )
        self._throttling.check(caller.access_key_id, call.action)
        check_permission(caller, product, call.action)
        return serve


async def _read(http: web.Request) -> Request:
    body = await read_body(http)
    return parse_request(http.method, http.path, http.raw_path.partition("?")[2], http.headers, body)
