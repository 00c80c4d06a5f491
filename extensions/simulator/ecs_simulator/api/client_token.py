# SPDX-License-Identifier: GPL-3.0-or-later
"""The ClientToken of a request."""

from collections.abc import Callable
from typing import Any

from ecs_simulator.api.parameters import Parameters
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError

_MAXIMUM_LENGTH = 64


def once(cloud: Cloud, parameters: Parameters, caller: str, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do what a request asks for, or answer as before when its ClientToken has been used for the same."""
    token = parameters.text("ClientToken")
    if len(token) > _MAXIMUM_LENGTH or not token.isascii():
        raise ApiError(400, "InvalidClientToken.Malformed", "The specified parameter clientToken is not valid.")
    return cloud.client_tokens.once(caller, token, parameters.as_dict(), act)
