# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that goes on after the request or the report that began it."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Later:
    """Holds on to such work, of which asyncio itself keeps no more than a weak reference."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def finish(self) -> None:
        """Wait for all of it."""
        await asyncio.gather(*self._tasks)
