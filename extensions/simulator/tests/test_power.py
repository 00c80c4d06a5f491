# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting, stopping and restarting through the API, on scripted machines with a clock of their own."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from ecs_simulator.clock import ManualClock
from simulator_helpers import REGION, Caller, make_fleet, refused, serving

WEB, OFF = "i-bp1testweb000000001", "i-bp1testoff000000001"
LOCKED, UNPAID = "i-bp1testlocked000001", "i-bp1testunpaid000001"
ONE = ["RebootInstance", "StopInstance", "StartInstance"]
MANY = ["RebootInstances", "StopInstances", "StartInstances"]


@pytest.fixture
async def call(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Caller]:
    fleet = make_fleet(
        {"name": "web-01", "id": WEB, "boot_s": 10},
        {"name": "off-01", "id": OFF, "boot_s": 10, "status": "Stopped"},
        {"name": "locked-01", "id": LOCKED, "lock": "security"},
        {"name": "unpaid-01", "id": UNPAID, "lock": "financial"},
    )
    async with serving(fleet, tmp_path, machine="scripted", clock=clock) as caller:
        yield caller


async def shown(call: Caller, instance_id: str) -> tuple[str, str]:
    """An instance's status, and what it costs while it is stopped."""
    answer = await call("DescribeInstances", region_id=REGION, instance_ids=str([instance_id]))
    row = answer["Instances"]["Instance"][0]
    return row["Status"], row["StoppedMode"]


async def test_one_instance_is_stopped_started_and_restarted(call: Caller, clock: ManualClock) -> None:
    await call("StopInstance", instance_id=WEB, stopped_mode="StopCharging")
    await clock.advance(1)
    assert await shown(call, WEB) == ("Stopped", "StopCharging")
    await call("StartInstance", instance_id=WEB)
    assert (await shown(call, WEB))[0] == "Starting"
    await clock.advance(10)
    assert await shown(call, WEB) == ("Running", "Not-applicable")
    await call("RebootInstance", instance_id=WEB, force_stop=True)
    await clock.advance(10)
    assert (await shown(call, WEB))[0] == "Running"
    assert [event["cause"] for event in call.events("shutdown")] == ["api", "api_forced"]


async def test_forced_and_not_makes_a_difference_in_the_log(call: Caller, clock: ManualClock) -> None:
    await call("StopInstances", region_id=REGION, instance_id=[WEB], force_stop=True)
    await clock.advance(1)
    assert await shown(call, WEB) == ("Stopped", "KeepCharging")
    answer = await call("StartInstances", region_id=REGION, instance_id=[WEB, WEB])
    assert answer["InstanceResponses"]["InstanceResponse"] == [
        {
            "InstanceId": WEB,
            "Code": "200",
            "Message": "success",
            "PreviousStatus": "Stopped",
            "CurrentStatus": "Starting",
        }
    ]
    assert [(event["cause"], event["action"]) for event in call.events("shutdown")] == [("api_forced", "power_off")]


async def test_each_for_itself_says_what_became_of_each(call: Caller) -> None:
    answer = await call(
        "StopInstances",
        region_id=REGION,
        instance_id=[WEB, OFF, LOCKED, UNPAID, "i-nope"],
        batch_optimization="SuccessFirst",
    )
    rows = answer["InstanceResponses"]["InstanceResponse"]
    assert [(row["Code"], row.get("PreviousStatus"), row.get("CurrentStatus")) for row in rows] == [
        ("200", "Running", "Stopping"),
        ("IncorrectInstanceStatus", "Stopped", "Stopped"),
        ("InstanceLockedForSecurity", "Running", "Running"),
        ("200", "Running", "Stopping"),  # who does not pay may still stop
        ("InvalidInstanceId.NotFound", None, None),
    ]


@pytest.mark.parametrize("action", MANY)
@pytest.mark.parametrize("mode", ["AllTogether", "SuccessFirst"])
async def test_a_dry_run_of_many(call: Caller, action: str, mode: str) -> None:
    """All together says what it would refuse; each for itself always says that it would work (SDK docstring)."""
    asked = {"region_id": REGION, "dry_run": True, "batch_optimization": mode}
    fit = OFF if action == "StartInstances" else WEB
    assert await refused(call, action, instance_id=[fit], **asked) == (400, "DRYRUN.SUCCESS")
    code = await refused(call, action, instance_id=[fit, LOCKED], **asked)
    assert code == ((403, "InstanceLockedForSecurity") if mode == "AllTogether" else (400, "DRYRUN.SUCCESS"))
    assert call.events("shutdown") == []


@pytest.mark.parametrize("action", ONE)
async def test_a_dry_run_of_one(call: Caller, action: str) -> None:
    fit, unfit = (OFF, WEB) if action == "StartInstance" else (WEB, OFF)
    assert await refused(call, action, instance_id=fit, dry_run=True) == (400, "DryRunOperation")
    assert await refused(call, action, instance_id=unfit, dry_run=True) == (403, "IncorrectInstanceStatus")
    assert call.events("shutdown") == []


@pytest.mark.parametrize("action", ONE)
@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"instance_id": "i-nope"}, (404, "InvalidInstanceId.NotFound")),
        ({}, (400, "MissingParameter.InstanceId")),
        ({"instance_id": LOCKED}, (403, "InstanceLockedForSecurity")),
    ],
)
async def test_what_is_refused_for_one(call: Caller, action: str, asked: dict[str, Any], code: tuple[int, str]) -> None:
    assert await refused(call, action, **asked) == code


@pytest.mark.parametrize("action", MANY)
@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"instance_id": []}, "MissingParameter.InstanceId"),
        ({"instance_id": [f"i-{number}" for number in range(101)]}, "InvalidParameter.InstanceId"),
        ({"region_id": None, "instance_id": [WEB]}, "MissingParameter.RegionId"),
        ({"region_id": "mars-1", "instance_id": [WEB]}, "InvalidRegionId.NotFound"),
        ({"instance_id": [WEB], "batch_optimization": "Whatever"}, "InvalidParameter.BatchOptimization"),
    ],
)
async def test_what_is_refused_for_many(call: Caller, action: str, asked: dict[str, Any], code: str) -> None:
    assert (await refused(call, action, **{"region_id": REGION, **asked}))[1] == code


async def test_who_does_not_pay_is_not_restarted(call: Caller) -> None:
    code = await refused(call, "RebootInstances", region_id=REGION, instance_id=[UNPAID])
    assert code == (403, "InstanceExpiredOrInArrears")
    answer = await call("DescribeInstances", region_id=REGION, lock_reason="financial")
    rows = answer["Instances"]["Instance"]
    assert [(row["InstanceId"], row["OperationLocks"]) for row in rows] == [
        (UNPAID, {"LockReason": [{"LockReason": "financial"}]})
    ]
