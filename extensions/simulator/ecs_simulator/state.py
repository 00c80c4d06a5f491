# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder in which a simulator keeps its machines."""

import fcntl
import shutil
import tempfile
from pathlib import Path

from ecs_simulator.errors import SimulatorError


class State:
    """A folder that is one simulator's from now until :meth:`close`; without a path a temporary one that goes then."""

    def __init__(self, path: Path | None) -> None:
        self._temporary = path is None
        self.path = path or Path(tempfile.mkdtemp(prefix="ecs-simulator-"))
        self.machines = self.path / "machines"
        try:
            self.machines.mkdir(parents=True, exist_ok=True)
            # The kernel lets go of the lock when the simulator ends, however it does.
            self._lock = (self.path / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise SimulatorError(
                f"another simulator is using the state folder {self.path}: stop that one, or name another folder"
            ) from None
        except OSError as error:
            raise SimulatorError(f"cannot use the state folder {self.path}: {error.strerror}") from error

    def next_start(self) -> int:
        """Count the simulator's starts on this folder; the first is 1."""
        counter = self.path / "starts"
        number = int(counter.read_text(encoding="ascii")) + 1 if counter.exists() else 1
        counter.write_text(f"{number}\n", encoding="ascii")
        return number

    def close(self) -> None:
        """Let another simulator have the folder."""
        self._lock.close()
        if self._temporary:
            shutil.rmtree(self.path, ignore_errors=True)
