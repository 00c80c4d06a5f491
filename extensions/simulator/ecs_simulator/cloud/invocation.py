# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands, their invocations and the state of each on each instance.

Statuses are those of the SDK's docstrings: DescribeInvocations (request and response) and
DescribeInvocationResults.
"""

from dataclasses import dataclass, field

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


@dataclass
class Invocation:
    """One RunCommand call: a command on some instances."""

    id: str
    region_id: str
    command: Command
    created: float
    tasks: dict[str, Task]
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """InvocationStatus of the whole."""
        statuses = {task.status for task in self.tasks.values()}
        for unfinished in ("Running", "Stopping", "Pending"):
            if unfinished in statuses:
                return unfinished
        if statuses <= STOPPED_STATUSES:
            return "Stopped"
        if statuses <= STOPPED_STATUSES | {"Success"}:
            return "Success"
        if statuses <= STOPPED_STATUSES | FAILED_STATUSES:
            return "Failed"
        return "PartialFailed"

    @property
    def record_status(self) -> str:
        """The status of the whole in the words of the older InvokeStatus."""
        statuses = {task.record_status for task in self.tasks.values()}
        for unfinished in ("Running", "Stopping"):
            if unfinished in statuses:
                return unfinished
        if len(statuses) == 1:
            return statuses.pop()
        return "PartialFailed" if "Failed" in statuses else "Finished"
