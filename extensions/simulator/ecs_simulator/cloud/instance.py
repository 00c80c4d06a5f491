# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cloud records of an instance."""

from dataclasses import dataclass, field

from ecs_simulator.cloud.invocation import Invocation
from ecs_simulator.fleet import InstanceSpec


@dataclass
class Instance:
    """The record that DescribeInstances shows; the power switch keeps it up to date."""

    spec: InstanceSpec
    name: str
    private_ip: str
    created: float
    status: str = "Stopped"
    started: float | None = None
    stopped_mode: str = "Not-applicable"
    tags: dict[str, str] = field(default_factory=dict)
    activation_id: str = ""
    """Which activation code a managed instance was registered with."""
    machine_id: str = ""
    """What a managed instance calls itself."""
    invocations: list[Invocation] = field(default_factory=list)
    """The commands that it was among the targets of, the oldest first."""

    @property
    def id(self) -> str:
        return self.spec.id
