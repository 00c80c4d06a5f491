# SPDX-License-Identifier: GPL-3.0-or-later
"""What the libraries say of a broken connection, in words of ours."""

from __future__ import annotations

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.connection_errors import trouble_of

URL = "HTTPConnectionPool(host='127.0.0.1', port=1): Max retries exceeded with url: /?CommandContent=c2VjcmV0 "
TLS = URL + "(Caused by SSLError(SSLError(1, '[SSL: {}] no (_ssl.c:1006)')))"
NO_PROXY = URL + "(Caused by ProxyError('Unable to connect to proxy', {}))"


@pytest.mark.parametrize(
    ("text", "reason", "sent", "lasting"),
    [
        (URL + "(Caused by NewConnectionError: [Errno 111] Connection refused)", "refused", False, False),
        (URL + "(Caused by NewConnectionError: [Errno 113] No route to host)", "no route", False, False),
        (URL + "(Caused by NewConnectionError: [Errno 99] Cannot assign address)", "reached", False, False),
        (URL + "(Caused by NameResolutionError: [Errno -2] Name or service not known)", "name is not", False, True),
        (URL + "(Caused by NameResolutionError: [Errno -3] Temporary failure)", "looked up", False, False),
        (URL + "(Caused by ConnectTimeoutError: connect timeout=5)", "connect_timeout", False, False),
        ("Read timed out. (read timeout=10)", "read_timeout", True, False),
        ("('Connection aborted.', RemoteDisconnected('closed connection without response'))", "closed", True, False),
        ("('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))", "reset", True, False),
        ("('Connection aborted.', OSError(113, 'No route to host'))", "closed", True, False),
        (TLS.format("CERTIFICATE_VERIFY_FAILED] certificate verify failed"), "not trusted", False, True),
        (TLS.format("WRONG_VERSION_NUMBER"), "TLS handshake", False, True),
        (TLS.format("SSLV3_ALERT_HANDSHAKE_FAILURE"), "TLS handshake", False, True),
        # These also happen to a connection that was made.
        (TLS.format("UNEXPECTED_EOF_WHILE_READING"), "TLS connection broke", True, False),
        (TLS.format("RECORD_LAYER_FAILURE"), "TLS connection broke", True, False),
        ("Could not find a suitable TLS CA certificate bundle, invalid path: /no", "ca_path", False, True),
        ("something nobody has seen " + URL, "failed", True, False),
        # Through a proxy a connection that broke after the request looks like a proxy that was never reached.
        (NO_PROXY.format("RemoteDisconnected('closed')"), "closed", True, False),
        (NO_PROXY.format("NewConnectionError('refused')"), "proxy cannot be reached", False, False),
        (NO_PROXY.format("NameResolutionError('[Errno -2]')"), "proxy cannot be reached", False, False),
        (NO_PROXY.format("OSError('Tunnel connection failed: 407')"), "does not let us through", False, False),
        (NO_PROXY.format("SSLError(1, 'WRONG_VERSION_NUMBER')"), "the proxy failed", True, False),
        # The request's own words say nothing about the connection.
        ("Read timed out with url: /?Name=ProxyError,NewConnectionError,X509: ", "read_timeout", True, False),
        ("nobody has seen this with url: /?Name=ProxyError,NewConnectionError", "the connection failed", True, False),
    ],
)
def test_a_broken_connection_is_named_without_the_url(text: str, reason: str, sent: bool, lasting: bool) -> None:
    trouble = trouble_of(text)
    assert reason in trouble.reason
    assert (trouble.sent, trouble.lasting) == (sent, lasting)
    assert trouble.advice.startswith(("Check", "A plain HTTP server"))
    assert "CommandContent" not in trouble.reason + trouble.advice
