# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""The instance ids that a module was given, checked before anything is sent."""

from __future__ import annotations

import re
from collections import Counter

from .._sdk.errors import BadInput

# DescribeManagedInstancesRequest: ids of managed instances begin like this, and those of ECS instances do not.
_MANAGED = "mi-"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_id(option: str, value: str) -> None:
    """Raise :class:`BadInput` for what is not one id. Ansible makes a text of a list, too."""
    if not _ID.fullmatch(value):
        raise BadInput(f"{option} is {value!r}, which is not an id. Where there are several, give one at a time.")


def check_instance_ids(instance_ids: list[str]) -> list[str]:
    """The ids, or :class:`BadInput` when there are none or one is there twice."""
    if not instance_ids:
        raise BadInput("instance_ids is empty: nothing to do.")
    for instance_id, times in Counter(instance_ids).items():
        if not _ID.fullmatch(instance_id):
            raise BadInput(f"{instance_id!r} in instance_ids is not an instance id.")
        if times > 1:
            raise BadInput(f"{instance_id} is in instance_ids more than once.")
    return instance_ids


def is_managed(instance_id: str) -> bool:
    """Whether it is a managed instance: a server elsewhere on which somebody has registered the agent."""
    return instance_id.startswith(_MANAGED)


def check_ecs_ids(instance_ids: list[str], what_else: str) -> list[str]:
    """The same for what only ECS instances have; the sentence about a managed instance ends with ``what_else``."""
    for instance_id in check_instance_ids(instance_ids):
        if is_managed(instance_id):
            raise BadInput(f"{instance_id} is a managed instance, not an ECS instance. {what_else}")
    return instance_ids
