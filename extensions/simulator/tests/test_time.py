# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleet time: a clock that outside clients move, and one that runs faster than the real one."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from ecs_simulator.clock import FastClock
from ecs_simulator.errors import FleetError, SimulatorError
from ecs_simulator.fleet import Fleet
from simulator_helpers import REGION, Caller, make_fleet, serving

ANSWERS = [{"match": "hour", "seconds": 3600, "output": "done\n"}, {"match": "day", "seconds": 86_400}]


def fleet(**more: Any) -> Fleet:
    return make_fleet({"name": "web-{n}", "count": 3, "machine": "scripted", "answers": ANSWERS}, **more)


async def clock(caller: Caller, body: Any = None) -> tuple[int, dict[str, Any]]:
    """Ask for the time, or move it."""
    url = f"{caller.url}/_simulator/clock"
    method = "GET" if body is None else "POST"
    async with aiohttp.ClientSession() as session, session.request(method, url, json=body) as answer:
        return answer.status, await answer.json()


async def moved(caller: Caller, seconds: float) -> float:
    """Advance the clock; by how much it says that it went on."""
    before = datetime.fromisoformat((await clock(caller))[1]["time"])
    status, answer = await clock(caller, {"advance": seconds})
    assert status == 200
    return (datetime.fromisoformat(answer["time"]) - before).total_seconds()


async def web(caller: Caller) -> list[str]:
    answer = await caller("DescribeInstances", region_id=REGION)
    return [row["InstanceId"] for row in answer["Instances"]["Instance"]]


async def test_a_virtual_clock_stands_still_until_it_is_moved(tmp_path: Path) -> None:
    async with serving(fleet(clock="virtual"), tmp_path) as caller:
        ids = await web(caller)
        invoke_id = await caller.run("an hour", *ids, timeout=7200)
        assert await moved(caller, 3599) == 3599
        assert (await caller.row(invoke_id, ids[0]))["InvocationStatus"] == "Running"
        assert await moved(caller, 1.5) == 1.5
        row = await caller.row(invoke_id, ids[0])
        assert (row["InvocationStatus"], row["Output"]) == ("Success", "done\n")
        started, finished = (datetime.fromisoformat(row[name]) for name in ("StartTime", "FinishedTime"))
        assert (finished - started).total_seconds() == 3600


async def test_what_happens_in_virtual_time_happens_in_the_same_order_each_time(tmp_path: Path) -> None:
    async def history(folder: Path) -> list[tuple[str, str]]:
        folder.mkdir()
        async with serving(fleet(clock="virtual"), folder) as caller:
            ids = await web(caller)
            for script in ("an hour", "a day", "nothing"):
                await caller.run(script, *ids, timeout=7200)
            await caller("RebootInstances", region_id=REGION, instance_id=ids[:1])
            await moved(caller, 90_000)
            return [(event["event"], event["instance_id"]) for event in caller.events()]

    first = await history(tmp_path / "1")
    assert len(first) > 20
    assert await history(tmp_path / "2") == first


async def test_advances_come_one_after_the_other(tmp_path: Path) -> None:
    async with serving(fleet(clock="virtual"), tmp_path) as caller:
        start = datetime.fromisoformat((await clock(caller))[1]["time"])
        answers = await asyncio.gather(*(clock(caller, {"advance": 10}) for _number in range(3)))
        times = sorted(datetime.fromisoformat(answer["time"]) for _status, answer in answers)
        assert [(time - start).total_seconds() for time in times] == [10, 20, 30]


async def test_a_simulator_ends_in_the_middle_of_an_advance(tmp_path: Path) -> None:
    async with serving(fleet(clock="virtual"), tmp_path) as caller:
        cloud = caller.simulator.cloud
        assert cloud
        on_its_way = asyncio.Event()

        async def beat_for_ever() -> None:
            while True:
                await cloud.clock.sleep(0.001)
                on_its_way.set()

        beating = asyncio.ensure_future(beat_for_ever())
        advancing = asyncio.ensure_future(clock(caller, {"advance": 31_000_000}))
        await on_its_way.wait()
    beating.cancel()
    await asyncio.gather(advancing, return_exceptions=True)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"advance": -1}, "advance must be at least 0 and at most 31622400 seconds, not -1"),
        ({"advance": 1e9}, "advance must be at least 0 and at most 31622400 seconds, not 1e+09"),
        ({"advance": "1h"}, "advance must be a number of seconds, and is text"),
        ({}, "advance is needed and missing"),
        ({"advance": 1, "by": 2}, "by is not a known key; did you mean 'advance'?"),
        ([], "the body must be a mapping, and is a list"),
    ],
)
async def test_a_wrong_advance_is_one_sentence(tmp_path: Path, body: Any, sentence: str) -> None:
    async with serving(fleet(clock="virtual"), tmp_path) as caller:
        assert await clock(caller, body) == (400, {"error": sentence})


async def test_another_clock_is_not_moved(tmp_path: Path) -> None:
    async with serving(fleet(), tmp_path) as caller:
        status, answer = await clock(caller, {"advance": 1})
        assert (status, answer["error"][:26]) == (400, "this clock moves by itself")


async def test_a_fast_clock_lets_a_day_pass_in_moments(tmp_path: Path) -> None:
    async with serving(fleet(speed=10_000), tmp_path) as caller:
        ids = await web(caller)
        assert caller.simulator.cloud
        sent = caller.simulator.cloud.clock.time()
        row = await caller.result(await caller.run("an hour", ids[0], timeout=7200), ids[0])
        assert row["InvocationStatus"] == "Success"
        # A hundredth of a second in which the test's computer is busy is 100 s.
        finished = datetime.fromisoformat(row["FinishedTime"]).timestamp()
        assert finished - sent >= 3599


async def test_a_fast_clock_is_as_fast_as_it_says() -> None:
    clock = FastClock(1000)
    before = clock.time()
    await clock.sleep(10)
    assert clock.time() - before >= 10


@pytest.mark.parametrize("other", [{"clock": "virtual"}, {"speed": 60}])
async def test_namespace_machines_live_in_real_time(tmp_path: Path, other: dict[str, Any]) -> None:
    fleet = make_fleet({"name": "web", "machine": "namespace"}, **other)
    with pytest.raises(SimulatorError, match="processes live in real time"):
        async with serving(fleet, tmp_path):
            pass


async def test_auto_is_scripted_on_another_clock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(make_fleet({"name": "web"}, speed=60), tmp_path) as caller:
        assert caller.simulator.cloud
        assert [host.machine.kind for host in caller.simulator.cloud.hosts.values()] == ["scripted"]
    assert "WARNING: no script will really run: processes live in real time" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"clock": "virtul"}, "clock must be one of real, virtual, not 'virtul'; did you mean 'virtual'?"),
        ({"speed": 0}, "speed must be above 0 and at most 10000, not 0"),
        ({"speed": float("nan")}, "speed must be above 0 and at most 10000, not nan"),
        ({"speed": 2, "clock": "virtual"}, "speed goes with clock: real, because a virtual clock stands still"),
    ],
)
def test_a_wrong_clock_is_one_sentence(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FleetError) as caught:
        fleet(**keys)
    assert str(caught.value) == sentence
