# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What ecs_send_file does: a file on any number of instances, sent only where it is not what it shall be."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from .._instances.describe import chunks
from .._instances.failure import Failure
from .._instances.ids import check_instance_ids
from .._instances.outcome import failure_sentence, fate, summarize
from .._progress import Progress, count
from .._sdk import limits
from .._sdk.errors import BadInput, CloudError
from .._sdk.shapes import TaskRow
from .._waiting import Clock, Deadline
from .checks import check_content
from .command import Command, StartApi
from .placing import FOLDER, File, read_state, read_trouble
from .results import Result, result_of_failure
from .submit import CommandApi, Submission, submit, submit_piece
from .wait import wait_for

# SendFile calls side by side.
_SIDE_BY_SIDE = 4
# The agent's time for one part, and what is left of the whole for looking and for putting together.
_PART_S = 60
_MARGIN_S = 30
# How a sentence begins that ends with the platform.
_PURPOSE = "ecs_send_file puts files on instances with"


class SendApi(CommandApi, Protocol):
    """The calls that sending files needs; :class:`~.._sdk.ecs.Ecs` has them."""

    def describe_send_file_results(self, invoke_id: str) -> dict[str, TaskRow]: ...


@dataclass(frozen=True)
class _Part:
    """One part of a file on its way to a folder, which is started like a command."""

    folder: str
    name: str
    content: bytes
    platform = "linux"
    purpose = _PURPOSE
    ids_per_call = limits.SEND_FILE_IDS

    def check(self) -> None:
        """Nothing: the file has been checked."""

    def start(self, api: StartApi, instance_ids: Sequence[str]) -> tuple[str, str]:
        """Send it."""
        sent = api.send_file(instance_ids, folder=self.folder, name=self.name, content=self.content, timeout_s=_PART_S)
        return sent, ""


class _Script(Command):
    """One of the scripts that put the file in its place."""

    purpose = _PURPOSE


def send_file(
    connect: Callable[[], SendApi],
    file: File,
    instance_ids: list[str],
    *,
    timeout_s: int,
    dry: bool,
    fail: bool,
    clock: Clock,
    progress: Progress,
) -> dict[str, Any]:
    """Put a file on instances; with ``dry``, only look where it is not what it shall be."""
    file.check()
    check_instance_ids(instance_ids)
    if timeout_s < limits.TIMEOUT_MINIMUM_S:
        raise BadInput(f"timeout is {timeout_s} s, and the least is {limits.TIMEOUT_MINIMUM_S} s.")
    sending = _Sending(connect(), file, Deadline(clock, timeout_s), clock, progress)
    if dry:
        results = sending.run(file.script_to_look(), instance_ids, strict=fail)
    elif _fits(file.script_with_payload()):
        results = sending.run(file.script_with_payload(), instance_ids, strict=fail)
    else:
        results = sending.in_parts(instance_ids, strict=fail)
    shaped = {key: _shape(result) for key, result in results.items()}
    outcome = summarize(shaped, instance_ids)
    sentence = failure_sentence(outcome["instances"], "Sending the file")
    changed = any(result["changed"] for result in shaped.values())
    return outcome | {"changed": changed} | ({"failed": True, "msg": sentence} if sentence and fail else {})


