# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""The agent as a script in /etc/init.d."""

from __future__ import annotations

import re

from .host import Done, Host
from .shapes import STARTED, STOPPED, Service, ServiceError

_FOLDER = "/etc/init.d"
_RUNLEVELS = [f"/etc/{folder}rc{level}.d" for folder in ("", "rc.d/") for level in "2345"]
# Debian's and its relatives', and Red Hat's and its.
_UPDATE_RC = ("/usr/sbin/update-rc.d",)
_CHKCONFIG = ("/sbin/chkconfig", "/usr/sbin/chkconfig")
_NOT = re.compile(r"\b(?:stopped|not running|dead)\b", re.IGNORECASE)
_READ_S = 30
_CHANGE_S = 60


class Sysvinit:
    """Scripts, and links to them for the runlevels."""

    names = ("aliyun-service", "aliyun")

    def look(self, host: Host, name: str) -> Service | None:
        """A script's service, or None if there is no script of the name."""
        if not host.exists(f"{_FOLDER}/{name}"):
            return None
        done = host.run([f"{_FOLDER}/{name}", "status"], _READ_S)
        pid = _pid(host, name)
        state = state_in(done, alive=pid is not None)
        links = [link for folder in _RUNLEVELS for link in host.names(folder)]
        enabled = any(re.fullmatch(r"S\d+" + re.escape(name), link) for link in links)
        return Service(name, state, enabled, done.words(1), pid if state == STARTED else None)

    def command(self, verb: str, name: str) -> list[str]:
        """What starts, stops or restarts it."""
        return [f"{_FOLDER}/{name}", verb]

    def enable(self, host: Host, name: str, enabled: bool) -> tuple[list[str], Done]:
        """Have it start with the host, or not."""
        for program, add, change in (
            (_UPDATE_RC, ["{0}", "defaults"], ["{0}", "enable" if enabled else "disable"]),
            (_CHKCONFIG, ["--add", "{0}"], ["{0}", "on" if enabled else "off"]),
        ):
            for path in filter(host.exists, program):
                # Neither changes the runlevels of a script that it has no links to.
                host.run([path, *(word.format(name) for word in add)], _CHANGE_S)
                command = [path, *(word.format(name) for word in change)]
                return command, host.run(command, _CHANGE_S)
        raise ServiceError("Neither update-rc.d nor chkconfig is there to say what starts with the host.")


def state_in(done: Done, *, alive: bool) -> str:
    """What a script's answer to ``status`` means; ``alive`` is whether the process of its pid file is.

    By the LSB 0 is running and all else is not, but there are scripts that exit 0 whatever they say, and some that know
    no ``status``.
    """
    if "usage:" in done.output.lower():
        return STARTED if alive else STOPPED
    return STOPPED if done.status or _NOT.search(done.output) else STARTED


def _pid(host: Host, name: str) -> int | None:
    """The process in the script's pid file, if it is there."""
    text = (host.read(f"/var/run/{name}.pid") or b"").strip()
    return int(text) if text.isdigit() and host.exists(f"/proc/{int(text)}/stat") else None
