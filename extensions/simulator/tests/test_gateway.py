# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever comes in is answered: no caller ever sees, or causes, a traceback."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ecs_simulator.api.actions import PRODUCTS
from ecs_simulator.cloud.errors import ApiError
from ecs_simulator.gateway.authentication import read_call
from ecs_simulator.gateway.request import parse_request
from ecs_simulator.simulator import Simulator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from signed_requests import Signed
from simulator_helpers import REGION, make_fleet

WEB = "i-bp1testweb000000001"
ACTIONS = [(version, action) for version, (_product, actions) in PRODUCTS.items() for action in actions]
# Not a path of this machine may come of what a caller sends.
NASTY = [
    "",
    "0",
    "-1",
    "1e9",
    "99999999999999999999",
    "true",
    "None",
    "\0",
    "../../../../tmp/x",
    "/etc/passwd",
    "[]",
    "{}",
    '["i-nope"]',
    "[1]",
    "{",
    "%s{}",
    "$(touch /tmp/x)",
    "é中\U0001f600",
    "a" * 5000,
    WEB,
    REGION,
]
NAMES = [
    "RegionId",
    "InstanceId",
    "InstanceId.1",
    "InstanceIds",
    "PageSize",
    "PageNumber",
    "MaxResults",
    "NextToken",
    "Tag.1.Key",
    "Tag.1.Value",
    "Tag.x.Key",
    "Type",
    "CommandContent",
    "ContentEncoding",
    "Timeout",
    "WorkingDir",
    "Username",
    "ClientToken",
    "InvokeId",
    "CommandId",
    "Name",
    "Parameters",
    "EnableParameter",
    "RepeatMode",
    "Frequency",
    "ResourceId.1",
    "ResourceType",
    "ResourceTag.1.Key",
    "Amount",
    "ImageId",
    "EventType.1",
    "InstanceEventCycleStatus.1",
    "NotBefore",
    "EventId",
    "RoleArn",
    "RoleSessionName",
    "DurationSeconds",
    "DryRun",
    "BatchOptimization",
    "ForceReboot",
    "TargetDir",
    "FileMode",
    "Content",
    "InstanceCount",
    "TimeToLiveInHours",
]
VALUES = st.sampled_from(NASTY) | st.text(st.characters(codec="utf-8"), max_size=20)
PARAMETERS = st.dictionaries(
    st.sampled_from(NAMES) | st.text(st.characters(codec="utf-8"), max_size=10), VALUES, max_size=6
)


