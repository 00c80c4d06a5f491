# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that is only told of: files, processes and what programs answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ansible_collections.cloudops.alibaba.plugins.module_utils._service.host import Done

Answer = Done | Callable[[], Done]


class ToldHost:
    """Programs that it has not been told of are not there."""

    def __init__(self, files: dict[str, str] | None = None, programs: dict[str, Answer] | None = None) -> None:
        self.pid = 100
        self.files = {"/proc/100/stat": "100 (python3) S 1 100", "/proc/1/comm": "init\n"} | (files or {})
        self.links: dict[str, str] = {}
        self.programs = programs or {}
        self.ran: list[str] = []
        self.later: list[tuple[int, int, str]] = []

    def read(self, path: str) -> bytes | None:
        return self.files[path].encode() if path in self.files else None

    def exists(self, path: str) -> bool:
        return path in self.files or bool(self.names(path))

    def names(self, folder: str) -> list[str]:
        below = [path.removeprefix(f"{folder}/") for path in self.files if path.startswith(f"{folder}/")]
        return sorted({path.partition("/")[0] for path in below})

    def target(self, path: str) -> str | None:
        return self.links.get(path)

    def write(self, path: str, text: str) -> None:
        self.files[path] = text

    def run(self, command: Sequence[str], timeout_s: float) -> Done:
        line = " ".join(command)
        self.ran.append(line)
        answer = self.programs.get(line, Done(127, f"{command[0]}: No such file or directory"))
        return answer if isinstance(answer, Done) else answer()

    def run_after(self, pid: int, delay_s: int, command: Sequence[str]) -> None:
        self.later.append((pid, delay_s, " ".join(command)))
