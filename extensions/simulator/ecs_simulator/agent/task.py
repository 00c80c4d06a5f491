# SPDX-License-Identifier: GPL-3.0-or-later
"""A command, and its state on one instance.

Statuses are those of the SDK's docstrings: DescribeInvocations (request and response) and
DescribeInvocationResults.
"""

from dataclasses import dataclass

FAILED_STATUSES = frozenset({"Invalid", "Aborted", "Failed", "Timeout", "Error"})
STOPPED_STATUSES = frozenset({"Cancelled", "Terminated"})
FINAL_STATUSES = FAILED_STATUSES | STOPPED_STATUSES | {"Success"}


@dataclass(frozen=True)
class Command:
    """A script as RunCommand takes it; ``content`` is decoded."""

    id: str
    type: str
    content: bytes
    timeout_s: int
    name: str = ""
    description: str = ""
    working_dir: str = ""
    username: str = ""


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

    @property
    def record_status(self) -> str:
        """The status in the words of the older InvokeRecordStatus."""
        if self.status in STOPPED_STATUSES:
            return "Stopped"
        if self.status in ("Success", "Failed"):
            return "Finished"
        if self.status in FAILED_STATUSES:
            return "Failed"
        return "Stopping" if self.status == "Stopping" else "Running"
