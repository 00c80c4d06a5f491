# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulator for programs without asyncio, such as the tests of a program that uses an SDK."""

import asyncio
import concurrent.futures
import json
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from ecs_simulator.clock import ManualClock
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.injection import FaultRefused
from ecs_simulator.errors import FleetError, SimulatorError
from ecs_simulator.fleet import Fleet, load_fleet, parse_fleet
from ecs_simulator.fleet_reader import did_you_mean
from ecs_simulator.gateway.known_actions import read_fault
from ecs_simulator.simulator import Endpoint, Simulator
from ecs_simulator.state import TemporaryFolder

T = TypeVar("T")

DEMO_KEY = {"id": "demo", "secret": "demo-secret"}


class BackgroundSimulator:
    """Serves a fleet from a thread of its own, on a free port, for as long as the ``with`` block runs.

    ``fleet`` is what a fleet file holds, as a mapping (``access_keys`` may be left out), or the file's path.
    ``machine`` is the kind of every Linux machine, as on the command line. Everything that is written goes with the
    block, but for what is in ``state_dir``.
    """

    def __init__(
        self, fleet: Fleet | dict[str, Any] | str | Path, *, machine: str | None = None, state_dir: Path | None = None
    ) -> None:
        self._fleet = _fleet(fleet)
        self._machine = machine
        self._state_dir = state_dir
        self._started: concurrent.futures.Future[Endpoint] = concurrent.futures.Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="ecs-simulator", daemon=True)

    def __enter__(self) -> "BackgroundSimulator":
        self._folder = TemporaryFolder()
        self._audit_log = self._folder.path / "audit.jsonl"
        self._thread.start()
        try:
            self.endpoint: Endpoint = self._started.result()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._end()

    @property
    def url(self) -> str:
        """Where it serves: ``http://127.0.0.1:PORT``."""
        return self.endpoint.ecs_endpoint

    def environment(self) -> dict[str, str]:
        """The variables with which a program finds it."""
        return self.endpoint.environment()

    def instance_id(self, name: str) -> str:
        """The id of the instance with that name."""
        names = self._call(self._names())
        found = [id_ for id_, known in names.items() if known == name]
        if len(found) != 1:
            raise FleetError(f"{len(found)} instances have the name {name!r}{did_you_mean(name, names.values())}")
        return found[0]

    def fault(self, instance: str | None = None, fault: str | None = None, **more: Any) -> None:
        """Let something go wrong: the keys are those of a fault in the fleet file, or an instance in place of ``on``.

        So ``fault("web-1", "power_loss")`` and ``fault(on={"action": "RunCommand"}, fault="throttle")``. A fault of an
        instance without ``after`` has happened on return. What is wrong or impossible is a ``ValueError`` with a
        sentence.
        """
        named = {"instance": instance, "fault": fault}
        document = {**{key: value for key, value in named.items() if value is not None}, **more}
        try:
            self._call(self._add_fault(document))
        except FaultRefused as error:
            raise ValueError(str(error)) from error

    def advance(self, seconds: float) -> None:
        """Move the clock of a fleet with ``clock: virtual``; all that was due has happened on return."""
        clock = self._cloud().clock
        if not isinstance(clock, ManualClock):
            raise SimulatorError("this clock moves by itself: give the fleet the key clock: virtual")
        self._call(clock.advance(seconds))

    def audit(self, kind: str = "", **wanted: Any) -> list[dict[str, Any]]:
        """The audit log: all of it, or what is of a kind (api, machine, fault) and has these values."""
        wanted |= {"kind": kind} if kind else {}
        lines = [json.loads(line) for line in self._audit_log.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if wanted.items() <= line.items()] if wanted else lines

    def client(self) -> Any:
        """A client of Alibaba's SDK for Python, where that is installed."""
        try:
            from alibabacloud_ecs20140526.client import Client
            from alibabacloud_tea_openapi.models import Config
        except ImportError as error:
            raise SimulatorError("client() needs Alibaba's SDK: pip install alibabacloud_ecs20140526") from error
        return Client(
            Config(
                access_key_id=self.endpoint.access_key_id,
                access_key_secret=self.endpoint.access_key_secret,
                region_id=self.endpoint.region_id,
                endpoint=self.url.removeprefix("http://"),
                protocol="http",
            )
        )

    async def _serve(self) -> None:
        simulator: Simulator | None = None
        try:
            self._loop = asyncio.get_running_loop()
            self._stop = asyncio.Event()
            simulator = self._simulator = Simulator(
                self._fleet,
                state_dir=self._state_dir or self._folder.path / "state",
                audit_log=self._audit_log,
                machine=self._machine,
            )
            endpoint = await simulator.start()
        except BaseException as error:
            if simulator:
                await simulator.close()
            self._started.set_exception(error)
            return
        self._started.set_result(endpoint)
        await self._stop.wait()
        await simulator.close()

    def _end(self) -> None:
        self._thread.join()
        self._folder.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _cloud(self) -> Cloud:
        assert self._simulator.cloud
        return self._simulator.cloud

    async def _names(self) -> dict[str, str]:
        return self._cloud().names()

    async def _add_fault(self, document: dict[str, Any]) -> None:
        await self._cloud().faults.add(read_fault(document, self._cloud().names()))


def _fleet(fleet: Fleet | dict[str, Any] | str | Path) -> Fleet:
    if isinstance(fleet, Fleet):
        return fleet
    if isinstance(fleet, dict):
        return parse_fleet({"access_keys": [DEMO_KEY], **fleet})
    return load_fleet(Path(fleet))
