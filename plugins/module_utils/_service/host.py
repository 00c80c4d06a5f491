# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""The host that a module runs on: its files, its processes, its programs."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

# What the agent hands its commands lacks the folders of init systems.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# The working directory is that of a process, and is empty once that very process has ended; a process id may be
# another's by then.
_AFTER = 'while [ -e stat ]; do sleep 1; done; cd /; sleep "$1"; shift; exec "$@"'


@dataclass(frozen=True)
class Done:
    """A program that has run."""

    status: int
    output: str

    def words(self, lines: int = 3) -> str:
        """The last lines, where programs say what went wrong."""
        return " ".join(" ".join(self.output.splitlines()[-lines:]).split())


class Host(Protocol):
    """What the rest of the package knows of a host."""

    pid: int
    """The process that we are."""

    def read(self, path: str) -> bytes | None:
        """A file, or None if there is none to be read."""

    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder."""

    def names(self, folder: str) -> list[str]:
        """What a folder holds, in order; nothing if there is no such folder."""

    def target(self, path: str) -> str | None:
        """Where a symbolic link leads."""

    def write(self, path: str, text: str) -> None:
        """Put a file in place, whole or not at all."""

    def run(self, command: Sequence[str], timeout_s: float) -> Done:
        """Run a program to its end."""

    def run_after(self, pid: int, delay_s: int, command: Sequence[str]) -> None:
        """Have a program run some time after a process has ended, whatever becomes of us."""


class RealHost:
    """This host."""

    def __init__(self) -> None:
        self.pid = os.getpid()

    def read(self, path: str) -> bytes | None:
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError:
            return None

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(os.listdir(folder))
        except OSError:
            return []

    def target(self, path: str) -> str | None:
        try:
            return os.readlink(path)
        except OSError:
            return None

    def write(self, path: str, text: str) -> None:
        descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)

    def run(self, command: Sequence[str], timeout_s: float) -> Done:
        # A file and no pipe, as AnsibleModule.run_command has: a service that was started may hold on to its output.
        with tempfile.TemporaryFile() as output:
            try:
                status = subprocess.call(  # pylint: disable=ansible-bad-function
                    list(command),
                    cwd="/",
                    env=_environment(os.environ),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    # Nor does the service end with the session that it was started from.
                    start_new_session=True,
                    timeout=timeout_s,
                )
            except subprocess.TimeoutExpired:
                return Done(124, f"it had not ended after {timeout_s:g} s")
            except OSError as error:
                return Done(127, f"{command[0]}: {error.strerror}")
            output.seek(0)
            return Done(status, output.read().decode("utf-8", "replace"))

    def run_after(self, pid: int, delay_s: int, command: Sequence[str]) -> None:
        subprocess.Popen(  # pylint: disable=ansible-bad-function
            _shell(delay_s, command),
            cwd=f"/proc/{pid}" if os.path.isdir(f"/proc/{pid}") else "/",
            env=_environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def _shell(delay_s: int, command: Sequence[str]) -> list[str]:
    return ["/bin/sh", "-c", _AFTER, "sh", str(delay_s), *command]


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    """What services are started with and what is read in English, and nothing that is only ours."""
    return {"PATH": ":".join(filter(None, [ours.get("PATH"), _PATH])), "LC_ALL": "C", "TERM": "dumb"}
