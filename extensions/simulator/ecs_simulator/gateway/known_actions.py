# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuses limits and faults of actions that there are not: they would never come, and prove the wrong thing."""

from ecs_simulator.api.actions import PRODUCTS
from ecs_simulator.errors import FleetError
from ecs_simulator.fleet import Fleet
from ecs_simulator.fleet_faults import AnyFault
from ecs_simulator.fleet_reader import did_you_mean
from ecs_simulator.fleet_request_faults import RequestFault

_ACTIONS = sorted(action for _product, actions in PRODUCTS.values() for action in actions)


def check_fleet(fleet: Fleet) -> None:
    """Raises :class:`FleetError`."""
    for action in fleet.throttling:
        if action != "*" and action not in _ACTIONS:
            raise FleetError(_sentence(f"throttling.{action}", action))
    for fault in fleet.faults:
        check_fault(fault)


def check_fault(fault: AnyFault) -> None:
    """Raises :class:`FleetError`."""
    if isinstance(fault, RequestFault) and not any(map(fault.concerns, _ACTIONS)):
        raise FleetError(_sentence("a fault's action", fault.action))


def _sentence(what: str, action: str) -> str:
    return f"{what} is {action!r}, and the simulator knows no such action{did_you_mean(action, _ACTIONS)}"
