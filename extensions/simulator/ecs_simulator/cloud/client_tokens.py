# SPDX-License-Identifier: GPL-3.0-or-later
"""Client tokens: what each caller's tokens were used for, and what was answered."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ecs_simulator.cloud.errors import ApiError


@dataclass(frozen=True)
class _Answered:
    """What a client token was used for, and what came of it."""

    parameters: str
    response: dict[str, Any]


class ClientTokens:
    """The tokens of an account."""

    def __init__(self) -> None:
        self._tokens: dict[tuple[str, str], _Answered] = {}

    def once(
        self, caller: str, token: str, parameters: dict[str, str], act: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Do ``act`` once for a caller's client token: the same request again gets the same answer."""
        if not token:
            return act()
        known = self._tokens.get((caller, token))
        text = json.dumps(parameters, sort_keys=True)
        if known is None:
            known = self._tokens[caller, token] = _Answered(text, act())
        elif known.parameters != text:
            raise ApiError(
                403,
                "IdempotentParameterMismatch",
                "The specified parameter has changed while using an already used clientToken.",
            )
        return known.response
