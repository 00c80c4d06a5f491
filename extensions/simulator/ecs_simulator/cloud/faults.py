# SPDX-License-Identifier: GPL-3.0-or-later
"""Which faults are due: decides, and does nothing."""

from ecs_simulator.fleet_faults import After, Fault


class Faults:
    """Faults that wait for an event, each as often as it may come."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Fault, int]] = []

    def add(self, fault: Fault) -> None:
        self._waiting.append((fault, fault.times))

    def due(self, instance_id: str, event: str, text: str) -> list[Fault]:
        """The faults that an event sets off; each has come once more."""
        due = [fault for fault, _left in self._waiting if _matches(fault, instance_id, event, text)]
        left = [(fault, left - (fault in due)) for fault, left in self._waiting]
        self._waiting = [(fault, times) for fault, times in left if times]
        return due


def _matches(fault: Fault, instance_id: str, event: str, text: str) -> bool:
    after = fault.after or After("")
    return fault.instance_id == instance_id and after.event == event and after.text in text
