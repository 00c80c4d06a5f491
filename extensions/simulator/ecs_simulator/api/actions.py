# SPDX-License-Identifier: GPL-3.0-or-later
"""Which function serves which action of which product."""

from collections.abc import Callable
from typing import Any

from ecs_simulator.api import (
    activations,
    assistant,
    commands,
    files,
    instances,
    invocations,
    lifecycle,
    managed_instances,
    plugins,
    power,
    regions,
    saved_commands,
    settings,
    sts,
    system_events,
    tags,
)
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.cloud.cloud import Cloud

Action = Callable[[Cloud, Parameters, str], dict[str, Any]]


def _anonymous(action: Callable[[Cloud, Parameters], dict[str, Any]]) -> Action:
    """An action to which it does not matter who calls."""
    return lambda cloud, parameters, caller: action(cloud, parameters)


ACTIONS: dict[str, Action] = {
    "DescribeRegions": _anonymous(regions.describe_regions),
    "DescribeInstances": _anonymous(instances.describe_instances),
    "DescribeInstanceStatus": _anonymous(instances.describe_instance_status),
    "DescribeInstancesFullStatus": _anonymous(system_events.describe_instances_full_status),
    "DescribeInstanceHistoryEvents": _anonymous(system_events.describe_instance_history_events),
    "CreateSimulatedSystemEvents": _anonymous(system_events.create_simulated_system_events),
    "AcceptInquiredSystemEvent": _anonymous(system_events.accept_inquired_system_event),
    "TagResources": _anonymous(tags.tag_resources),
    "UntagResources": _anonymous(tags.untag_resources),
    "ListTagResources": _anonymous(tags.list_tag_resources),
    "RebootInstance": _anonymous(power.reboot_instance),
    "RebootInstances": _anonymous(power.reboot_instances),
    "RunInstances": lifecycle.run_instances,
    "DeleteInstance": _anonymous(lifecycle.delete_instance),
    "DeleteInstances": lifecycle.delete_instances,
    "CreateActivation": activations.create_activation,
    "DescribeActivations": _anonymous(activations.describe_activations),
    "DisableActivation": _anonymous(activations.disable_activation),
    "DeleteActivation": _anonymous(activations.delete_activation),
    "DescribeManagedInstances": _anonymous(managed_instances.describe_managed_instances),
    "ModifyManagedInstance": _anonymous(managed_instances.modify_managed_instance),
    "DeregisterManagedInstance": managed_instances.deregister_managed_instance,
    "StopInstance": _anonymous(power.stop_instance),
    "StopInstances": _anonymous(power.stop_instances),
    "StartInstance": _anonymous(power.start_instance),
    "StartInstances": _anonymous(power.start_instances),
    "DescribeCloudAssistantStatus": _anonymous(assistant.describe_cloud_assistant_status),
    "InstallCloudAssistant": _anonymous(assistant.install_cloud_assistant),
    "ListPluginStatus": _anonymous(plugins.list_plugin_status),
    "DescribeCloudAssistantSettings": _anonymous(settings.describe_cloud_assistant_settings),
    "ModifyCloudAssistantSettings": _anonymous(settings.modify_cloud_assistant_settings),
    "SendFile": files.send_file,
    "DescribeSendFileResults": _anonymous(files.describe_send_file_results),
    "RunCommand": commands.run_command,
    "InvokeCommand": commands.invoke_command,
    "CreateCommand": saved_commands.create_command,
    "ModifyCommand": _anonymous(saved_commands.modify_command),
    "DeleteCommand": _anonymous(saved_commands.delete_command),
    "DescribeCommands": _anonymous(saved_commands.describe_commands),
    "StopInvocation": _anonymous(commands.stop_invocation),
    "DescribeInvocations": _anonymous(invocations.describe_invocations),
    "DescribeInvocationResults": _anonymous(invocations.describe_invocation_results),
}

STS_ACTIONS: dict[str, Action] = {
    "AssumeRole": _anonymous(sts.assume_role),
    "GetCallerIdentity": lambda cloud, parameters, caller: sts.get_caller_identity(cloud, caller),
}

# Product, as RAM names it, and actions of each version of an API; all share one endpoint.
PRODUCTS = {"2014-05-26": ("ecs", ACTIONS), "2015-04-01": ("sts", STS_ACTIONS)}
