# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of requests that a fleet file, or a request to the running simulator, asks for."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ecs_simulator.fleet_reader import Reader

_BROKEN = ("connection_cut", "http_500", "http_503")
_PAGES = ("duplicate_row", "stale")
REQUEST_FAULTS = (*_BROKEN, *_PAGES, "slow", "throttle")
_WITH_SECONDS = ("slow", "throttle")
_DEFAULT_SECONDS = 1.0
_ACTION = re.compile(r"[A-Za-z0-9]*\*?")


@dataclass(frozen=True)
class RequestFault:
    """What is to go wrong with how many requests for an action, or for all whose name begins like it: ``Describe*``."""

    action: str
    name: str
    times: int = 1
    seconds: float = _DEFAULT_SECONDS
    """How late a slow answer is, and after what time a throttled caller is told to come again."""
    took_effect: bool = False
    """Whether the action is done all the same, where the caller gets no answer or an error."""

    def concerns(self, action: str) -> bool:
        return fnmatchcase(action, self.action)


def request_fault(reader: Reader, action: str) -> RequestFault:
    """The keys of a fault beside those that say where."""
    name = reader.choice("fault", REQUEST_FAULTS)
    times = reader.take("times", int, 1)
    seconds = reader.take("seconds", float, None)
    took_effect = reader.take("took_effect", bool, None)
    reader.finish()
    if not action or not _ACTION.fullmatch(action):
        reader.fail("on", f"must name an action, such as RunCommand or Describe*, not {action!r}")
    if name in _PAGES and not action.startswith(("Describe", "List")):
        reader.fail("fault", f"can be {name} only on an action that reads, such as Describe*")
    if times < 1:
        reader.fail("times", "must be at least 1")
    if seconds is not None and name not in _WITH_SECONDS:
        reader.fail("seconds", f"goes with {' and '.join(_WITH_SECONDS)}, not with {name}")
    if seconds is not None and not 0 < seconds < float("inf"):
        reader.fail("seconds", "must be above 0")
    if took_effect is not None and name not in _BROKEN:
        reader.fail("took_effect", f"goes with {', '.join(_BROKEN)}, not with {name}")
    return RequestFault(action, name, times, _DEFAULT_SECONDS if seconds is None else seconds, bool(took_effect))
