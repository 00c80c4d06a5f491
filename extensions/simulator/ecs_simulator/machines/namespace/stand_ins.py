# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that a namespace machine has of its own, and the updates that its package manager knows."""

from importlib import resources

from ecs_simulator.fleet_instances import InstanceSpec

_UPDATES = "/var/lib/updates"
_PACKAGE_MANAGER = tuple(f"/usr/local/bin/{name}" for name in ("dnf", "needs-restarting", "rpm"))
CLOCK_SKEW = "/run/clock-skew"

# For a machine without a package manager: in an earlier version of the fleet file it may have had one.
WITHOUT = f"[ ! -e {_UPDATES} ] || rm -rf {_UPDATES} {' '.join(_PACKAGE_MANAGER)}"


def stand_ins(spec: InstanceSpec) -> dict[str, bytes]:
    """Files by path; written at each boot, so that they follow the simulator's version and the fleet file."""
    shutdown = _program("shutdown")
    found = {f"/usr/local/sbin/{name}": shutdown for name in ("shutdown", "reboot", "poweroff", "halt")}
    found["/usr/local/bin/date"] = _program("date")
    if spec.dnf:
        found |= {path: _program(path.rpartition("/")[2]) for path in _PACKAGE_MANAGER}
        found[f"{_UPDATES}/declared"] = _declared(spec)
    return found


def _program(name: str) -> bytes:
    return (resources.files("ecs_simulator.machines.namespace") / "programs" / name).read_bytes()


def _declared(spec: InstanceSpec) -> bytes:
    lines = [
        f"{update.name} {update.from_version} {update.to_version} {str(update.restart).lower()} {update.fails} "
        f"{str(update.security).lower()}\n"
        for update in spec.updates
    ]
    return "".join(lines).encode()