class Server:
    """A simulator in a loop of its own, for tests that are not asynchronous."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        fleet = make_fleet({"name": "web-01", "id": WEB, "machine": "scripted"}, roles=[{"name": "patcher"}])
        self.simulator = Simulator(fleet, state_dir=folder / "state")
        self.url = self.run(self.simulator.start()).ecs_endpoint

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        self.run(self.simulator.close())
        self.loop.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("gateway"))
    yield server
    server.close()


ADDRESSES = ["/", "/_simulator/faults", "/_simulator/clock", "/luban/api/instance/register"]
DEEP = b"[" * 100_000
HEADER_VALUES = [
    b"ACS3-HMAC-SHA256 Credential=demo,SignedHeaders=a,Signature=0",
    *(b"gzip", b"deflate", b"br", b"identity", b"chunked", b"100"),
]
FUZZ = settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize(("version", "action"), ACTIONS, ids=[action for _version, action in ACTIONS])
@FUZZ
@given(query=PARAMETERS, form=st.none() | PARAMETERS, signature=st.sampled_from(["v1", "v3"]), located=st.booleans())
def test_any_parameters_of_any_action_are_answered(
    server: Server,
    caplog: pytest.LogCaptureFixture,
    version: str,
    action: str,
    query: dict[str, str],
    form: dict[str, str] | None,
    signature: str,
    located: bool,
) -> None:
    if located:
        # Most actions look at nothing else without these.
        query = {"InstanceId.1": WEB, **query, "RegionId": REGION}
    request = Signed(
        action, query=query, form=form and {k: v for k, v in form.items() if k not in query}, version=version
    )
    status, body, _headers = server.run(getattr(request, signature)(server.url))
    assert status < 500, body
    assert status == 200 or body["Code"]
    assert len(body["RequestId"]) == 36
    assert not caplog.records


@FUZZ
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "HEAD", "PATCH", "OPTIONS", "TRACE", "get", "X Y", ""]),
    path=st.sampled_from(
        ["/", "//", "/?", "*", "http://x/", "/_simulator/faults", "/luban/api/instance/register", "/%00"]
    ),
    query=st.binary(max_size=40),
    headers=st.dictionaries(
        st.sampled_from(
            [
                "Authorization",
                "x-acs-action",
                "x-acs-date",
                "Content-Type",
                "Content-Encoding",
                "Content-Length",
                "Transfer-Encoding",
                "Host",
            ]
        ),
        st.binary(max_size=40) | st.sampled_from(HEADER_VALUES),
        max_size=4,
    ),
    body=st.binary(max_size=60) | st.sampled_from([DEEP, b"9" * 5000, b'{"instance": "\\ud800"}']),
    cut=st.sampled_from([0, 0, 5]),
    hangs_up=st.booleans(),
)
def test_any_bytes_are_answered_with_400_or_so(
    server: Server,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    method: str,
    path: str,
    query: bytes,
    headers: dict[str, bytes],
    body: bytes,
    cut: int,
    hangs_up: bool,
) -> None:
    lines = [f"{method} {path}".encode() + b"?" + query + b" HTTP/1.1"]
    lines += [name.encode() + b": " + value for name, value in headers.items()]
    if not {"Content-Length", "Transfer-Encoding"} & headers.keys():
        lines.append(f"Content-Length: {len(body) + cut}".encode())
    data = b"\r\n".join([*lines, b"Connection: close", b"", body])
    # Who says that there is more to come, and sends no more, would wait for ever.
    more = bool(cut or {"Content-Length", "Transfer-Encoding"} & headers.keys())
    answer = server.run(_exchange(server.url, data, hangs_up=hangs_up or more))
    # What is not even HTTP may get no answer; the server is there all the same.
    if answer:
        assert 200 <= int(answer.split(b" ", 2)[1]) < 500, answer
        assert b"Traceback" not in answer
    assert "Traceback" not in caplog.text
    assert "Traceback" not in capfd.readouterr().err
    assert server.run(Signed("DescribeRegions").v3(server.url))[0] == 200


async def _exchange(url: str, data: bytes, *, hangs_up: bool = False) -> bytes:
    """What comes back; who hangs up gets nothing, unless it is there at once."""
    host, port = url.split("//")[1].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    if hangs_up:
        with contextlib.suppress(OSError):
            writer.write_eof()
    answer = b""
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(10):
            answer = await reader.read()
    writer.close()
    return answer


@given(
    method=st.text(max_size=5),
    query=st.text(max_size=60),
    headers=st.dictionaries(st.text(max_size=20), st.text(st.characters(), max_size=20), max_size=4),
    body=st.binary(max_size=60),
    form=st.booleans(),
)
def test_a_request_is_taken_apart_or_refused(
    method: str, query: str, headers: dict[str, str], body: bytes, form: bool
) -> None:
    more = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"} if form else {}
    try:
        call = read_call(parse_request(method, "/", query, {**headers, **more}, body))
    except ApiError as error:
        assert error.status == 400
    else:
        assert "Signature" not in call.parameters


@pytest.mark.parametrize(
    ("query", "body", "sentence"),
    [
        ("a=1&a=2", b"", "The request has a parameter twice."),
        ("a=%ff", b"", "The request is not UTF-8."),
        ("", b"a=\xff", "The request is not UTF-8."),
        ("&".join(f"a.{n}=1" for n in range(2001)), b"", "The request has too many parameters."),
        ("", b"a=1&a=2", "The request has a parameter twice."),
    ],
)
def test_what_is_no_request_is_said(query: str, body: bytes, sentence: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_request("POST", "/", query, {"Content-Type": "application/x-www-form-urlencoded"}, body)
    assert caught.value.message == sentence


@pytest.mark.parametrize("name", ["host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce"])
def test_everything_that_matters_is_signed(server: Server, name: str) -> None:
    request = Signed("DescribeRegions", unsigned=name)
    status, body, _headers = server.run(request.v3(server.url))
    assert (status, body["Code"]) == (400, "IncompleteSignature")


def test_too_much_is_refused(server: Server) -> None:
    form = {"CommandContent": "x" * 2 * 1024 * 1024}
    status, body, _headers = server.run(Signed("RunCommand", form=form).v3(server.url))
    assert (status, body["Code"]) == (413, "RequestEntityTooLarge")


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "GZIP, gzip", "unheard-of"])
def test_a_body_comes_as_it_is(server: Server, caplog: pytest.LogCaptureFixture, address: str, encoding: str) -> None:
    answer = server.run(_exchange(server.url, _head(address, f"Content-Encoding: {encoding}", 5) + b"abcde"))
    status, body = _parsed(answer)
    assert status == 415
    assert "The request has a Content-Encoding; send the body as it is." in body.values()
    assert not caplog.records


@pytest.mark.parametrize("address", ADDRESSES[1:])
def test_json_that_is_too_deep_is_no_json(server: Server, caplog: pytest.LogCaptureFixture, address: str) -> None:
    status, body = _parsed(server.run(_exchange(server.url, _head(address, "X: x", len(DEEP)) + DEEP)))
    assert status == 400
    assert "the body is not JSON" in str(body)
    assert not caplog.records


@pytest.mark.parametrize("address", ADDRESSES)
def test_too_much_is_refused_everywhere(server: Server, address: str) -> None:
    much = b" " * (1024 * 1024 + 1)
    status, body = _parsed(server.run(_exchange(server.url, _head(address, "X: x", len(much)) + much)))
    assert status == 413
    assert "The request is too large." in body.values()


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("then", [b"", b"zz\r\n"], ids=["hangs-up", "is-no-chunk"])
def test_a_body_that_ends_early_is_no_bug_of_ours(
    server: Server,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    address: str,
    then: bytes,
) -> None:
    async def exchange() -> bytes:
        host, port = server.url.split("//")[1].split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"POST {address} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[[\r\n".encode())
        await writer.drain()
        # Once this is answered, the one before is being read.
        assert (await Signed("DescribeRegions").v3(server.url))[0] == 200
        writer.write(then)
        writer.write_eof()
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        return answer

    answer = server.run(exchange())
    assert not answer or 400 <= int(answer.split(b" ", 2)[1]) < 500
    assert server.run(Signed("DescribeRegions").v3(server.url))[0] == 200
    assert "Traceback" not in caplog.text + capfd.readouterr().err
    assert "failed" not in caplog.text


@pytest.mark.parametrize("signature", ["v1", "v3"])
def test_the_longest_request_fits_into_its_line(server: Server, signature: str) -> None:
    """24 KB of line ends are 32 KB of base64, the limit, and 72 KB in the request line."""
    query = {"RegionId": REGION, "InstanceId.1": WEB, "Name": "n", "TargetDir": "/root", "ContentType": "PlainText"}
    tags = {f"Tag.{n}.{part}": f"{n:02d}" + "\U0001f600" * 126 for n in range(1, 21) for part in ("Key", "Value")}
    request = Signed("SendFile", query={**query, **tags, "Content": "\n" * 24 * 1024})
    status, body, _headers = server.run(getattr(request, signature)(server.url))
    assert status == 200, body


def test_a_line_that_is_too_long_is_refused_in_words_that_an_sdk_reads(server: Server) -> None:
    request = Signed("SendFile", query={"Content": "\n" * 100_000})
    status, body, _headers = server.run(request.v3(server.url))
    assert (status, body["Code"]) == (414, "RequestUriTooLarge")
    assert len(body["RequestId"]) == 36


def _head(address: str, header: str, length: int) -> bytes:
    lines = [f"POST {address} HTTP/1.1", "Host: x", header, f"Content-Length: {length}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode()


def _parsed(answer: bytes) -> tuple[int, dict[str, Any]]:
    head, _separator, body = answer.partition(b"\r\n\r\n")
    parsed: dict[str, Any] = json.loads(body)
    return int(head.split(b" ", 2)[1]), parsed
