# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder in which a simulator keeps its machines."""

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from ecs_simulator.errors import SimulatorError

# Waits for the end of its input, which the simulator's own end brings about, however it comes. Then it removes the
# folder, which is still there when the simulator was killed; what runs in it may need a moment to end, too.
_SWEEP = """
while read -r _; do :; done
tries=0
while [ -e "$1" ] && [ "$tries" -lt 100 ]; do
  rm -rf -- "$1" || { chmod -R u+rwX -- "$1"; sleep 0.1; }
  tries=$((tries + 1))
done
"""


class TemporaryFolder:
    """A new folder that goes with :meth:`close`, or with the end of this process, however it comes."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="ecs-simulator-"))
        self._sweeper = subprocess.Popen(
            ["sh", "-c", _SWEEP, "ecs-simulator-sweeper", self.path],
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath)},
            # What is sent to the simulator's terminal or process group is not meant for it.
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self._sweeper.communicate()


class State:
    """A folder that is one simulator's from now until :meth:`close`; without a path a temporary one that goes then."""

    def __init__(self, path: Path | None) -> None:
        self._temporary = None
        if path is None:
            self._temporary = TemporaryFolder()
            path = self._temporary.path
        self.path = path
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
        try:
            number = _count(counter) + 1
            # In one step: no end of the simulator leaves half a number.
            written = counter.with_name("starts.new")
            written.write_text(f"{number}\n", encoding="ascii")
            written.replace(counter)
        except OSError as error:
            raise SimulatorError(f"cannot use the state file {counter}: {error.strerror}") from error
        return number

    def close(self) -> None:
        """Let another simulator have the folder."""
        self._lock.close()
        if self._temporary:
            self._temporary.close()


def _count(counter: Path) -> int:
    """How many starts there were. When that can no longer be read: more than there can have been, because what the
    number is for are ids that no earlier start gave out."""
    if not counter.exists():
        return 0
    try:
        return int(counter.read_text(encoding="ascii"))
    except ValueError:
        return int(time.time())
