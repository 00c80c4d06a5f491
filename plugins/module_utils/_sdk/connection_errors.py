# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Why there was no answer, told from what the libraries say: they wrap what the network does in many classes."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Trouble:
    """What went wrong with a connection."""

    pattern: str
    reason: str
    advice: str
    sent: bool = False
    """The request may have been sent: what we cannot rule out counts as sent."""
    lasting: bool = False
    """What we were told to do is wrong, rather than the network's mood of the moment."""


# The first that fits counts. What shows that the connection was made comes first: through a proxy, a connection that
# broke after the request looks like a proxy that was never reached.
_TROUBLES = (
    Trouble("reset by peer", "the connection was reset", "Check proxies and firewall.", sent=True),
    Trouble(
        "RemoteDisconnected|Connection aborted|closed connection",
        "the connection was closed",
        "Check the endpoint, whether it wants http:// or https://, and proxies.",
        sent=True,
    ),
    Trouble("Read timed out|read timeout", "it took longer than read_timeout", "Check proxies.", sent=True),
    Trouble(
        "Tunnel connection failed", "the proxy does not let us through", "Check https_proxy and the proxy's rules."
    ),
    Trouble(
        "ProxyError.*(NewConnectionError|NameResolutionError|ConnectTimeout|connect timeout)",
        "the proxy cannot be reached",
        "Check http_proxy and https_proxy.",
    ),
    Trouble("ProxyError", "the proxy failed", "Check http_proxy and https_proxy.", sent=True),
    Trouble("CA certificate bundle|X509:", "ca_path names no certificates", "Check ca_path.", lasting=True),
    Trouble(
        "certificate verify failed",
        "its TLS certificate is not trusted, or is for another name",
        "Check the endpoint; set ca_path when an authority of your own signed the certificate.",
        lasting=True,
    ),
    Trouble(
        # What OpenSSL says when the other side does not speak TLS at all, or none that we do.
        "WRONG_VERSION_NUMBER|UNKNOWN_PROTOCOL|UNSUPPORTED_PROTOCOL|ALERT_PROTOCOL_VERSION|HANDSHAKE_FAILURE",
        "the TLS handshake failed",
        "A plain HTTP server needs an endpoint that begins with http://, not https://; an authority of your own needs "
        "ca_path.",
        lasting=True,
    ),
    Trouble(
        "SSLError", "the TLS connection broke", "Check proxies, and whether it wants http:// or https://.", sent=True
    ),
    Trouble(
        # EAI_NONAME is the name server's own word; while it cannot be asked, the resolver says something else.
        r"\[Errno -2\]|Name or service not known",
        "its host name is not known",
        "Check region_id and endpoint, then DNS.",
        lasting=True,
    ),
    Trouble(
        "NameResolutionError|name resolution|getaddrinfo",
        "its host name could not be looked up",
        "Check DNS and the network.",
    ),
    Trouble(
        "ConnectTimeout|connect timeout",
        "connecting took longer than connect_timeout",
        "Check the endpoint, proxies and firewall.",
    ),
    Trouble(
        "NewConnectionError.*Connection refused",
        "the connection was refused",
        "Check the endpoint's host and port, proxies and firewall.",
    ),
    Trouble(
        "NewConnectionError.*(No route to host|Network is unreachable)",
        "there is no route to it",
        "Check the network, proxies and firewall.",
    ),
    Trouble("NewConnectionError", "it cannot be reached", "Check the endpoint, proxies and firewall."),
    Trouble("", "the connection failed", "Check the endpoint, proxies and firewall.", sent=True),
)


def trouble_of(text: str) -> Trouble:
    """What the text of a library's error means. It quotes the URL, and with it whole scripts: nothing is passed on."""
    text = re.sub(r"url: \S*", "", text)
    return next(trouble for trouble in _TROUBLES if re.search(trouble.pattern, text, re.IGNORECASE | re.DOTALL))
