# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Packing the step runner, a request and the steps into one command."""

from __future__ import annotations

import base64
import gzip
import io
import re
import tarfile
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .._sdk.errors import BadInput
from .steps import Policy, Step, work_of

_PLACEHOLDER = "@PAYLOAD@"
# What the agent is told that a delivery is.
SCRIPT_TYPES = {"linux": "RunShellScript", "windows": "RunPowerShellScript"}
# The step runner's files, in the order in which they are joined into one script.
SH_PARTS = (
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
PS1_PARTS = ("runner", "keeper", "restart", "session", "os_updates", "records", "native", "start")
_COMMENT = re.compile(r"^ *(?:#|//).*\n|^\n", re.MULTILINE)
_INDENTATION = re.compile(r"^ +", re.MULTILINE)
# Functions and constants of the runner for Windows.
_LONG_NAME = re.compile(r"^(?:function (?=\S+ )|(?=\$[A-Z_]+ = ))(\S{5,})", re.MULTILINE)
# Windows PowerShell takes a script without this mark for one in the system's code page.
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_runner(folder: Path, *, without: Collection[str] = ()) -> str:
    """The step runner in one piece, from its files below the role's folder ``files``; OSError when one is missing.

    Comments stay at home, and so do the parts that a run has no use for (``without``): a delivery has little room.
    """
    return _sh_runner(_read_parts(folder, "sh", SH_PARTS), without)


def _sh_runner(parts: Mapping[str, str], without: Collection[str]) -> str:
    return "#!/bin/sh\n" + "".join(text for part, text in parts.items() if part not in without)


def read_windows_runner(folder: Path, *, updates: bool = True) -> str:
    """The same for Windows, with or without ``os_updates``.

    PowerShell is wordy, so the indentation stays at home too, and functions and constants travel under short names.
    """
    parts = _read_parts(folder, "ps1", [part for part in PS1_PARTS if updates or part != "os_updates"])
    return _with_short_names(_INDENTATION.sub("", "".join(parts.values())))


def _with_short_names(text: str) -> str:
    names = _LONG_NAME.findall(text)
    short = {name: f"{'$C' if name.startswith('$') else 'f'}{number}" for number, name in enumerate(names)}
    constants = "|".join(re.escape(name) for name in names if name.startswith("$"))
    functions = "|".join(name for name in names if not name.startswith("$"))
    anyone = re.compile(rf"(?:{constants})\b|(?<![\w-])(?:{functions})(?![\w-])")
    return anyone.sub(lambda match: short[match[0]], text)


def _read_parts(folder: Path, suffix: str, parts: Sequence[str]) -> dict[str, str]:
    """The parts by name, in their order and without comments."""
    return {part: _COMMENT.sub("", _read(folder / "runner" / f"{part}.{suffix}")) for part in parts}


@dataclass(frozen=True)
class _Platform:
    """What differs in deliveries: the script that unpacks one, the runner, and how files are named and packed.

    ``runner`` makes the runner for a run and its steps.
    """

    deliver: str
    runner: Callable[[Policy, Sequence[Step]], str]
    suffix: str
    mark: bytes
    pack: Callable[[dict[str, bytes]], str]


class Courier:
    """Makes the script that brings the runner and its work to a host."""

    def __init__(self, runner_dir: str | Path) -> None:
        folder = Path(runner_dir)
        try:
            runner, small_runner = read_windows_runner(folder), read_windows_runner(folder, updates=False)
            parts = _read_parts(folder, "sh", SH_PARTS)
            self._platforms = {
                "linux": _Platform(
                    _read(folder / "deliver.sh"),
                    lambda policy, _steps: _sh_runner(parts, _no_use(policy)),
                    "",
                    b"",
                    _tar,
                ),
                "windows": _Platform(
                    _INDENTATION.sub("", _COMMENT.sub("", _read(folder / "deliver.ps1"))),
                    lambda _policy, steps: runner if any(step.builtin for step in steps) else small_runner,
                    ".ps1",
                    _BYTE_ORDER_MARK,
                    _zip,
                ),
            }
        except OSError as error:
            raise BadInput(f"runner_dir: cannot read the step runner in {folder}: {error.strerror}.") from error

    def script(
        self,
        policy: Policy,
        steps: Sequence[Step],
        *,
        method: str,
        sent_at: int,
        not_after: int,
        platform: str = "linux",
    ) -> str:
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
        how = self._platforms[platform]
        files = {f"runner{how.suffix or '.sh'}": how.runner(policy, steps).encode()}
        if policy.health.wanted:
            request |= policy.health.settings
            if policy.health.script:
                files["health"] = policy.health.script.encode()
        files["request"] = _lines(request)
        for number, step in enumerate(steps, start=1):
            files |= _step_files(f"steps/{number:02d}", step, how)
        return how.deliver.replace(_PLACEHOLDER, how.pack(files))


def _no_use(policy: Policy) -> set[str]:
    """The parts of the runner that a run does not call."""
    without = set() if policy.mode == "assess" else {"assess"}
    return without if policy.health.wanted else without | {"health", "same"}


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _step_files(folder: str, step: Step, how: _Platform) -> dict[str, bytes]:
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
        files[f"{folder}/script{how.suffix}"] = how.mark + step.script.encode()
    if step.unless:
        files[f"{folder}/unless{how.suffix}"] = how.mark + step.unless.encode()
    return files


def _lines(values: dict[str, str | int]) -> bytes:
    return "".join(f"{key}={value}\n" for key, value in values.items()).encode()


def _tar(files: dict[str, bytes]) -> str:
    """A gzipped tar in Base64, the same for the same files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o600
            archive.addfile(entry, io.BytesIO(content))
    return base64.encodebytes(gzip.compress(buffer.getvalue(), compresslevel=9, mtime=0)).decode().strip()


def _zip(files: dict[str, bytes], comment: bytes = b"") -> str:
    """A zip file in Base85, the same for the same files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.comment = comment
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 9)
    missing = -buffer.tell() % 4
    # Base85 takes four bytes at a time, and a zip file may end with a comment and nothing else.
    return _zip(files, b" " * missing) if missing else base64.b85encode(buffer.getvalue()).decode()