class _Sending:
    """A file on its way to instances of a region."""

    def __init__(self, api: SendApi, file: File, deadline: Deadline, clock: Clock, progress: Progress) -> None:
        self._api = api
        self._file = file
        self._deadline = deadline
        self._clock = clock
        self._progress = progress

    def run(self, script: str, instance_ids: Sequence[str], *, strict: bool = False) -> dict[str, Result]:
        """Run one of the file's scripts, which say more about themselves than exit codes do."""
        left_s = max(int(self._deadline.left_s), limits.TIMEOUT_MINIMUM_S)
        command = _Script(script, timeout_s=left_s, name="cloudops-send-file")
        submission = submit(self._api, command, instance_ids, strict=strict)
        results = self._failed(submission.failures)
        deadline = Deadline(self._clock, left_s + limits.DELIVERY_S + _MARGIN_S)
        results |= wait_for(
            submission.invocations,
            deadline=deadline,
            clock=self._clock,
            progress=self._progress,
            bound=f"what timeout leaves and {limits.DELIVERY_S + _MARGIN_S} s for the way",
        )
        return {key: _in_its_own_words(result) for key, result in results.items()}

    def in_parts(self, instance_ids: Sequence[str], *, strict: bool) -> dict[str, Result]:
        """Look where the file is missing, send its parts there, and have them put together."""
        stage = f"{FOLDER}/{uuid.uuid4().hex}"
        results = self.run(self._file.script_to_prepare(stage), instance_ids, strict=strict)
        missing = [key for key, result in results.items() if result["ok"] and read_state(result["output"]) == "differs"]
        if not missing:
            return results
        first, failures = self._send_parts(missing, stage)
        results |= self._failed(failures)
        rest = [key for key in missing if key not in failures]
        if rest:
            wait_s = max(0, int(self._deadline.left_s) - _MARGIN_S)
            results |= self.run(self._file.script_to_assemble(stage, wait_s), rest)
            self._say_why_parts_are_missing(results, rest, first)
        return results

    def _send_parts(self, instance_ids: Sequence[str], stage: str) -> tuple[dict[str, str], dict[str, Failure]]:
        """Send all parts; by instance id the invocation of the first one, and why it could not be sent."""
        parts = [_Part(stage, f"part-{number:04d}", content) for number, content in enumerate(self._file.parts)]
        submission = Submission()
        with ThreadPoolExecutor(max_workers=_SIDE_BY_SIDE) as pool:
            for start in range(0, len(parts), _SIDE_BY_SIDE):
                self._progress.update(
                    f"Sending part {start + 1} of {len(parts)} to {count(len(instance_ids), 'instance')}"
                )
                fit = [key for key in instance_ids if key not in submission.failures]
                some = parts[start : start + _SIDE_BY_SIDE]
                jobs = [(part, piece) for part in some for piece in chunks(fit, part.ids_per_call)]
                for sent in pool.map(lambda job: submit_piece(self._api, *job), jobs):
                    submission.add(sent)
                if self._deadline.passed:
                    late = Failure("timeout", "There was no time left to send all of it. Give it a longer timeout.")
                    return {}, dict.fromkeys(instance_ids, late) | submission.failures
        first: dict[str, str] = {}
        for invocation in submission.invocations:
            for key in invocation.instance_ids:
                first.setdefault(key, invocation.invoke_id)
        return first, submission.failures

    def _say_why_parts_are_missing(
        self, results: dict[str, Result], instance_ids: Sequence[str], first: dict[str, str]
    ) -> None:
        """What SendFile says of the first part, where not all have arrived."""
        told: dict[str, dict[str, TaskRow]] = {}
        for key in instance_ids:
            if "parts arrived" not in (results[key]["error_info"] or ""):
                continue
            invoke_id = first[key]
            try:
                told[invoke_id] = told.get(invoke_id) or self._api.describe_send_file_results(invoke_id)
            except CloudError:
                continue  # it would only have been more words
            row = told[invoke_id].get(key)
            if row and row.status != "Success":
                words = " ".join(filter(None, [row.status, row.error_code and f"({row.error_code})"]))
                results[key]["error_info"] += f" SendFile: {words}: {row.error_info}".rstrip(": ") + "."

    def _failed(self, failures: dict[str, Failure]) -> dict[str, Result]:
        return {key: result_of_failure(failure, region_id=self._api.region_id) for key, failure in failures.items()}


def _fits(script: str) -> bool:
    """Whether a script with the file in it can be sent at once."""
    try:
        check_content(script, {})
    except BadInput:
        return False
    return True


def _in_its_own_words(result: Result) -> Result:
    """A result whose reason is what the script said, where it said something."""
    trouble = read_trouble(result["output"])
    if trouble and result["failure"] == "script":
        return result | {"error_info": trouble, "failure": "input"}
    if result["failure"] == "script" and result["exit_code"] is not None:
        told = f"The file could not be put in its place: exit code {result['exit_code']}, and not a word why."
        return result | {"error_info": told}
    if result["ok"] and read_state(result["output"]) is None:
        lost = Failure("agent", "The instance did not say what became of the file. See its agent's log.")
        return result | fate(lost)
    return result


def _shape(result: Result) -> dict[str, Any]:
    """What is told of the file on one instance."""
    state = read_state(result["output"]) if result["ok"] else None
    told = ("region_id", "invoke_id", "ok", "failure", "error_code", "error_info", "finished_at")
    return {name: result[name] for name in told} | {"changed": state in ("changed", "differs")}
