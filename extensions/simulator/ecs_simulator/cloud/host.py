# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance with its machine and agent, and the power switch that keeps the three in step."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ecs_simulator.agent.agent import Agent, Reports
from ecs_simulator.audit import Audit
from ecs_simulator.clock import Clock
from ecs_simulator.cloud.instance import Instance
from ecs_simulator.fleet import Settings
from ecs_simulator.ids import Ids
from ecs_simulator.machines.base import Machine, MachineGone, PowerAction


class Host:
    """Takes an instance up and down, whether the API or the guest asks for it.

    ``on_agent_up`` is called with the host when its agent has come up.
    """

    def __init__(
        self,
        instance: Instance,
        machine: Machine,
        *,
        clock: Clock,
        ids: Ids,
        audit: Audit,
        reports: Reports,
        settings: Settings,
    ) -> None:
        self.instance = instance
        self.machine = machine
        self.agent: Agent | None = None
        self.on_agent_up: Callable[[Host], None] = lambda host: None
        self._clock = clock
        self._ids = ids
        self._audit = audit
        self._reports = reports
        self._settings = settings
        self._agent_wanted = instance.spec.agent.running
        self._up = False
        self._asked: _Asked | None = None
        """What the API wants done to the machine while it is still up."""
        self._booting: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None
        machine.on_going_down = self._end_agent
        machine.on_down = self._went_down
        machine.on_syslog = self._syslog

    async def power_on(self) -> None:
        """Boot the machine now and start its agent."""
        await self.machine.boot(str(self._ids.uuid()))
        self._up = True
        self.instance.status = "Running"
        self._audit.machine(self.instance.id, "boot", boot_id=self.machine.boot_id)
        if self._agent_wanted:
            self._start_agent()

    def start(self) -> None:
        """StartInstances: up after the boot time."""
        self.instance.status = "Starting"
        self._boot_later(show_status=True)

    def restart(self, *, force: bool) -> None:
        """RebootInstances: through the guest, or by a power cut."""
        self._take_down(_Asked(PowerAction.RESTART, force))

    def stop(self, *, force: bool) -> None:
        """StopInstances."""
        self._take_down(_Asked(PowerAction.POWER_OFF, force))

    async def close(self) -> None:
        """The simulator ends: end everything without a trace in the records."""
        for task in (self._booting, self._asking):
            if task:
                task.cancel()
        self.machine.on_going_down = lambda: None
        self.machine.on_down = lambda action: None
        if self.agent:
            self.agent.end()
            self.agent = None
        await self.machine.cut_power()

    def _start_agent(self) -> None:
        self.agent = Agent(
            self.machine, self.instance.spec.os, self._clock, self._reports, self._settings.output_quota_bytes
        )
        self._audit.machine(self.instance.id, "agent_up")
        self.on_agent_up(self)

    def _end_agent(self) -> None:
        if self.agent:
            self.agent.end()
            self.agent = None
            self._audit.machine(self.instance.id, "agent_down")

    def _take_down(self, asked: "_Asked") -> None:
        self.instance.status = "Stopping"
        self._asked = asked
        if self._up:
            down = self.machine.cut_power() if asked.force else self.machine.shut_down(asked.action)
            self._asking = asyncio.ensure_future(_until_gone(down))
        else:
            # It is between two boots: a second restart is a second restart.
            self._went_down(asked.action)

    def _went_down(self, action: PowerAction) -> None:
        """The machine is down, for whatever reason."""
        self._up = False
        self._end_agent()
        asked, self._asked = self._asked, None
        cause = "guest"
        if asked:
            action, cause = asked.action, "api_forced" if asked.force else "api"
        self._audit.machine(self.instance.id, "shutdown", cause=cause, action=action.value)
        if action is PowerAction.RESTART:
            show_status = asked is not None or self._settings.guest_restart_shows_in_status
            if show_status:
                self.instance.status = "Starting"
            self._boot_later(show_status=show_status)
        else:
            if self._booting:
                self._booting.cancel()
            self.instance.status = "Stopped"

    def _boot_later(self, *, show_status: bool) -> None:
        if self._booting:
            self._booting.cancel()
        self._booting = asyncio.ensure_future(self._boot_after_delay(show_status=show_status))

    async def _boot_after_delay(self, *, show_status: bool) -> None:
        await self._clock.sleep(self.instance.spec.boot_s)
        if show_status:
            self.instance.started = self._clock.time()
        await self.power_on()

    def _syslog(self, message: str) -> None:
        # "<13>Nov 22 01:02:03 tag: text": only what the program itself wrote is of interest.
        text = message.split(">", 1)[-1].rstrip("\n\0")
        self._audit.machine(self.instance.id, "syslog", text=text[16:] if text[3:4] == " " else text)


@dataclass(frozen=True)
class _Asked:
    action: PowerAction
    force: bool


async def _until_gone(down: Awaitable[None]) -> None:
    with contextlib.suppress(MachineGone):  # it was going down by itself: just as well
        await down
