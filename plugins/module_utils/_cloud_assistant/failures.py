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


# ErrorCode of DescribeInvocationResults → kind and what to do. The codes are those of the SDK's docstrings.
_BY_CODE = {
    "ExitCodeNonzero": ("script", ""),
    "ExecutionTimeout": ("timeout", "Give it a longer timeout, or look why it takes so long."),
    "TerminationException": ("timeout", "It could not be ended at its timeout: see what still runs on the instance."),
    "ClientNotRunning": ("agent", "Start the Cloud Assistant Agent on the instance."),
    "ClientNotOnline": ("agent", "Start the Cloud Assistant Agent on the instance, and check its network."),
    "ClientNotResponse": ("agent", "Restart the Cloud Assistant Agent on the instance."),
    "ClientIsUpgrading": ("agent", "The agent is upgrading itself; try again in a few minutes."),
    "ClientNeedUpgrade": ("agent", "Upgrade the Cloud Assistant Agent on the instance."),
    "ClientRestarted": ("agent", "The agent restarted while the command ran; see on the instance how far it came."),
    "InstanceRestarted": ("instance", "The instance restarted while the command ran; see on it how far it came."),
    "ExecutionInterrupted": ("instance", "Something interrupted the command; see on the instance how far it came."),
    "DeliveryTimeout": ("not_delivered", "Check that the instance is up and its agent is online."),
    "ClientNetworkBlocked": ("network", "Open the instance's way to the Cloud Assistant endpoints (443, 80, 53)."),
    "SecurityGroupRuleDenied": ("network", "A security group denies the agent its way out; mend its rules."),
    "InstanceNotRunning": ("instance", "Start the instance."),
    "InstanceNotExists": ("instance", "Check the instance id and the region."),
    "InstanceReleased": ("instance", "The instance has been released."),
    "InstanceDeregistered": ("instance", "The managed instance has been deregistered."),
    "CommandNotApplicable": ("input", "The type of script does not fit the instance's platform."),
    "InvalidCommandText": ("input", "Check the script's text."),
    "CommandContentDecodeError": ("input", "Check the script's encoding."),
    "AccountNotExists": ("input", "The user to run as is not on the instance."),
    "DirectoryNotExists": ("input", "working_dir is not on the instance."),
    "DefaultWorkingDirectoryNotAvailable": ("input", "Give a working_dir that is on the instance."),
    "InvalidSystemBuiltInParameter": ("input", "Check the parameters in the script."),
    "ScriptFileExisted": ("agent", "The agent had this command before and did not run it again."),
    "ExecutionException": ("agent", "See the agent's log on the instance."),
}

_BY_STATUS = {
    "Failed": ("script", ""),
    "Timeout": ("timeout", "Give it a longer timeout, or look why it takes so long."),
    "Cancelled": ("stopped", "It was stopped before it began."),
    "Terminated": ("stopped", "It was stopped while it ran."),
    "Aborted": ("not_delivered", "Check that the instance is up and its agent is online."),
    "Invalid": ("input", "Check the script and its options."),
    "Error": ("agent", "See the agent's log on the instance."),
}


def classify(status: str, error_code: str, error_info: str, exit_code: int | None) -> Failure | None:
    """The failure behind a final status; None for success. An unknown code keeps the API's own words."""
    if status == "Success":
        return None
    if status not in FINAL_STATUSES:
        return Failure(
            "lost", f"It was {status or 'without a status'} when the wait ended; it may still run.", error_code
        )
    kind, what_to_do = _BY_CODE.get(error_code) or _BY_STATUS.get(status) or ("agent", "")
    if kind == "script" and exit_code is not None:
        return Failure(kind, f"The script ended with exit code {exit_code}.", error_code)
    words = " ".join(filter(None, [status, error_code and f"({error_code})"]))
    info = f"{words}: {error_info.rstrip('.')}." if error_info else f"{words}."
    return Failure(kind, " ".join(filter(None, [info, what_to_do])), error_code)
