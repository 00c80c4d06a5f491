# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests as no SDK sends them, with signatures that Alibaba's own code makes."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import aiohttp
from alibabacloud_tea_openapi.utils import Utils
from darabonba.request import DaraRequest
from yarl import URL

ECS, STS = "2014-05-26", "2015-04-01"
FORM = "application/x-www-form-urlencoded"


def stamp(seconds_from_now: float = 0.0) -> str:
    return datetime.fromtimestamp(datetime.now(UTC).timestamp() + seconds_from_now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Signed:
    """A request that is signed as version 3, or as 1.0, when it is sent."""

    action: str
    query: dict[str, str] = field(default_factory=dict)
    form: dict[str, str] | None = None
    key: str = "demo"
    secret: str = "demo-secret"
    token: str = ""
    version: str = ECS
    method: str = "POST"
    time: str = field(default_factory=stamp)
    nonce: str = field(default_factory=lambda: str(uuid4()))
    unsigned: str = ""
    """A header that the signature of version 3 leaves out."""
    changes: dict[str, str] = field(default_factory=dict)
    """Headers, or with 1.0 parameters, that get another value before it is signed."""

    async def v3(self, url: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        request = DaraRequest()
        request.method, request.pathname, request.query = self.method, "/", self.query
        body = urlencode(self.form).encode() if self.form is not None else b""
        payload = Utils.hash(body, "ACS3-HMAC-SHA256").hex()
        token = {"x-acs-security-token": self.token} if self.token else {}
        request.headers = {
            "host": url.split("//")[1],
            "x-acs-action": self.action,
            "x-acs-version": self.version,
            "x-acs-date": self.time,
            "x-acs-signature-nonce": self.nonce,
            "x-acs-content-sha256": payload,
            **token,
            **self.changes,
        }
        headers = request.headers
        request.headers = {name: value for name, value in headers.items() if name != self.unsigned}
        authorization = Utils.get_authorization(request, "ACS3-HMAC-SHA256", payload, self.key, self.secret)
        headers = {**headers, "Authorization": authorization}
        return await send(self.method, f"{url}/?{_encoded(self.query)}", headers, body, self.form is not None)

    async def v1(self, url: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        token = {"SecurityToken": self.token} if self.token else {}
        query = {
            **self.query,
            "Action": self.action,
            "Version": self.version,
            "Format": "JSON",
            "AccessKeyId": self.key,
            "SignatureMethod": "HMAC-SHA1",
            "SignatureVersion": "1.0",
            "SignatureNonce": self.nonce,
            "Timestamp": self.time,
            **token,
            **self.changes,
        }
        query["Signature"] = Utils.get_rpcsignature({**query, **(self.form or {})}, self.method, self.secret)
        body = urlencode(self.form).encode() if self.form is not None else b""
        return await send(self.method, f"{url}/?{_encoded(query)}", {}, body, self.form is not None)


async def send(
    method: str, url: str, headers: dict[str, str], body: bytes = b"", form: bool = False
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, body and headers of the answer."""
    more = {"Content-Type": FORM} if form else {}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, URL(url, encoded=True), headers={**headers, **more}, data=body or None) as answer,
    ):
        return answer.status, await answer.json(), {name.lower(): value for name, value in answer.headers.items()}


def _encoded(query: dict[str, str]) -> str:
    return urlencode(query, quote_via=quote)
