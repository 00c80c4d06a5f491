# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets faults of hosts happen: at once, or when the audit log has the event that they wait for.

Those of requests wait in the same queue, for the gateway.
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict

from ecs_simulator.audit import Audit
from ecs_simulator.cloud.faults import Faults
from ecs_simulator.cloud.host import Host
from ecs_simulator.cloud.later import Later
from ecs_simulator.fleet_faults import AnyFault, Fault
from ecs_simulator.fleet_request_faults import RequestFault

# More than the agent delivers and more than the service keeps (12,000 bytes, 24 KB).
_FLOOD = b"".join(b"line %05d of what nobody wants to read\n" % number for number in range(1000))

_NOT_ON_NSPAWN = {"clock_skew": "clock of its own", "disk_full": "disk that can be filled"}


class FaultRefused(Exception):
    """There is nothing that the fault could hit; the text is one sentence."""


class Injection:
    """The faults of a cloud."""

    def __init__(self, hosts: Mapping[str, Host], audit: Audit, release: Callable[[Host], None]) -> None:
        self._hosts = hosts
        self._release = release
        self._audit = audit
        self.queue = Faults()
        self._firing = Later()

    async def start(self, faults: Iterable[AnyFault]) -> None:
        """Begin to listen; what happened before sets nothing off."""
        self._audit.on_machine = self._happened
        for fault in faults:
            with contextlib.suppress(FaultRefused):
                await self.add(fault)

    def close(self) -> None:
        self._audit.on_machine = lambda instance_id, event, text: None
        self._firing.cancel()

    async def add(self, fault: AnyFault) -> int | None:
        """Let a fault happen: now, in which case it has happened on return, or when it is due; then it has a number.

        Raises :class:`FaultRefused` when that is now and impossible.
        """
        if isinstance(fault, RequestFault) or fault.after:
            return self.queue.add(fault)
        await self._fire(fault)
        return None

    def _happened(self, instance_id: str, event: str, text: str) -> None:
        for fault in self.queue.due(instance_id, event, text):
            # Not in the middle of what set it off.
            self._firing.start(self._fire_if_possible(fault))

    async def _fire_if_possible(self, fault: Fault) -> None:
        with contextlib.suppress(FaultRefused):
            await self._fire(fault)

    async def _fire(self, fault: Fault) -> None:
        host = self._hosts.get(fault.instance_id)
        refusal = _refusal(host, fault) if host else f"{fault.instance_id} has been released"
        more = {"refused": refusal} if refusal else {}
        after = asdict(fault.after) if fault.after else None
        self._audit.fault(fault.instance_id, fault.name, after=after, seconds=fault.seconds, **more)
        if refusal or not host:
            raise FaultRefused(refusal)
        match fault.name:
            case "agent_killed":
                host.kill_agent(fault.seconds)
            case "agent_offline":
                host.go_offline(fault.seconds)
            case "boot_slow" | "boot_stuck" | "boot_twice" | "boot_without_agent":
                host.next_boot.arm(fault.name, fault.seconds)
            case "clock_skew":
                await host.machine.set_clock(round(fault.seconds or 0))
            case "disk_full":
                await host.fill_disk(fault.seconds)
            case "output_flood":
                host.machine.make_noise(_FLOOD)
            case "heartbeat_slow":
                host.slow_heartbeat(fault.seconds or 0.0)
            case "instance_released":
                self._release(host)
            case "power_loss":
                await host.lose_power()
            case "report_lost":
                host.line.lose_report()


def _refusal(host: Host, fault: Fault) -> str:
    spec = host.instance.spec
    if fault.name == "clock_skew" and host.machine.kind == "scripted":
        return f"{spec.name} ({spec.id}) is a scripted machine, which has no clock of its own"
    if fault.name in _NOT_ON_NSPAWN and host.machine.kind == "nspawn":
        return f"{spec.name} ({spec.id}) is an nspawn machine, which has no {_NOT_ON_NSPAWN[fault.name]}"
    if fault.name == "power_loss" and not host.up:
        return f"{spec.name} ({spec.id}) is not up, so there is no power to lose"
    if fault.name == "agent_killed" and not host.agent:
        return f"{spec.name} ({spec.id}) has no running agent to kill"
    return ""
