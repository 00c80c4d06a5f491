# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""The ECS API of one region: one function per API call, a file for each family of them."""

from __future__ import annotations

from .ecs_commands import CommandCalls
from .ecs_instances import InstanceCalls


class Ecs(InstanceCalls, CommandCalls):
    """All calls that the collection makes; cores ask for the few that they need with a protocol of their own."""
