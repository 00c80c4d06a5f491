# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets faults happen: at once, or when the audit log has the event that they wait for."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict

from ecs_simulator.audit import Audit
from ecs_simulator.cloud.faults import Faults
from ecs_simulator.cloud.host import Host
from ecs_simulator.fleet_faults import Fault


class FaultRefused(Exception):
    """There is nothing that the fault could hit; the text is one sentence."""


class Injection:
    """The faults of a cloud's hosts."""

    def __init__(self, hosts: Mapping[str, Host], audit: Audit, release: Callable[[Host], None]) -> None:
        self._hosts = hosts
        self._release = release
        self._audit = audit
        self._faults = Faults()
        self._firing: set[asyncio.Task[None]] = set()

    async def start(self, faults: Iterable[Fault]) -> None:
        """Begin to listen; what happened before sets nothing off."""
        self._audit.on_machine = self._happened
        for fault in faults:
            with contextlib.suppress(FaultRefused):
                await self.add(fault)

    def close(self) -> None:
        self._audit.on_machine = lambda instance_id, event, text: None
        for firing in self._firing:
            firing.cancel()

    async def add(self, fault: Fault) -> None:
        """Let a fault happen: now, in which case it has happened on return, or after its event.

        Raises :class:`FaultRefused` when that is now and impossible.
        """
        if fault.after:
            self._faults.add(fault)
        else:
            await self._fire(fault)

    def _happened(self, instance_id: str, event: str, text: str) -> None:
        for fault in self._faults.due(instance_id, event, text):
            # Not in the middle of what set it off.
            firing = asyncio.ensure_future(self._fire_if_possible(fault))
            self._firing.add(firing)
            firing.add_done_callback(self._firing.discard)

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
    if fault.name == "power_loss" and not host.up:
        return f"{spec.name} ({spec.id}) is not up, so there is no power to lose"
    if fault.name == "agent_killed" and not host.agent:
        return f"{spec.name} ({spec.id}) has no running agent to kill"
    return ""
