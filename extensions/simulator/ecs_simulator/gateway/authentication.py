# SPDX-License-Identifier: GPL-3.0-or-later
"""Who sent a request: signatures of versions 3 and 1.0, security tokens, times and nonces."""

import hmac
from dataclasses import dataclass
from typing import NoReturn

from ecs_simulator.clock import Clock
from ecs_simulator.cloud.callers import Caller, Callers
from ecs_simulator.cloud.errors import ApiError, missing
from ecs_simulator.gateway import signature_v1, signature_v3
from ecs_simulator.gateway.freshness import Nonces, check_time
from ecs_simulator.gateway.request import Request

# Whoever leaves one of these unsigned lets others change what is asked for, or ask it again.
_SIGNED = ("host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256")
# Parameters of every action, which differ when a client sends the same request again.
_COMMON = {"Action", "Version", "Format", "Timestamp", "AccessKeyId", "SecurityToken"} | {
    f"Signature{end}" for end in ("", "Method", "Version", "Type", "Nonce")
}


@dataclass(frozen=True)
class Call:
    """What a request asks for and how it proves who asks, whatever the version of its signature."""

    parameters: dict[str, str]
    """Those of the action."""
    action: str
    version: str
    access_key_id: str
    security_token: str
    time: str
    nonce: str


class Authentication:
    """Knows the callers by their signatures. ``clock`` is the time that callers must have, too."""

    def __init__(self, callers: Callers, clock: Clock) -> None:
        self._callers = callers
        self._clock = clock
        self._nonces = Nonces()

    def check(self, request: Request, call: Call) -> Caller:
        """The caller of a request; raises the error that the real gateway answers with."""
        if not call.access_key_id:
            raise ApiError(400, "MissingAccessKeyId", "AccessKeyId is mandatory for this action.")
        now = self._clock.time()
        check_time(call.time, now)
        if not call.nonce:
            raise missing("SignatureNonce")
        caller = self._callers.find(call.access_key_id)
        if caller is None:
            raise ApiError(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        self._callers.check_token(caller, call.security_token)
        given, expected = _signatures(request, caller.secret)
        if not hmac.compare_digest(given.encode(), expected.encode()):
            raise ApiError(400, "SignatureDoesNotMatch", "Specified signature is not matched with our calculation.")
        self._nonces.use(call.access_key_id, call.nonce, now)
        return caller


def read_call(request: Request) -> Call:
    """The action that a request names and its credentials, of which nothing is checked yet."""
    headers, parameters = request.headers, request.parameters
    own = {name: value for name, value in parameters.items() if name not in _COMMON}
    if "authorization" in headers or "Signature" not in parameters:
        authorization = signature_v3.parse_authorization(headers.get("authorization", ""))
        return Call(
            parameters=own,
            action=headers.get("x-acs-action") or parameters.get("Action", ""),
            version=headers.get("x-acs-version") or parameters.get("Version", ""),
            access_key_id=authorization.access_key_id if authorization else "",
            security_token=headers.get("x-acs-security-token", ""),
            time=headers.get("x-acs-date", ""),
            nonce=headers.get("x-acs-signature-nonce", ""),
        )
    return Call(
        parameters=own,
        action=parameters.get("Action", ""),
        version=parameters.get("Version", ""),
        access_key_id=parameters.get("AccessKeyId", ""),
        security_token=parameters.get("SecurityToken", ""),
        time=parameters.get("Timestamp", ""),
        nonce=parameters.get("SignatureNonce", ""),
    )


def _signatures(request: Request, secret: str) -> tuple[str, str]:
    """The signature of a request, and what it should be."""
    header = request.headers.get("authorization")
    if header is None:
        parameters = request.parameters
        signature = parameters.pop("Signature", "")
        method, version = parameters.get("SignatureMethod"), parameters.get("SignatureVersion")
        if not signature or (method, version) != (signature_v1.METHOD, signature_v1.VERSION):
            _incomplete()
        return signature, signature_v1.sign(secret=secret, method=request.method, parameters=parameters)
    authorization = signature_v3.parse_authorization(header)
    if authorization is None:
        _incomplete()
    needed = {*_SIGNED, *(name for name in request.headers if name.startswith("x-acs-"))}
    if not needed.issubset(authorization.signed_headers):
        _incomplete()
    return authorization.signature, signature_v3.sign(
        secret=secret,
        method=request.method,
        path=request.path,
        query=request.query,
        headers=request.headers,
        signed_headers=authorization.signed_headers,
        body=request.body,
    )


def _incomplete() -> NoReturn:
    raise ApiError(400, "IncompleteSignature", "The request signature does not conform to Aliyun standards.")
