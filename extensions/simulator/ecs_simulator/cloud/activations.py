# SPDX-License-Identifier: GPL-3.0-or-later
"""Activation codes, with which computers outside ECS become managed instances."""

import hmac
import ipaddress
from dataclasses import dataclass, field


class CodeRefused(Exception):
    """An activation code that does not let in; the text is one sentence."""


@dataclass
class Activation:
    """One activation code and what it may still be used for."""

    id: str
    code: str
    region_id: str
    created: float
    description: str = ""
    instance_count: int = 10
    instance_name: str = ""
    ip_address_range: str = "0.0.0.0/0"
    hours: int = 4
    resource_group_id: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    registered: int = 0
    deregistered: int = 0
    disabled: bool = False

    def use(self, code: str, address: str, now: float) -> int:
        """Use the code once more; returns how often that is. Raises :class:`CodeRefused`."""
        if not hmac.compare_digest(code.encode(), self.code.encode()):
            raise CodeRefused("the activation code is not right")
        if self.disabled:
            raise CodeRefused("the activation code is disabled")
        if now > self.created + self.hours * 3600:
            raise CodeRefused("the activation code has expired")
        if self.registered >= self.instance_count:
            raise CodeRefused("the activation code has been used as often as it may be")
        if not in_range(address, self.ip_address_range):
            raise CodeRefused("the activation code is for other addresses")
        self.registered += 1
        return self.registered

    def name(self, number: int) -> str:
        """The default name of the managed instance of that number; empty when the code has none."""
        digits = len(str(self.instance_count))
        # "The number of digits in 001 depends on the number of digits in the InstanceCount value" (SDK docstring).
        return f"{self.instance_name}-{number:0{max(digits, 3)}d}" if self.instance_name else ""


def in_range(address: str, range_: str) -> bool:
    """Whether an IP address is in a range, which may be one address. Raises ValueError when that is none."""
    network = ipaddress.ip_network(range_, strict=False)
    try:
        return ipaddress.ip_address(address) in network
    except ValueError:
        return False
