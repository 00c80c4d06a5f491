# SPDX-License-Identifier: GPL-3.0-or-later
"""The real SDK and an API that cannot be reached: what is wrong for good ends at once, what may pass is tried again."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.client import Connection
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.ecs import Ecs
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import NoAnswer
from ansible_collections.cloudops.alibaba.tests.unit.fakes import FakeClock


class PlainServer(ThreadingHTTPServer):
    """Answers every request with ``answer``; without one it closes the connection."""

    answer: dict[str, Any] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: PlainServer

    def do_POST(self) -> None:
        if self.server.answer is None:
            return
        body = json.dumps(self.server.answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None: ...


@pytest.fixture
def server() -> Iterator[PlainServer]:
    with PlainServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


class Api:
    """An API under a fake clock."""

    def __init__(self, endpoint: str | None, region_id: str = "cn-hangzhou") -> None:
        self.clock = FakeClock()
        self.ecs = Ecs(
            Connection(region_id, endpoint=endpoint, access_key_id="key", access_key_secret="secret"), self.clock
        )

    def read(self) -> str:
        """DescribeInstances; how it failed."""
        with pytest.raises(NoAnswer) as caught:
            list(self.ecs.describe_instances())
        return str(caught.value)


def fail_to_resolve(monkeypatch: pytest.MonkeyPatch, number: int, text: str) -> None:
    def getaddrinfo(*_arguments: object, **_more: object) -> None:
        raise socket.gaierror(number, text)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_https_to_a_plain_server_ends_at_once_and_says_what_to_do(server: PlainServer) -> None:
    api = Api(server.address)
    assert api.read() == (
        f"DescribeInstances in cn-hangzhou: no answer from {server.address}, the TLS handshake failed; "
        "it had no effect. A plain HTTP server needs an endpoint that begins with http://, not https://; an authority "
        "of your own needs ca_path."
    )
    assert api.clock.sleeps == []


def test_a_mistyped_region_ends_at_once_and_says_where_it_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(None, "cn-hangzou")
    fail_to_resolve(monkeypatch, socket.EAI_NONAME, "Name or service not known")
    assert api.read() == (
        "DescribeInstances in cn-hangzou: no answer from ecs.cn-hangzou.aliyuncs.com:443, its host name is not known; "
        "it had no effect. Check region_id and endpoint, then DNS."
    )
    assert api.clock.sleeps == []


def test_a_name_server_out_of_reach_may_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(None)
    fail_to_resolve(monkeypatch, socket.EAI_AGAIN, "Temporary failure in name resolution")
    assert "its host name could not be looked up; it had no effect. Check DNS" in api.read()
    assert api.clock.sleeps != []


def test_after_the_first_answer_a_lost_name_is_an_outage(monkeypatch: pytest.MonkeyPatch, server: PlainServer) -> None:
    api = Api(f"http://{server.address}")
    server.answer = {"Instances": {"Instance": []}}
    assert list(api.ecs.describe_instances()) == []
    fail_to_resolve(monkeypatch, socket.EAI_NONAME, "Name or service not known")
    assert "its host name is not known" in api.read()
    assert api.clock.sleeps != []


def test_a_refused_connection_is_tried_again_and_names_host_and_port() -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        api = Api(f"http://{address}")
        assert api.read() == (
            f"DescribeInstances in cn-hangzhou: no answer from {address}, the connection was refused; "
            "it had no effect. Check the endpoint's host and port, proxies and firewall."
        )
    assert api.clock.sleeps != []


def test_certificates_that_are_not_there_are_said_at_once(server: PlainServer) -> None:
    connection = Connection(
        "cn-hangzhou", endpoint=server.address, access_key_id="key", access_key_secret="secret", ca_path="/no/such"
    )
    clock = FakeClock()
    with pytest.raises(NoAnswer, match=r"ca_path names no certificates; it had no effect\. Check ca_path\."):
        list(Ecs(connection, clock).describe_instances())
    assert clock.sleeps == []


def test_only_what_acts_may_have_taken_effect(server: PlainServer) -> None:
    api = Api(f"http://{server.address}")
    assert "the connection was closed. Check" in api.read()
    with pytest.raises(NoAnswer, match="the connection was closed; it is unknown whether it took effect"):
        api.ecs.reboot_instances(["i-1"], force=False, within_s=10)
