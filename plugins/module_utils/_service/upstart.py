# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""The agent as a job of upstart."""

from __future__ import annotations

import re

from .host import Done, Host
from .shapes import STARTED, STARTING, STOPPED, STOPPING, Service, ServiceError

_INITCTL = "/sbin/initctl"
_STATES = {("start", "running"): STARTED, ("stop", "waiting"): STOPPED}
_READ_S = 30


class Upstart:
    """Jobs through initctl."""

    names = ("aliyun-service", "aliyun")

    def look(self, host: Host, name: str) -> Service | None:
        """A job, or None if there is none of the name."""
        done = host.run([_INITCTL, "status", name], _READ_S)
        found = re.search(rf"^{re.escape(name)} (\w+)/([\w-]+)(?:, process (\d+))?", done.output, re.MULTILINE)
        if not found:
            if "Unknown job" in done.output:
                return None
            raise ServiceError(f"upstart does not tell about {name}: {done.words()}")
        goal, state, pid = found.groups()
        between = STARTING if goal == "start" else STOPPING
        return Service(
            name,
            _STATES.get((goal, state), between),
            starts_by_itself(_text(host, _file(name, "conf")) + _text(host, _file(name, "override"))),
            f"{goal}/{state}",
            int(pid) if pid else None,
        )

    def command(self, verb: str, name: str) -> list[str]:
        """What starts, stops or restarts a job."""
        return [_INITCTL, verb, name]

    def enable(self, host: Host, name: str, enabled: bool) -> tuple[list[str], Done]:
        """Have it start with the host, or not: an override says that it does not."""
        path = _file(name, "override")
        kept = re.sub(r"^\s*manual\s*$\n?", "", _text(host, path), flags=re.MULTILINE)
        try:
            host.write(path, kept if enabled else kept + "manual\n")
        except OSError as error:
            raise ServiceError(f"{path} cannot be written: {error.strerror}.") from error
        return ["writing", path], Done(0, "")


def starts_by_itself(stanzas: str) -> bool:
    """Whether a job starts with the host; what an override says comes after what the job says."""
    words = re.findall(r"^\s*(start\s+on|manual)\b", stanzas, re.MULTILINE)
    return bool(words) and words[-1] != "manual"


def _file(name: str, ending: str) -> str:
    return f"/etc/init/{name}.{ending}"


def _text(host: Host, path: str) -> str:
    text = (host.read(path) or b"").decode("utf-8", "replace")
    return text if text.endswith("\n") or not text else text + "\n"
