# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Why a command failed on an instance: the class of the failure and a sentence that says what to do."""

from __future__ import annotations

from .._instances.failure import Failure

# Statuses of DescribeInvocationResults after which nothing changes any more.
FINAL_STATUSES = frozenset({"Success", "Failed", "Invalid", "Aborted", "Error", "Timeout", "Cancelled", "Terminated"})

# The exit codes with which a script asks the agent for a power action. On Linux an exit code is taken modulo 256,
# so that 3009 and 3010 arrive as 193 and 194.
POWER_ACTIONS = {
    "linux": {193: "stop", 194: "restart"},
    "windows": {3009: "stop", 3010: "restart"},
}


_TOO_LONG = "Give it a longer timeout, or look why it takes so long."
_HOW_FAR = "see on it how far it came before you run it again."
_AGENT_LOG = "See the agent's log on the instance."
_FREQUENCY = "Check frequency: its form, its time zone, and that it is not over."
_CONTAINER = "Check container_id and container_name, and that the container runs."

# ErrorCode of DescribeInvocationResults → kind and what to do: the codes of Alibaba's reference of that call, and after
# them those that the agent reports about itself.
_BY_CODE = {
    "ExitCodeNonzero": ("script", ""),
    "ExecutionTimeout": ("timeout", _TOO_LONG),
    "TerminationException": ("timeout", "It could not be ended at its timeout: see what still runs on the instance."),
    "ClientNotRunning": ("agent", "Start the Cloud Assistant Agent on the instance."),
    "ClientNotOnline": ("agent", "Start the Cloud Assistant Agent on the instance, and check its network."),
    "ClientNotResponse": ("agent", "Restart the Cloud Assistant Agent on the instance, and check its network."),
    "ClientIsUpgrading": ("agent", "The agent is upgrading itself; try again in a few minutes."),
    "ClientNeedUpgrade": ("agent", "Upgrade the Cloud Assistant Agent on the instance."),
    "ClientRestarted": ("agent", f"The agent restarted while the command ran on the instance; {_HOW_FAR}"),
    "InstanceRestarted": ("instance", f"The instance restarted while the command ran; {_HOW_FAR}"),
    "ExecutionInterrupted": ("instance", f"Something on the instance interrupted the command; {_HOW_FAR}"),
    "DeliveryTimeout": ("not_delivered", "Check that the instance is up and its agent is online; it has not run."),
    "ClientNetworkBlocked": ("network", "Open the instance's way to the Cloud Assistant endpoints (443, 80, 53)."),
    "SecurityGroupRuleDenied": ("network", "A security group denies the agent its way out; mend its rules."),
    "InstanceNotRunning": ("instance", "Start the instance."),
    "InstanceNotExists": ("instance", "Check the instance id and the region."),
    "InstanceReleased": ("instance", "The instance has been released; take it out of your list."),
    "InstanceDeregistered": ("instance", "The managed instance has been deregistered; register it again."),
    "CommandNotApplicable": ("input", "The type of script does not fit the instance's platform."),
    "InvalidCommandText": ("input", "Check the script's text."),
    "CommandContentDecodeError": ("input", "Check the script's encoding."),
    "AccountNotExists": ("input", "The user to run as is not on the instance; check username."),
    "DirectoryNotExists": ("input", "working_dir is not on the instance."),
    "DefaultWorkingDirectoryNotAvailable": ("input", "Give a working_dir that is on the instance."),
    "InvalidSystemBuiltInParameter": ("input", "The script uses a parameter {{ ACS::… }} that there is not; check it."),
    "InvalidParameter": ("input", "Check the script's parameters."),
    "UserOrPasswordInvalid": ("input", "Check username, and the password that windows_password_name names."),
    "QueryParameterStoreFailed": ("input", "Give the instance's RAM role the permission to read its parameters."),
    "InstanceRoleInvalid": ("input", "Give the instance a RAM role that may read the password's parameter."),
    "BadCronExpression": ("input", _FREQUENCY),
    "ExpiredCronExpression": ("input", _FREQUENCY),
    "BadRateExpression": ("input", _FREQUENCY),
    "ExpiredRateExpression": ("input", _FREQUENCY),
    "BadAtExpression": ("input", _FREQUENCY),
    "ExpiredAtExpression": ("input", _FREQUENCY),
    "ExecutionException": ("agent", _AGENT_LOG),
    "ScriptFileExisted": ("agent", f"The agent had this command before and did not run it again; {_HOW_FAR}"),
    "NoEnoughSpace": ("instance", "Make room on the instance's disk."),
    "SaveScriptFileFailed": ("instance", "Check the instance's disk: the agent cannot save the script."),
    "PowershellNotFound": ("instance", "PowerShell is not on the instance, or not in the agent's PATH."),
    "SystemDefaultShellNotFound": ("instance", "There is no shell in the agent's PATH."),
    "InvalidContainerId": ("input", _CONTAINER),
    "InvalidContainerName": ("input", _CONTAINER),
    "UnsupportedContainerRuntime": ("input", "The agent knows docker and the runtimes with a CRI, and no others."),
    "ContainerNotFound": ("input", _CONTAINER),
    "ContainerNameAndIdNotMatch": ("input", _CONTAINER),
    "ContainerNameDuplicated": ("input", "Several containers have that name: give container_id."),
    "ContainerStateAbnormal": ("instance", "Start the container."),
    "ContainerConnectFailed": ("instance", "Check the container runtime on the instance."),
    "ContainerRuntimeInternalError": ("instance", "Check the container runtime on the instance."),
    "ContainerRuntimeTimeout": ("instance", "Check the container runtime on the instance."),
}

# Where the ErrorCode says nothing that is known. The agent runs a command that waited in its queue even after it was
# stopped (facts read from its source): that is why "before it began" is not the whole story.
_BY_STATUS = {
    "Failed": ("script", ""),
    "Timeout": ("timeout", _TOO_LONG),
    "Cancelled": (
        "stopped",
        "It was stopped before it began; an agent that had it queued may run it all the same.",
    ),
    "Terminated": ("stopped", "It was stopped while it ran; what it had started may still run."),
    "Aborted": ("not_delivered", "Check that the instance is up and its agent is online; it has not run."),
    "Invalid": ("input", "Check the script and its options."),
    "Error": ("agent", _AGENT_LOG),
}


def classify(status: str, error_code: str, error_info: str, exit_code: int | None) -> Failure | None:
    """The failure behind a final status; None for success. An unknown code keeps the API's own words."""
    if status == "Success":
        return None
    if status not in FINAL_STATUSES:
        state = status or "without a status"
        return Failure(
            "lost",
            f"It is {state}, and may still run. Look again with ecs_wait_invocation.",
            error_code,
        )
    kind, what_to_do = _BY_CODE.get(error_code) or _BY_STATUS.get(status) or ("agent", "")
    if kind == "script" and exit_code is not None:
        return Failure(kind, f"The script ended with exit code {exit_code}.", error_code)
    words = " ".join(filter(None, [status, error_code and f"({error_code})"]))
    info = f"{words}: {error_info.rstrip('.')}." if error_info else f"{words}."
    return Failure(kind, " ".join(filter(None, [info, what_to_do])), error_code)
