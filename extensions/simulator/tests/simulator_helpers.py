# SPDX-License-Identifier: GPL-3.0-or-later
"""What the simulator's tests share: fleets, running simulators, and the real SDK as the client."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.models import Config
from ecs_simulator.fleet import Fleet, parse_fleet
from ecs_simulator.machines.nspawn import rootfs
from ecs_simulator.simulator import Endpoint, Simulator

REGION = "cn-hangzhou"
# Where `make simulator-rootfs` puts it.
ROOTFS = rootfs.find(None) or Path(__file__).parents[3] / ".ansible" / "rootfs"


def make_fleet(*instances: dict[str, Any], **more: Any) -> Fleet:
    """A fleet of one region and the key demo/demo-secret."""
    return parse_fleet(
        {
            "access_keys": [{"id": "demo", "secret": "demo-secret"}],
            "regions": {REGION: {"instances": list(instances)}},
            **more,
        }
    )


class Caller:
    """The real SDK against a simulator, from an asyncio test."""

    endpoint: Endpoint

    def __init__(self, simulator: Simulator | None, url: str, audit_log: Path, secret: str = "demo-secret") -> None:
        self.simulator = simulator
        self.url = url
        self._audit_log = audit_log
        self._client = Client(
            Config(access_key_id="demo", access_key_secret=secret, endpoint=url.split("//")[1], protocol="http")
        )

    async def __call__(self, action: str, **parameters: Any) -> dict[str, Any]:
        """Call an action by its API name; returns the answer as the API wrote it."""
        method = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in action).lstrip("_")
        request = getattr(models, f"{action}Request")(**parameters)
        response = await asyncio.to_thread(getattr(self._client, method), request)
        body: dict[str, Any] = response.body.to_map()
        return body

    async def run(self, script: str, *instance_ids: str, **more: Any) -> str:
        """RunCommand; returns the invocation's id."""
        answer = await self(
            "RunCommand",
            region_id=REGION,
            type="RunShellScript",
            command_content=script,
            instance_id=list(instance_ids),
            **{"timeout": 60, **more},
        )
        invoke_id: str = answer["InvokeId"]
        return invoke_id

    async def result(self, invoke_id: str, instance_id: str) -> dict[str, Any]:
        """The result of a command once it is final."""

        async def look() -> dict[str, Any] | None:
            row = await self.row(invoke_id, instance_id)
            return row if row["InvocationStatus"] not in ("Pending", "Running", "Stopping") else None

        return await until(look)

    async def row(self, invoke_id: str, instance_id: str) -> dict[str, Any]:
        """The result of a command as it is now."""
        answer = await self(
            "DescribeInvocationResults",
            region_id=REGION,
            invoke_id=invoke_id,
            instance_id=instance_id,
            content_encoding="PlainText",
        )
        row: dict[str, Any] = answer["Invocation"]["InvocationResults"]["InvocationResult"][0]
        return row

    async def post_fault(self, body: dict[str, Any] | str) -> tuple[int, dict[str, Any]]:
        """Ask the simulator for a fault; HTTP status and answer."""
        data = body if isinstance(body, str) else json.dumps(body)
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/_simulator/faults", data=data) as answer,
        ):
            return answer.status, await answer.json()

    async def fault(self, fault: str, **more: Any) -> None:
        """Let something go wrong on web-01."""
        assert await self.post_fault({"instance": "web-01", "fault": fault, **more}) == (200, {})

    def faults(self) -> list[tuple[str, str | None]]:
        """The faults of the audit log, and why one was refused."""
        lines = [json.loads(line) for line in self._audit_log.read_text(encoding="utf-8").splitlines()]
        return [(line["fault"], line.get("refused")) for line in lines if line["kind"] == "fault"]

    async def happened(self, name: str, times: int = 1) -> dict[str, Any]:
        """The machine event of that name once it is in the audit log, the last of so many."""

        async def look() -> list[dict[str, Any]]:
            return self.events(name)[times - 1 : times]

        event: dict[str, Any] = (await until(look))[0]
        return event

    def events(self, *names: str) -> list[dict[str, Any]]:
        """The machine events of the audit log, all or those named."""
        lines = [json.loads(line) for line in self._audit_log.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if line["kind"] == "machine" and (not names or line["event"] in names)]

    def requests(self, action: str) -> list[dict[str, Any]]:
        """The requests of an action in the audit log."""
        lines = [json.loads(line) for line in self._audit_log.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if line["kind"] == "api" and line["action"] == action]


async def refused(call: Caller, action: str, **parameters: Any) -> tuple[int, str]:
    """Status and code of the error that an action answers with; it always has a request id."""
    with pytest.raises(AlibabaCloudException) as caught:
        await call(action, **parameters)
    assert len(caught.value.request_id) == 36
    return caught.value.status_code, caught.value.code


async def refused_here(call: Caller, action: str, **parameters: Any) -> tuple[int, str]:
    """The same in the region of the tests."""
    return await refused(call, action, region_id=REGION, **parameters)


async def until(look: Callable[[], Awaitable[Any]], seconds: float = 30.0) -> Any:
    """Look until there is something to see."""
    async with asyncio.timeout(seconds):
        while not (seen := await look()):
            await asyncio.sleep(0.02)
        return seen


@asynccontextmanager
async def serving(fleet: Fleet, folder: Path, **more: Any) -> AsyncIterator[Caller]:
    """A simulator that serves a fleet, and a caller for it."""
    audit_log = folder / "audit.jsonl"
    simulator = Simulator(fleet, state_dir=folder / "state", audit_log=audit_log, **more)
    endpoint = await simulator.start()
    try:
        caller = Caller(simulator, endpoint.ecs_endpoint, audit_log)
        caller.endpoint = endpoint
        yield caller
    finally:
        await simulator.close()
