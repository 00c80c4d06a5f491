# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance with its machine and agent, and the power switch that keeps the three in step."""

import asyncio
import contextlib
import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from ecs_simulator.agent.agent import POWER_COMMANDS, Agent, Reports
from ecs_simulator.agent.line import Line
from ecs_simulator.audit import Audit
from ecs_simulator.clock import Clock
from ecs_simulator.cloud.agent_versions import EXIT_CODES, is_older, missing_version, newest_version
from ecs_simulator.cloud.instance import Instance
from ecs_simulator.cloud.next_boot import NextBoot
from ecs_simulator.fleet_settings import Settings
from ecs_simulator.ids import Ids
from ecs_simulator.machines.base import Machine, MachineGone, PowerAction


class Fetch(enum.Enum):
    """Why an agent asks the service for its tasks."""

    COLD_START = "the first agent of this boot has started"
    START = "the agent has started again"
    RECONNECTED = "the agent reaches the service again"


class Host:
    """Takes an instance up and down, whether the API, the guest or a fault asks for it.

    ``on_fetch`` is called with the host when its agent asks for tasks, ``on_agent_down`` when it is gone.
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
        self.line = Line()
        self.next_boot = NextBoot()
        self.on_fetch: Callable[[Host, Fetch], None] = lambda host, reason: None
        self.on_agent_down: Callable[[Host], None] = lambda host: None
        self._clock = clock
        self._ids = ids
        self._audit = audit
        self._reports = reports
        self._settings = settings
        self._agent_wanted = instance.spec.agent.running
        self._agent_version = instance.spec.agent.version
        """The version that is installed: that of the next agent to start."""
        self._fetch_reason = Fetch.COLD_START
        self._cold = True
        """No agent has run on this boot yet."""
        self.up = False
        self.down_cause = ""
        """Why the machine went down last."""
        self._asked: _Asked | None = None
        """What is done to the machine from outside while it is still up."""
        self._booting: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._freeing: asyncio.Task[None] | None = None
        self._again: asyncio.Task[None] | None = None
        self._reviving: asyncio.Task[None] | None = None
        self._reconnecting: asyncio.Task[None] | None = None
        machine.on_going_down = self._end_agent
        machine.on_down = self._went_down
        machine.on_syslog = self._syslog
        machine.on_agent_up = self._start_agent
        machine.on_agent_down = self._let_agent_go

    @property
    def online(self) -> bool:
        """Whether the service reaches the agent."""
        return self.agent is not None and self.line.up

    async def power_on(self, *, with_agent: bool = True) -> None:
        """Boot the machine now and start its agent."""
        agent_runs = await self.machine.boot(str(self._ids.uuid()), with_agent=self._agent_wanted and with_agent)
        self.up = self._cold = True
        self.instance.status = "Running"
        self._audit.machine(self.instance.id, "boot", boot_id=self.machine.boot_id)
        if agent_runs:
            self._start_agent()

    def start(self) -> None:
        """StartInstances: up after the boot time."""
        self.instance.status = "Starting"
        self._boot_later(show_status=True)

    def create(self) -> None:
        """RunInstances: up for the first time after the boot time."""
        self.instance.status = "Pending"
        self._audit.machine(self.instance.id, "created")
        self._boot_later(show_status=True)

    def restart(self, *, force: bool) -> None:
        """RebootInstances: through the guest, or by a power cut."""
        self._take_down(PowerAction.RESTART, "api_forced" if force else "api", force)

    def stop(self, *, force: bool) -> None:
        """StopInstances."""
        self._take_down(PowerAction.POWER_OFF, "api_forced" if force else "api", force)

    def maintain(self, action: PowerAction) -> None:
        """A system event takes the instance down, whatever its guest does."""
        self._take_down(action, "system_event", force=True)

    async def stopped(self) -> None:
        """Return once what was asked last has taken the machine down."""
        if self._asking:
            await self._asking

    async def discard(self) -> None:
        """The instance is released: its machine and the machine's files are gone."""
        await self.close()
        await self.machine.discard()
        self._audit.machine(self.instance.id, "released")

    async def lose_power(self) -> None:
        """The machine is dead at once, and comes back by itself, unless it was being stopped."""
        ordinary = _Asked(PowerAction.RESTART, "", self._settings.guest_restart_shows_in_status)
        self._asked = replace(self._asked or ordinary, cause="power_loss")
        await _until_gone(self.machine.cut_power())

    def install_agent(self) -> None:
        """InstallCloudAssistant: soon, or from the next start on, there is an agent and it is no old one."""
        newest = newest_version(self.instance.spec.os)
        old = is_older(self._agent_version, newest)
        if self._agent_wanted and not old:
            return
        self._agent_wanted = True
        self._agent_version = newest if old else self._agent_version
        if self.up and not self._settings.install_agent_needs_restart:
            _cancel(self._reviving)
            self._reviving = asyncio.ensure_future(self._revive(self._settings.install_agent_s))

    def kill_agent(self, seconds: float | None = None) -> None:
        """SIGKILL to the agent: its scripts live on, and its service starts it again after a while."""
        self.machine.kill_agent()
        self._end_agent()
        pause = self._settings.agent_restart_s if seconds is None else seconds
        self._reviving = asyncio.ensure_future(self._revive(pause))

    async def fill_disk(self, seconds: float | None = None) -> None:
        """The machine's disk is full: for that long, or for good."""
        _cancel(self._freeing)
        await self.machine.fill_disk(full=True)
        if seconds is not None:
            self._freeing = asyncio.ensure_future(self._free_disk(seconds))

    def slow_heartbeat(self, seconds: float) -> None:
        """From now on the agent says that it lives so many seconds apart."""
        self.line.heartbeat_s = seconds
        if self.agent:
            self.agent.beat_anew()

    def go_offline(self, seconds: float | None = None) -> None:
        """Cut the line between agent and service: for that long, or for good."""
        self.line.up = False
        self._audit.machine(self.instance.id, "agent_offline")
        _cancel(self._reconnecting)
        if seconds is not None:
            self._reconnecting = asyncio.ensure_future(self._reconnect(seconds))

    async def close(self) -> None:
        """The simulator ends: end everything without a trace in the records."""
        for task in (self._booting, self._asking, self._again, self._freeing, self._reviving, self._reconnecting):
            _cancel(task)
        self.machine.on_going_down = self.machine.on_agent_up = self.machine.on_agent_down = lambda: None
        self.machine.on_down = lambda action: None
        if self.agent:
            self.agent.end()
            self.agent = None
        await self.machine.cut_power()

    def _start_agent(self) -> None:
        _cancel(self._reviving)
        self._let_agent_go()  # a newer one takes its place
        spec = self.instance.spec
        if self._agent_version != spec.agent.version:
            spec = self.instance.spec = replace(spec, agent=replace(spec.agent, version=self._agent_version))
        too_old = missing_version(spec.os, spec.agent.version, [EXIT_CODES])
        power_commands = {} if too_old else POWER_COMMANDS[spec.os]
        self.agent = Agent(self.machine, power_commands, self._clock, self._reports, self.line, self._settings)
        self._audit.machine(self.instance.id, "agent_up")
        self._fetch_reason = Fetch.COLD_START if self._cold else Fetch.START
        self._cold = False
        self._fetch()

    def _fetch(self) -> None:
        if self.online:
            reason, self._fetch_reason = self._fetch_reason, Fetch.RECONNECTED
            self.on_fetch(self, reason)

    def _end_agent(self) -> None:
        _cancel(self._reviving)
        self._let_agent_go()

    def _let_agent_go(self) -> None:
        if self.agent:
            self.agent.end()
            self.agent = None
            self._audit.machine(self.instance.id, "agent_down")
            self.on_agent_down(self)

    async def _revive(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._reviving = None
        await self.machine.start_agent()

    async def _reconnect(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self.line.up = True
        self._audit.machine(self.instance.id, "agent_online")
        self._fetch()

    async def _free_disk(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        await self.machine.fill_disk(full=False)

    def _take_down(self, action: PowerAction, cause: str, force: bool) -> None:
        self.instance.status = "Stopping"
        self._asked = _Asked(action, cause, shows=True)
        if self.up:
            down = self.machine.cut_power() if force else self.machine.shut_down(action)
            self._asking = asyncio.ensure_future(_until_gone(down))
        else:
            # It is between two boots: a second restart is a second restart.
            self._went_down(action)

    def _went_down(self, action: PowerAction) -> None:
        """The machine is down, for whatever reason."""
        self.up = False
        self._end_agent()
        asked = self._asked or _Asked(action, "guest", self._settings.guest_restart_shows_in_status)
        self._asked = None
        self.down_cause = asked.cause
        self._audit.machine(self.instance.id, "shutdown", cause=asked.cause, action=asked.action.value)
        if asked.action is PowerAction.RESTART:
            if asked.shows:
                self.instance.status = "Starting"
            self._boot_later(show_status=asked.shows)
        else:
            _cancel(self._booting)
            self.instance.status = "Stopped"

    def _boot_later(self, *, show_status: bool) -> None:
        _cancel(self._booting)
        self._booting = asyncio.ensure_future(self._boot_after_delay(show_status=show_status))

    async def _boot_after_delay(self, *, show_status: bool) -> None:
        wrong, self.next_boot = self.next_boot, NextBoot()
        await self._clock.sleep(self.instance.spec.boot_s + wrong.late_s)
        if show_status:
            self.instance.started = self._clock.time()
        if wrong.stuck:
            self.instance.status = "Running"
            self._audit.machine(self.instance.id, "boot_stuck")
            return
        await self.power_on(with_agent=not wrong.without_agent)
        if wrong.again_after_s is not None:
            self._again = asyncio.ensure_future(self._restart_again(wrong.again_after_s))

    async def _restart_again(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        if self.up and not self._asked:
            self._asked = _Asked(PowerAction.RESTART, "boot_twice", self._settings.guest_restart_shows_in_status)
            await _until_gone(self.machine.shut_down(PowerAction.RESTART))

    def _syslog(self, message: str) -> None:
        # "<13>Nov 22 01:02:03 tag: text": only what the program itself wrote is of interest.
        text = message.split(">", 1)[-1].rstrip("\n\0")
        self._audit.machine(self.instance.id, "syslog", text=text[16:] if text[3:4] == " " else text)


@dataclass(frozen=True)
class _Asked:
    action: PowerAction
    cause: str
    shows: bool
    """Whether the instance's status tells."""


def _cancel(task: asyncio.Task[None] | None) -> None:
    if task:
        task.cancel()


async def _until_gone(down: Awaitable[None]) -> None:
    with contextlib.suppress(MachineGone):  # it was going down by itself: just as well
        await down
