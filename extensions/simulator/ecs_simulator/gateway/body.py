# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what a client sent after the headers, for every address alike; what cannot be read is the client's mistake."""

import json
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ecs_simulator.cloud.errors import ApiError


async def read_body(http: web.Request) -> bytes:
    """The body of a request; raises :class:`ApiError`.

    It is taken as it comes: no SDK of Alibaba's compresses one, and nothing is known of what the service would do.
    """
    encoding = http.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise ApiError(415, "UnsupportedMediaType", "The request has a Content-Encoding; send the body as it is.")
    try:
        return await http.read()
    except web.HTTPRequestEntityTooLarge:
        raise ApiError(413, "RequestEntityTooLarge", "The request is too large.") from None
    except (ConnectionError, web.RequestPayloadError, HttpProcessingError):
        # Who hung up reads no answer; for the audit log there is one.
        raise ApiError(400, "InvalidParameter", "The body of the request is not whole.") from None


async def read_json(http: web.Request) -> Any:
    """The body of a request that is JSON; raises :class:`ApiError`."""
    body = await read_body(http)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "InvalidParameter", f"the body is not JSON: {error}") from None
