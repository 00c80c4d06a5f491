# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What a host must show when its steps and restarts are behind it, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._sdk.errors import BadInput

HEALTH_SPEC: dict[str, dict[str, Any]] = {
    "script": {"type": "str"},
    "src": {"type": "path"},
    "timeout_s": {"type": "int", "default": 300},
    "pause_s": {"type": "int", "default": 10},
    "attempt_timeout_s": {"type": "int", "default": 60},
    "same": {"type": "str", "choices": ["off", "warn", "fail"], "default": "off"},
}


@dataclass(frozen=True)
class Health:
    """The host's own check and the comparison with how it was before; times in seconds, ``same`` off, warn or fail."""

    script: str = ""
    timeout_s: int = 300
    pause_s: int = 10
    attempt_timeout_s: int = 60
    same: str = "off"

    @property
    def wanted(self) -> bool:
        """Whether anything is looked at: then only a fresh answer counts."""
        return bool(self.script) or self.same != "off"

    @property
    def settings(self) -> dict[str, str | int]:
        """What the host is told, beside the script."""
        return {
            "same": self.same,
            "health_timeout_s": self.timeout_s,
            "health_pause_s": self.pause_s,
            "health_attempt_timeout_s": self.attempt_timeout_s,
        }


def read_health(value: Mapping[str, Any] | None, script: str) -> Health:
    """The health check from a module's option and the script, whose lines are those of Unix; or :class:`BadInput`."""
    if value is None:
        return Health()
    for what in ("timeout_s", "pause_s", "attempt_timeout_s"):
        if value[what] < 1:
            raise BadInput(f"{what} of health (patch_hosts_health) is {value[what]}, and must be at least 1.")
    if not script.strip():
        script = ""
        if value["same"] == "off":
            raise BadInput(
                "health (patch_hosts_health) has nothing to look at: give it a script, or same with warn or fail, or "
                "leave it out."
            )
    return Health(script, value["timeout_s"], value["pause_s"], value["attempt_timeout_s"], value["same"])
