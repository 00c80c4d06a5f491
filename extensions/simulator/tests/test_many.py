# SPDX-License-Identifier: GPL-3.0-or-later
"""A large fleet and an hour of its time: what comes out, not how long it takes (see tests/bench/simulator.py)."""

from collections import Counter
from pathlib import Path
from typing import Any

from ecs_simulator.clock import ManualClock
from simulator_helpers import REGION, Caller, make_fleet, serving

COUNT = 2000
ANSWERS = [
    {"match": "work", "exit_code": 194, "seconds": 1200, "output": "restarting\n", "times": 1},
    {"match": "work", "seconds": 600, "output": "done on {hostname}\n"},
    {"match": "stuck", "seconds": 86_400},
]


async def pages(call: Caller, action: str, size: int, *path: str, **more: Any) -> list[dict[str, Any]]:
    """All rows of an action that answers in pages; ``path`` leads to them."""
    rows: list[dict[str, Any]] = []
    token = ""
    while True:
        body = await call(action, region_id=REGION, max_results=size, next_token=token, **more)
        for step in path[:-2]:
            body = body[step]
        rows += body[path[-2]][path[-1]]
        token = body["NextToken"]
        if not token:
            return rows


async def test_two_thousand_instances_live_for_an_hour(tmp_path: Path) -> None:
    fleet = make_fleet({"name": "web-{n:04d}", "count": COUNT, "answers": ANSWERS}, clock="virtual")
    async with serving(fleet, tmp_path, machine="scripted") as call:
        assert call.simulator
        assert call.simulator.cloud
        clock = call.simulator.cloud.clock
        assert isinstance(clock, ManualClock)
        rows = await pages(call, "DescribeInstances", 100, "Instances", "Instance")
        ids = [row["InstanceId"] for row in rows]
        assert len(set(ids)) == COUNT

        async def run(script: str) -> list[dict[str, Any]]:
            """Let all run a script for twenty minutes and more, and read every result."""
            batches = [ids[start : start + 100] for start in range(0, COUNT, 100)]
            invocations = [await call.run(script, *batch, timeout=1500) for batch in batches]
            await clock.advance(1800)
            path = ("Invocation", "InvocationResults", "InvocationResult")
            return [
                row
                for invoke_id in invocations
                for row in await pages(
                    call, "DescribeInvocationResults", 50, *path, invoke_id=invoke_id, content_encoding="PlainText"
                )
            ]

        first = await run("work")
        assert Counter((row["InvocationStatus"], row["ExitCode"]) for row in first) == {("Failed", 194): COUNT}
        second = await run("work")
        assert Counter(row["InvocationStatus"] for row in second) == {"Success": COUNT}
        assert len({row["Output"] for row in second}) == COUNT
        third = await run("stuck")
        assert Counter(row["InvocationStatus"] for row in third) == {"Timeout": COUNT}
        boots = Counter(event["instance_id"] for event in call.events("boot"))
        assert boots == dict.fromkeys(ids, 2)
        path = ("InstanceCloudAssistantStatusSet", "InstanceCloudAssistantStatus")
        agents = await pages(call, "DescribeCloudAssistantStatus", 50, *path)
        assert {(row["CloudAssistantStatus"], row["InvocationCount"]) for row in agents} == {("true", 3)}
        assert len(agents) == COUNT
