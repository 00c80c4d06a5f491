# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors in words: what was attempted, why it failed, what to do; and nothing secret."""

from __future__ import annotations

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import (
    ApiError,
    NoAnswer,
    advice,
    clean_message,
    connection_reason,
)


def test_an_api_error_says_everything_in_one_line() -> None:
    error = ApiError(
        "RunCommand on 3 instances in cn-hangzhou",
        code="InvalidInstance.NotFound",
        message="code: 404, The specified instance does not exist. request id: 1234-5678",
        request_id="1234-5678",
        status=404,
    )
    assert str(error) == (
        "RunCommand on 3 instances in cn-hangzhou failed: The specified instance does not exist "
        "(code InvalidInstance.NotFound, request id 1234-5678). Check the instance ids and the region: an instance is "
        "not there."
    )


def test_a_signature_error_does_not_repeat_the_request() -> None:
    message = (
        "code: 400, Specified signature is not matched with our calculation. server string to sign is:POST&%2F&"
        "CommandContent%3Dsecret request id: 1"
    )
    assert clean_message(message) == "Specified signature is not matched with our calculation"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("Throttling.User", "rate"),
        ("Forbidden.RAM", "RAM"),
        ("InvalidRegionId.NotFound", "region_id"),
        ("SomethingNew", ""),
    ],
)
def test_advice_follows_the_beginning_of_the_code(code: str, words: str) -> None:
    assert words in advice(code)
    assert bool(advice(code)) is bool(words)


URL = "HTTPConnectionPool(host='127.0.0.1', port=1): Max retries exceeded with url: /?CommandContent=c2VjcmV0 "


@pytest.mark.parametrize(
    ("text", "reason", "sent"),
    [
        (URL + "(Caused by NewConnectionError: [Errno 111] Connection refused)", "refused", False),
        (URL + "(Caused by NameResolutionError: Name or service not known)", "name", False),
        (URL + "(Caused by ConnectTimeoutError: connect timeout=5)", "connect_timeout", False),
        ("Read timed out. (read timeout=10)", "read_timeout", True),
        ("('Connection aborted.', RemoteDisconnected('closed connection without response'))", "closed", True),
        ("('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))", "reset", True),
        ("SSLError certificate verify failed", "ca_path", False),
        ("something nobody has seen " + URL, "failed", True),
        # Through a proxy a connection that broke after the request looks like a proxy that was never reached.
        (URL + "(Caused by ProxyError('Unable to connect to proxy', RemoteDisconnected('closed')))", "", True),
        (URL + "(Caused by ProxyError('Unable to connect to proxy', NewConnectionError('refused')))", "", False),
        (URL + "(Caused by ProxyError('...', OSError('Tunnel connection failed: 407')))", "", False),
        (URL + "(Caused by SSLError(SSLEOFError(8, 'EOF occurred in violation of protocol')))", "", True),
    ],
)
def test_a_broken_connection_is_named_without_the_url(text: str, reason: str, sent: bool) -> None:
    words, may_have_been_sent = connection_reason(text)
    assert reason in words
    assert "CommandContent" not in words
    assert may_have_been_sent is sent


def test_an_unanswered_request_says_whether_it_had_an_effect() -> None:
    assert "it had no effect" in str(NoAnswer("RunCommand", "the connection was refused", sent=False))
    assert "unknown whether it took effect" in str(NoAnswer("RunCommand", "it took too long", sent=True))
