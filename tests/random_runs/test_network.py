# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of a run does to requests what the plan says, and nothing else."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

from random_runs.network import Network
from random_runs.plan import Loss


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, got: list[bytes]) -> None:
    while data := await reader.read(1 << 16):
        got.append(data)
        writer.write(b"answer")
    writer.close()


async def _ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        with suppress(ConnectionError):
            return await reader.read(100)
        return b""
    finally:
        writer.close()


async def test_answers_get_lost_and_requests_are_late() -> None:
    got: list[bytes] = []
    service = await asyncio.start_server(lambda reader, writer: _answer(reader, writer, got), "127.0.0.1", 0)
    network = Network(
        f"http://127.0.0.1:{service.sockets[0].getsockname()[1]}", [Loss("Two", 2), Loss("Three", 1, delay_s=0.01)]
    )
    port = int((await network.open()).rpartition(":")[2])
    requests = [b"GET /?Action=Two", b"GET /?Action=Two", b"GET /?Action=Two", b"POST / x-acs-action: Three", b"body"]
    answers = [await _ask(port, request) for request in requests]
    network.close()
    service.close()
    assert got == requests
    assert answers == [b"answer", b"", b"answer", b"answer", b"answer"]
    assert network.fired == Counter({"answer lost": 1, "request late": 1})
