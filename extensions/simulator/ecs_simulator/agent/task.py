# SPDX-License-Identifier: GPL-3.0-or-later
"""A command, and its state on one instance.

Statuses are those of the SDK's docstrings: DescribeInvocations (request and response) and
DescribeInvocationResults.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

FAILED_STATUSES = frozenset({"Invalid", "Aborted", "Failed", "Timeout", "Error"})
STOPPED_STATUSES = frozenset({"Cancelled", "Terminated"})
FINAL_STATUSES = FAILED_STATUSES | STOPPED_STATUSES | {"Success"}
# Modes of repetition with which a command may run more than once on an instance.
REPEATING = frozenset({"Period", "EveryReboot"})


@dataclass(frozen=True)
class Command:
    """A script as RunCommand takes it, with how to run it; ``content`` is decoded.

    What an agent gets (:attr:`Task.command`) has its parameters filled in, and no username where that is root.
    """

    id: str
    type: str
    content: bytes
    timeout_s: int
    name: str = ""
    description: str = ""
    working_dir: str = ""
    username: str = ""
    windows_password_name: str = ""
    termination_mode: str = "Process"
    launcher: str = ""
    container_id: str = ""
    container_name: str = ""
    enable_parameter: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The custom parameters that were passed in."""
    repeat: str = "Once"
    """Once, Period, NextRebootOnly, EveryReboot or DryRun: the RepeatMode."""
    frequency: str = ""


@dataclass
class Task:
    """A command on one instance."""

    invocation_id: str
    command: Command
    instance_id: str
    created: float
    status: str = "Pending"
    output: bytes = b""
    dropped: int = 0
    exit_code: int | None = None
    error_code: str = ""
    error_info: str = ""
    began: float | None = None
    """When its process started, whether the service knows or not."""
    started: float | None = None
    finished: float | None = None
    stopped: float | None = None
    updated: float = 0.0

    @property
    def final(self) -> bool:
        return self.status in FINAL_STATUSES


def record_status(status: str) -> str:
    """A status on an instance in the words of the older InvokeRecordStatus."""
    if status in STOPPED_STATUSES:
        return "Stopped"
    if status in ("Success", "Failed"):
        return "Finished"
    if status in FAILED_STATUSES:
        return "Failed"
    return "Stopping" if status == "Stopping" else "Running"
