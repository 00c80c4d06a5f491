# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""The result of a command on each instance, in the one shape that all modules return, and what follows from it."""

from __future__ import annotations

from typing import Any

from .._instances.failure import Failure
from .._sdk.shapes import TaskRow, format_time
from .failures import POWER_ACTIONS, classify
from .scripts import is_skipped

Result = dict[str, Any]

# With these a command has certainly not begun (DescribeInvocationResults, InvocationStatus).
_NEVER_BEGAN = frozenset({"Aborted", "Invalid"})
# Where a command was stopped before it began. The agent may still have it (facts read from its source).
_AFTER_STOP = {"Cancelled": "It had not begun there; an agent that had it queued may run it all the same."}


def result_of_task(task: TaskRow, *, region_id: str, command_id: str, platform: str) -> Result:
    """What came of a command on an instance."""
    power_action = "none"
    if task.exit_code is not None and task.status in ("Success", "Failed"):
        power_action = POWER_ACTIONS[platform].get(task.exit_code, "none")
    # A requested power action is what the script wanted, not a failure.
    failure = (
        None if power_action != "none" else classify(task.status, task.error_code, task.error_info, task.exit_code)
    )
    output = task.output.decode("utf-8", "replace")
    return {
        "region_id": region_id,
        "invoke_id": task.invoke_id,
        "command_id": command_id,
        "status": task.status,
        "ok": failure is None,
        "skipped": failure is None and is_skipped(output),
        "exit_code": task.exit_code,
        "output": output,
        "output_dropped": task.dropped,
        "error_code": task.error_code or None,
        "error_info": failure.info if failure else None,
        "failure": failure.kind if failure else None,
        "timed_out": False,
        "started_at": format_time(task.started),
        "finished_at": format_time(task.finished),
        "power_action": power_action,
    }


def result_of_failure(
    failure: Failure, *, region_id: str, invoke_id: str | None = None, command_id: str | None = None
) -> Result:
    """An instance on which the command did not run, or from which nothing was heard."""
    return {
        "region_id": region_id,
        "invoke_id": invoke_id,
        "command_id": command_id,
        "status": None,
        "ok": False,
        "skipped": False,
        "exit_code": None,
        "output": "",
        "output_dropped": 0,
        "error_code": failure.code or None,
        "error_info": failure.info,
        "failure": failure.kind,
        "timed_out": False,
        "started_at": None,
        "finished_at": None,
        "power_action": "none",
    }


def result_after_wait(result: Result, waited: str, complaint: str | None) -> Result:
    """The result on an instance on which the command had not ended when a wait was over.

    ``complaint`` is why it could not be stopped, None when nobody tried. A command that has ended by itself meanwhile
    is not late.
    """
    late = f"It had not ended when the wait of {waited} was over"
    if result["failure"] == "stopped":
        rest = _AFTER_STOP.get(result["status"], "What it had started may still run.")
        return result | {
            "failure": "timeout",
            "error_info": f"{late}, and then it was stopped. {rest}",
            "timed_out": True,
        }
    if result["failure"] == "lost":
        info = f"{late}. {result['error_info']}" + (f" It could not be stopped. {complaint}" if complaint else "")
        return result | {"error_info": info, "timed_out": True}
    return result


def may_have_run(result: Result) -> bool:
    """Whether the command may have begun on the instance, or does so without anybody waiting for it."""
    if result["failure"] in (None, "lost"):
        return not result["skipped"]
    return result["invoke_id"] is not None and result["status"] not in _NEVER_BEGAN
