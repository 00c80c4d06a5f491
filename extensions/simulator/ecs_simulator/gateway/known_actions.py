# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuses limits, faults and permissions of actions that there are not: they would prove the wrong thing."""

from collections.abc import Iterable, Mapping
from typing import Any

from ecs_simulator.api.actions import PRODUCTS
from ecs_simulator.errors import FleetError
from ecs_simulator.fleet import Fleet, parse_fault
from ecs_simulator.fleet_faults import AnyFault
from ecs_simulator.fleet_reader import did_you_mean
from ecs_simulator.fleet_request_faults import RequestFault
from ecs_simulator.gateway.permission import is_allowed

_ACTIONS = sorted(action for _product, actions in PRODUCTS.values() for action in actions)
_PERMISSIONS = sorted(f"{product}:{action}" for product, actions in PRODUCTS.values() for action in actions)


def check_fleet(fleet: Fleet) -> None:
    """Raises :class:`FleetError`."""
    try:
        _check(fleet)
    except FleetError as error:
        raise FleetError(f"{fleet.source}: {error}" if fleet.source else str(error)) from error


def read_fault(document: Any, instances: Mapping[str, str]) -> AnyFault:
    """Turn the parsed JSON of a request into one more fault; ``instances`` are names by id."""
    fault = parse_fault(document, instances)
    _check_fault(fault)
    return fault


def _check(fleet: Fleet) -> None:
    for action in fleet.throttling:
        if action != "*" and action not in _ACTIONS:
            raise FleetError(_sentence(f"throttling.{action}", action))
    for fault in fleet.faults:
        _check_fault(fault)
    for key in fleet.access_keys:
        _check_allowed(f"what the access key {key.id} is allowed", key.allow)
    for role in fleet.roles:
        _check_allowed(f"what the role {role.name} is allowed", role.allow)


def _check_fault(fault: AnyFault) -> None:
    if isinstance(fault, RequestFault) and not any(map(fault.concerns, _ACTIONS)):
        raise FleetError(_sentence("a fault's action", fault.action))


def _check_allowed(what: str, patterns: Iterable[str]) -> None:
    for pattern in patterns:
        if not any(is_allowed(permission, [pattern]) for permission in _PERMISSIONS):
            raise FleetError(_sentence(what, pattern, _PERMISSIONS))


def _sentence(what: str, action: str, known: Iterable[str] = _ACTIONS) -> str:
    return f"{what} is {action!r}, and the simulator knows no such action{did_you_mean(action, known)}"
