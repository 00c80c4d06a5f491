# SPDX-License-Identifier: GPL-3.0-or-later
"""Signature version 1.0 of the RPC style (HMAC-SHA1), written from Alibaba's specification of it."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote

METHOD = "HMAC-SHA1"
VERSION = "1.0"


def sign(*, secret: str, method: str, parameters: Mapping[str, str]) -> str:
    """The signature in base64 of all parameters of a request, those of its form included, without ``Signature``."""
    canonical = "&".join(f"{_encode(name)}={_encode(parameters[name])}" for name in sorted(parameters))
    text = f"{method}&{_encode('/')}&{_encode(canonical)}"
    # The specification leaves no choice.
    digest = hmac.new(f"{secret}&".encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def _encode(text: str) -> str:
    return quote(text, safe="~")
