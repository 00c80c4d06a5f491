# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Packing the step runner, a request and the steps into one command."""

from __future__ import annotations

import base64
import gzip
import io
import re
import tarfile
from collections.abc import Sequence
from pathlib import Path

from .._sdk.errors import BadInput
from .steps import Policy, Step, work_of

_PLACEHOLDER = "@PAYLOAD@"
# The step runner's files, in the order in which they are joined into one script.
_RUNNER = (
    "runner",
    "keeper",
    "assess",
    "restart",
    "health",
    "same",
    "session",
    "os_updates",
    "os_updates_apt",
    "os_updates_dnf",
    "os_updates_zypper",
    "records",
    "start",
)
_COMMENT = re.compile(r"^ *#.*\n|^\n", re.MULTILINE)


def read_runner(folder: Path) -> str:
    """The step runner in one piece, from its files below the role's folder ``files``; OSError when one is missing.

    Comments stay at home: they are a third of a delivery, and its room is limited.
    """
    parts = [(folder / "runner" / f"{part}.sh").read_text(encoding="utf-8") for part in _RUNNER]
    return "#!/bin/sh\n" + _COMMENT.sub("", "".join(parts))


class Courier:
    """Makes the script that brings the runner and its work to a host."""

    def __init__(self, runner_dir: str | Path) -> None:
        folder = Path(runner_dir)
        try:
            self._deliver = (folder / "deliver.sh").read_text(encoding="utf-8")
            self._runner = read_runner(folder)
        except OSError as error:
            raise BadInput(f"runner_dir: cannot read the step runner in {folder}: {error.strerror}.") from error

    def script(self, policy: Policy, steps: Sequence[Step], *, method: str, sent_at: int, not_after: int) -> str:
        """The command's text. ``method`` is exit_code or api; the times are seconds since the epoch."""
        request: dict[str, str | int] = {
            "run_id": policy.run_id,
            "mode": policy.mode,
            "work": work_of(policy, steps, method),
            "restart": policy.restart,
            "method": method,
            "event": "yes" if policy.event else "no",
            "settle_s": policy.settle_s,
            "most_restarts": policy.most_restarts,
            "sent_at": sent_at,
            "not_after": not_after,
            "steps": len(steps),
        }
        files = {"runner.sh": self._runner.encode()}
        if policy.health.wanted:
            request |= policy.health.settings
            if policy.health.script:
                files["health"] = policy.health.script.encode()
        files["request"] = _lines(request)
        for number, step in enumerate(steps, start=1):
            files |= _step_files(f"steps/{number:02d}", step)
        text = base64.encodebytes(_tar(files)).decode().strip()
        return self._deliver.replace(_PLACEHOLDER, text)


def _step_files(folder: str, step: Step) -> dict[str, bytes]:
    settings: dict[str, str | int] = {
        "name": step.name,
        "builtin": step.builtin,
        "restart": step.restart,
        "timeout_s": step.timeout_s,
        "attempts": step.attempts,
        "rerun": "yes" if step.rerun else "no",
    }
    if step.updates:
        settings |= {
            "updates": step.updates.which,
            "include": " ".join(step.updates.include),
            "exclude": " ".join(step.updates.exclude),
        }
    files = {f"{folder}/step": _lines(settings)}
    if step.script:
        files[f"{folder}/script"] = step.script.encode()
    if step.unless:
        files[f"{folder}/unless"] = step.unless.encode()
    return files


def _lines(values: dict[str, str | int]) -> bytes:
    return "".join(f"{key}={value}\n" for key, value in values.items()).encode()


def _tar(files: dict[str, bytes]) -> bytes:
    """A gzipped tar, the same bytes for the same files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o600
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), compresslevel=9, mtime=0)
