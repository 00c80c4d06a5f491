# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Which init system a host has.

Alibaba's page "Start or stop the Cloud Assistant client" asks ``strings /sbin/init`` for three words. That is what the
host would boot with. What it has booted with goes first, as with the agent's own installer: a container has systemd's
``/sbin/init`` and does not run it, and an Ubuntu that was upgraded may have kept its ``initctl``.
"""

from __future__ import annotations

from dataclasses import dataclass

from .host import Host

SYSTEMD, UPSTART, SYSVINIT = "systemd", "upstart", "sysvinit"

# Words in /sbin/init, in the order of the page.
_WORDS = ((SYSTEMD, b"/lib/system"), (UPSTART, b"upstart"), (SYSVINIT, b"sysvinit"))


@dataclass(frozen=True)
class Evidence:
    """What speaks for one or the other."""

    systemd_runs: bool = False
    upstart_runs: bool = False
    in_init: str | None = None
    """The init system whose word /sbin/init holds."""
    scripts: bool = False
    """Whether there is a script of the agent in /etc/init.d."""


def init_system(evidence: Evidence) -> str | None:
    """The init system that starts the agent; None if nothing tells."""
    if evidence.systemd_runs:
        return SYSTEMD
    if evidence.upstart_runs:
        return UPSTART
    if evidence.in_init in (UPSTART, SYSVINIT):
        return evidence.in_init
    # A script is there for whoever runs it; systemd that does not run is there for nobody.
    return SYSVINIT if evidence.scripts else evidence.in_init


def word_in(init: bytes) -> str | None:
    """The init system whose word a program holds; no ``strings`` is needed for that."""
    return next((name for name, word in _WORDS if word in init), None)


def look_for_evidence(host: Host, scripts: tuple[str, ...]) -> Evidence:
    """Look at a host; ``scripts`` are the names that the agent's may have."""
    return Evidence(
        # As sd_booted(3) has it, and for systemd before 187 the name of the first process.
        systemd_runs=host.exists("/run/systemd/system") or (host.read("/proc/1/comm") or b"").strip() == b"systemd",
        upstart_runs=host.exists("/sbin/initctl") and "upstart" in host.run(["/sbin/initctl", "--version"], 10).output,
        in_init=word_in(host.read("/sbin/init") or b""),
        scripts=any(host.exists("/etc/init.d/" + name) for name in scripts),
    )
