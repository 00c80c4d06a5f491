# SPDX-License-Identifier: GPL-3.0-or-later
"""Which faults are due: decides, and does nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ecs_simulator.fleet_faults import After, AnyFault, Fault
from ecs_simulator.fleet_request_faults import RequestFault

Kind = TypeVar("Kind", Fault, RequestFault)


@dataclass
class Waiting:
    """A fault, and how often it is still to come."""

    fault: AnyFault
    left: int


class Faults:
    """Faults that wait for an event or a request, each as often as it may come and by a number of its own."""

    def __init__(self) -> None:
        self._added = 0
        self._waiting: dict[int, Waiting] = {}

    def add(self, fault: AnyFault) -> int:
        """Returns the fault's number."""
        self._added += 1
        self._waiting[self._added] = Waiting(fault, fault.times)
        return self._added

    def waiting(self) -> dict[int, Waiting]:
        return dict(self._waiting)

    def take_back(self, number: int) -> bool:
        """Whether there was a fault of that number."""
        return self._waiting.pop(number, None) is not None

    def due(self, instance_id: str, event: str, text: str) -> list[Fault]:
        """The faults that an event sets off; each has come once more."""
        found = [(number, fault) for number, fault in self._of_kind(Fault) if _matches(fault, instance_id, event, text)]
        for number, _fault in found:
            self._came(number)
        return [fault for _number, fault in found]

    def due_on_request(self, action: str, applies: Callable[[RequestFault], bool]) -> RequestFault | None:
        """The first fault that a request sets off, of those that it can show; it has come once more."""
        for number, fault in self._of_kind(RequestFault):
            if fault.concerns(action) and applies(fault):
                self._came(number)
                return fault
        return None

    def _of_kind(self, kind: type[Kind]) -> list[tuple[int, Kind]]:
        return [(number, item.fault) for number, item in self._waiting.items() if isinstance(item.fault, kind)]

    def _came(self, number: int) -> None:
        self._waiting[number].left -= 1
        if not self._waiting[number].left:
            del self._waiting[number]


def _matches(fault: Fault, instance_id: str, event: str, text: str) -> bool:
    after = fault.after or After("")
    return fault.instance_id == instance_id and after.event == event and after.text in text
