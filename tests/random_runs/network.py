# SPDX-License-Identifier: GPL-3.0-or-later
"""The network between the controllers of a run and the API: requests that are late, and answers that get lost."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from .plan import Loss

_ACTION = re.compile(rb"(?:x-acs-action: *|[?&]Action=)(\w+)", re.IGNORECASE)
_CHUNK_BYTES = 1 << 16


class Network:
    """Passes connections on to an endpoint, but for the requests that the losses name."""

    def __init__(self, endpoint: str, losses: Sequence[Loss]) -> None:
        self._address = urlsplit(endpoint)
        self._losses = {(loss.action, loss.number): loss for loss in losses}
        self._asked: Counter[str] = Counter()
        self.fired: Counter[str] = Counter()
        self._server: asyncio.Server | None = None

    async def open(self) -> str:
        """Begin to listen; the endpoint to use in place of the real one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        assert self._server
        self._server.close()

    async def _serve(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        """One connection, until either end closes it or an answer gets lost."""
        service, requests = await asyncio.open_connection(self._address.hostname, self._address.port)
        losing = asyncio.Event()

        async def there() -> None:
            while data := await client.read(_CHUNK_BYTES):
                loss = self._loss(data)
                if loss and loss.delay_s:
                    await asyncio.sleep(loss.delay_s)
                elif loss:
                    losing.set()
                requests.write(data)

        async def back() -> None:
            while data := await service.read(_CHUNK_BYTES):
                if losing.is_set():
                    return
                answers.write(data)

        directions = {asyncio.create_task(there()), asyncio.create_task(back())}
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
                with suppress(asyncio.CancelledError, OSError):
                    await direction
            requests.close()
            answers.close()

    def _loss(self, data: bytes) -> Loss | None:
        """What happens to a request, whose first bytes these are."""
        action = _ACTION.search(data)
        if not action:
            return None
        name = action[1].decode()
        self._asked[name] += 1
        loss = self._losses.get((name, self._asked[name]))
        if loss:
            self.fired["request late" if loss.delay_s else "answer lost"] += 1
        return loss
