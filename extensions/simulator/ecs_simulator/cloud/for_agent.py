# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes of a command what the agent of one instance gets, or says why it cannot be sent there."""

from dataclasses import dataclass, replace

from ecs_simulator.agent.task import Command
from ecs_simulator.cloud.agent_versions import CONTAINERS, IDS, NAMES, missing_version
from ecs_simulator.cloud.instance import Instance
from ecs_simulator.cloud.placeholders import built_in_names, fill_built_in, fill_custom, wants_store

_BUILT_IN_BUILDS = {"InvokeId": IDS, "CommandId": IDS, "InstanceId": IDS, "InstanceName": NAMES}


@dataclass(frozen=True)
class Refusal:
    """The end of a command on an instance that it never reaches."""

    status: str
    error_code: str
    error_info: str


def for_agent(
    command: Command, instance: Instance, invoke_id: str, account_id: str, builds: list[int]
) -> Command | Refusal:
    """The command with its parameters filled in; ``builds`` are those of the agent that it needs anyway.

    A Linux agent refuses a user named root (its uid is not above 0), so the service leaves that name out.
    """
    if command.username == "root":
        command = replace(command, username="")
    builds = builds + ([CONTAINERS] if command.container_id or command.container_name else [])
    if not command.enable_parameter:
        return _too_old(instance, builds) or command
    content = fill_custom(command.content, command.parameters)
    if wants_store(content):
        return Refusal("Invalid", "InstanceRoleInvalid", "no RAM role is attached to the instance")
    values = {
        "RegionId": instance.spec.region_id,
        "AccountId": account_id,
        "InstanceId": instance.id,
        "InstanceName": instance.spec.name,
        "InvokeId": invoke_id,
        "CommandId": command.id,
    }
    wanted = built_in_names(content)
    unknown = sorted(wanted - values.keys())
    if unknown:
        info = f"The environment parameter {unknown[0]} is invalid"
        return Refusal("Invalid", "InvalidSystemBuiltInParameter", info)
    builds = builds + [_BUILT_IN_BUILDS[name] for name in wanted if name in _BUILT_IN_BUILDS]
    filled = replace(command, content=fill_built_in(content, values) if wanted else content)
    return _too_old(instance, builds) or filled


def _too_old(instance: Instance, builds: list[int]) -> Refusal | None:
    version = missing_version(instance.spec.os, instance.spec.agent.version, builds)
    if not version:
        return None
    info = f"the aliyun service in the instance need upgrade, at least to version {version}"
    return Refusal("Aborted", "ClientNeedUpgrade", info)
