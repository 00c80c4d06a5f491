# SPDX-License-Identifier: GPL-3.0-or-later
"""The signals that ask a process to end, taken as requests to end cleanly."""

import asyncio
import ctypes
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


class StopSignals:
    """Calls ``act`` for each signal that asks us to end.

    ``act`` may be replaced at any time, and what is called is always the last one: a signal that came in but is not yet
    handled does not go to the one before.
    """

    def __init__(self, act: Callable[[signal.Signals], object]) -> None:
        self.act = act
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Under nohup a hangup stays without effect.
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, self._received, number)

    def _received(self, number: signal.Signals) -> None:
        self.act(number)


async def cancel_on_stop_signal(work: Callable[[StopSignals], Coroutine[Any, Any, int]]) -> int:
    """Do work that gives an exit status; the first signal cancels it, and it gets the time to clean up.

    Work that has more to do with signals replaces what is done then.
    """
    received: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        received.append(number)
        if len(received) == 1:
            task.cancel()

    task = asyncio.ensure_future(work(StopSignals(stop)))
    try:
        return await task
    except asyncio.CancelledError:
        return 128 + received[0]


def end_with_parent(parent: int) -> Callable[[], None]:
    """What a child of ours does before it becomes the command: then it gets SIGTERM when we end, even by SIGKILL.

    Whoever is asked to end passes that on anyway; this is for who has no time to. What the command itself started
    is its own to end.
    """
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork, after which as little as possible should be done

    def act() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it ended before it could be asked for that
            os.kill(os.getpid(), signal.SIGTERM)

    return act
