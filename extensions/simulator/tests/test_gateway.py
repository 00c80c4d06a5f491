# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever comes in is answered: no caller ever sees, or causes, a traceback."""

import asyncio
import contextlib
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
                "Content-Length",
                "Transfer-Encoding",
                "Host",
            ]
        ),
        st.binary(max_size=40) | st.sampled_from([b"ACS3-HMAC-SHA256 Credential=demo,SignedHeaders=a,Signature=0"]),
        max_size=4,
    ),
    body=st.binary(max_size=60),
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
) -> None:
    lines = [f"{method} {path}".encode() + b"?" + query + b" HTTP/1.1"]
    lines += [name.encode() + b": " + value for name, value in headers.items()]
    if not {"Content-Length", "Transfer-Encoding"} & headers.keys():
        lines.append(f"Content-Length: {len(body)}".encode())
    answer = server.run(_exchange(server.url, b"\r\n".join([*lines, b"Connection: close", b"", body])))
    # What is not even HTTP may get no answer; the server is there all the same.
    if answer:
        assert 200 <= int(answer.split(b" ", 2)[1]) < 500, answer
        assert b"Traceback" not in answer
    assert "Traceback" not in caplog.text
    assert "Traceback" not in capfd.readouterr().err
    assert server.run(Signed("DescribeRegions").v3(server.url))[0] == 200


async def _exchange(url: str, data: bytes) -> bytes:
    host, port = url.split("//")[1].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
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
