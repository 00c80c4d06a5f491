# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""The agent as a unit of systemd."""

from __future__ import annotations

import re

from .host import Done, Host
from .shapes import FAILED, STARTED, STARTING, STOPPED, STOPPING, Service, ServiceError

_PROPERTIES = "LoadState,ActiveState,SubState,MainPID,ExecStart"
_STATES = {
    "active": STARTED,
    "reloading": STARTED,
    "refreshing": STARTED,
    "activating": STARTING,
    "deactivating": STOPPING,
}
# Neither "enabled-runtime", which holds until the next boot only, nor "static", which nothing may start.
_ENABLED = ("enabled", "alias")
_READ_S = 30
_CHANGE_S = 60


class Systemd:
    """Units through systemctl."""

    # The agent calls itself aliyun here, and aliyun-service where its installer did not recognise systemd.
    names = ("aliyun.service", "aliyun-service.service")

    def look(self, host: Host, name: str) -> Service | None:
        """A unit, or None if there is none of the name."""
        shown = host.run(["systemctl", "show", name, "--property=" + _PROPERTIES], _READ_S)
        if shown.status:
            raise ServiceError(f"systemd does not tell about {name}: {shown.words()}")
        # It exits 1 for what is disabled, and then says so.
        enabled = host.run(["systemctl", "is-enabled", name], _READ_S)
        return unit(name, shown.output, enabled.output)

    def command(self, verb: str, name: str) -> list[str]:
        """What starts, stops or restarts a unit."""
        return ["systemctl", verb, name]

    def enable(self, host: Host, name: str, enabled: bool) -> tuple[list[str], Done]:
        """Have it start with the host, or not."""
        command = ["systemctl", "enable" if enabled else "disable", name]
        return command, host.run(command, _CHANGE_S)


def unit(name: str, shown: str, enabled: str) -> Service | None:
    """A unit out of what ``systemctl show`` and ``is-enabled`` print; None if there is none.

    ``show`` knows every name that one asks for, and exits 0; its LoadState tells.
    """
    values = dict(re.findall(r"^(\w+)=(.*)$", shown, re.MULTILINE))
    if values.get("LoadState") in (None, "not-found"):
        return None
    program = re.search(r"\bpath=(\S+)", values.get("ExecStart", ""))
    words = enabled.split()
    state = _STATES.get(values["ActiveState"], STOPPED)
    return Service(
        name,
        FAILED if values["SubState"] == "auto-restart" else state,
        bool(words) and words[-1] in _ENABLED,
        "{ActiveState} ({SubState})".format(**values),
        int(values.get("MainPID") or 0) or None,
        program and program[1],
    )
