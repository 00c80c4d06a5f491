# SPDX-License-Identifier: GPL-3.0-or-later
"""System events: announced, due, avoided by a restart through the API, accepted."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models
from ecs_simulator.clock import ManualClock, iso
from simulator_helpers import REGION, Caller, make_fleet, refused, serving

WEB, DB = "i-bp1testweb000000001", "i-bp1testdb0000000001"
REBOOT = "SystemMaintenance.Reboot"
HOUR = 3600.0


@dataclass
class Scene:
    call: Caller
    clock: ManualClock

    def at(self, seconds: float) -> str:
        return iso(self.clock.time() + seconds)

    async def create(self, type_: str = REBOOT, seconds: float = HOUR, **more: Any) -> str:
        answer = await self.call(
            "CreateSimulatedSystemEvents",
            **{"region_id": REGION, "event_type": type_, "not_before": self.at(seconds), "instance_id": [WEB], **more},
        )
        event_id: str = answer["EventIdSet"]["EventId"][0]
        return event_id

    async def events(self, **more: Any) -> dict[str, str]:
        """Event id → status, of all states unless asked otherwise."""
        every = ["Inquiring", "Scheduled", "Executing", "Executed", "Avoided", "Canceled", "Failed"]
        more = {"instance_event_cycle_status": every, **more}
        answer = await self.call("DescribeInstanceHistoryEvents", region_id=REGION, max_results=100, **more)
        rows = answer["InstanceSystemEventSet"]["InstanceSystemEventType"]
        return {row["EventId"]: row["EventCycleStatus"]["Name"] for row in rows}

    async def status_of(self, instance_id: str) -> str:
        answer = await self.call("DescribeInstanceStatus", region_id=REGION, instance_id=[instance_id])
        status: str = answer["InstanceStatuses"]["InstanceStatus"][0]["Status"]
        return status


def fleet(**settings: Any) -> Any:
    return make_fleet(
        {"name": "web-01", "id": WEB, "boot_s": 10, "tags": {"app": "web"}, "answers": [{"exit_code": 194}]},
        {"name": "db-01", "id": DB, "boot_s": 10, "resource_group_id": "rg-db"},
        settings=settings,
    )


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    clock = ManualClock()
    async with serving(fleet(), tmp_path, machine="scripted", clock=clock) as call:
        yield Scene(call, clock)


async def test_an_event_is_scheduled_and_executed_when_it_is_due(scene: Scene) -> None:
    event_id = await scene.create()
    assert await scene.events() == {event_id: "Scheduled"}
    await scene.clock.advance(HOUR + 1)
    assert await scene.events() == {event_id: "Executed"}
    # It was only announced.
    assert scene.call.events("shutdown") == []
    log = [(event["type"], event["status"]) for event in scene.call.events("system_event")]
    assert log == [(REBOOT, "Scheduled"), (REBOOT, "Executed")]


async def test_a_restart_through_the_api_settles_it_and_one_of_the_guest_does_not(scene: Scene) -> None:
    event_id = await scene.create()
    await scene.call.run("reboot", WEB)
    await scene.clock.advance(60)
    assert len(scene.call.events("boot")) == 3
    assert await scene.events() == {event_id: "Scheduled"}
    await scene.call("RebootInstances", region_id=REGION, instance_id=[WEB])
    assert await scene.events() == {event_id: "Avoided"}
    await scene.clock.advance(HOUR)
    assert await scene.events() == {event_id: "Avoided"}


async def test_stopping_and_starting_settles_it_too_and_other_kinds_stay(scene: Scene) -> None:
    reboot, redeploy = await scene.create(), await scene.create("SystemMaintenance.Redeploy")
    await scene.call("StopInstance", instance_id=WEB)
    await scene.clock.advance(1)
    assert (await scene.events())[reboot] == "Scheduled"
    await scene.call("StartInstance", instance_id=WEB)
    assert await scene.events() == {reboot: "Avoided", redeploy: "Scheduled"}


async def test_what_has_failed_already_is_being_executed(scene: Scene) -> None:
    event_id = await scene.create("SystemFailure.Reboot")
    assert await scene.events() == {event_id: "Executing"}
    answer = await scene.call("DescribeInstancesFullStatus", region_id=REGION, health_status="Maintaining")
    rows = answer["InstanceFullStatusSet"]["InstanceFullStatusType"]
    assert [row["InstanceId"] for row in rows] == [WEB]


@pytest.mark.parametrize(("kind", "status"), [("Reboot", "Running"), ("Redeploy", "Running"), ("Stop", "Stopped")])
async def test_an_event_may_really_happen(scene: Scene, kind: str, status: str) -> None:
    event_id = await scene.create(f"SystemMaintenance.{kind}", trigger_real_ops=True)
    await scene.clock.advance(HOUR + 1)
    assert await scene.events() == {event_id: "Executing"}
    await scene.clock.advance(60)
    assert await scene.events() == {event_id: "Executed"}
    assert await scene.status_of(WEB) == status
    assert [event["cause"] for event in scene.call.events("shutdown")] == ["system_event"]


async def test_a_real_event_finds_an_instance_that_is_off_as_it_is(scene: Scene) -> None:
    event_id = await scene.create("SystemMaintenance.Stop", trigger_real_ops=True)
    await scene.call("StopInstances", region_id=REGION, instance_id=[WEB])
    await scene.clock.advance(HOUR + 1)
    assert await scene.events() == {event_id: "Executed"}
    assert len(scene.call.events("shutdown")) == 1


async def test_events_of_the_fleet_file(tmp_path: Path) -> None:
    clock = ManualClock()
    events = [
        {"type": "SystemMaintenance.Redeploy", "status": "Inquiring"},
        {"type": REBOOT, "not_before": iso(clock.time() + HOUR)},
        {"type": REBOOT, "in_s": 60, "status": "Executed"},
        {"type": "SystemFailure.Delete", "in_s": 120, "trigger_real_ops": True},
    ]
    declared = make_fleet({"name": "web-01", "id": WEB, "events": events}, settings={"accepted_event_s": 30})
    async with serving(declared, tmp_path, machine="scripted", clock=clock) as call:
        scene = Scene(call, clock)
        inquiring, later, past, delete = await scene.events()
        assert [*(await scene.events()).values()] == ["Inquiring", "Scheduled", "Executed", "Scheduled"]
        await call("AcceptInquiredSystemEvent", region_id=REGION, event_id=inquiring)
        assert (await scene.events())[inquiring] == "Executing"
        await clock.advance(31)
        assert (await scene.events())[inquiring] == "Executed"
        code = await refused(call, "AcceptInquiredSystemEvent", region_id=REGION, event_id=inquiring)
        assert code == (404, "InvalidEventId.NoInquiringEventFound")
        await clock.advance(120)
        # There is no instance any more.
        assert (await call("DescribeInstances", region_id=REGION))["TotalCount"] == 0
        assert (await scene.events())[delete] == "Canceled"
        assert (await scene.events())[later] == "Canceled"
        assert (await scene.events())[past] == "Executed"


async def test_events_are_found_by_what_they_are(scene: Scene) -> None:
    web = await scene.create()
    db = await scene.create("SystemMaintenance.Stop", 2 * HOUR, instance_id=[DB])
    failed = await scene.create("InstanceFailure.Reboot", 60, instance_id=[DB])
    await scene.clock.advance(90)

    async def found(**more: Any) -> list[str]:
        return list(await scene.events(**more))

    assert await found(instance_id=DB) == [db, failed]
    assert await found(resource_id=[WEB, DB]) == [web, db, failed]
    assert await found(resource_id=[WEB], instance_id=DB) == [web]
    assert await found(event_type=REBOOT) == [web]
    assert await found(instance_event_type=[REBOOT, "InstanceFailure.Reboot"]) == [web, failed]
    assert await found(event_id=[db]) == [db]
    assert await found(instance_event_cycle_status=None, event_cycle_status="Executed") == [failed]
    later = models.DescribeInstanceHistoryEventsRequestNotBefore(start=scene.at(1.5 * HOUR), end=scene.at(3 * HOUR))
    assert await found(not_before=later) == [db]
    published = models.DescribeInstanceHistoryEventsRequestEventPublishTime(start=scene.at(0))
    assert await found(event_publish_time=published) == []
    assert await found(resource_type="ddh") == []
    assert await found(tag=[models.DescribeInstanceHistoryEventsRequestTag(key="app", value="web")]) == [web]
    assert await found(resource_group_id="rg-db") == [db, failed]
    assert await found(resource_group_id="rg-none") == []


@pytest.mark.parametrize(("finished", "wanted"), [(False, ["Scheduled"]), (True, ["Executed"])])
async def test_without_a_state_only_some_are_listed(tmp_path: Path, finished: bool, wanted: list[str]) -> None:
    clock = ManualClock()
    declared = fleet(history_events_default_finished=finished)
    async with serving(declared, tmp_path, machine="scripted", clock=clock) as call:
        scene = Scene(call, clock)
        await scene.create()
        await scene.create("SystemFailure.Stop", 10)
        await clock.advance(11)
        assert list((await scene.events(instance_event_cycle_status=None)).values()) == wanted


async def test_pages_of_events(scene: Scene) -> None:
    for _number in range(11):
        await scene.create()
    first = await scene.call("DescribeInstanceHistoryEvents", region_id=REGION, max_results=1)
    assert len(first["InstanceSystemEventSet"]["InstanceSystemEventType"]) == 10
    # Seen in the real service: it does not count what it pages by token.
    assert first["TotalCount"] == 0
    second = await scene.call("DescribeInstanceHistoryEvents", region_id=REGION, next_token=first["NextToken"])
    assert len(second["InstanceSystemEventSet"]["InstanceSystemEventType"]) == 1
    by_number = await scene.call("DescribeInstanceHistoryEvents", region_id=REGION, page_number=2, page_size=5)
    assert (by_number["TotalCount"], by_number["PageNumber"]) == (11, 2)


async def test_the_full_status_shows_what_is_scheduled(scene: Scene) -> None:
    event_id = await scene.create()
    answer = await scene.call("DescribeInstancesFullStatus", region_id=REGION)
    assert answer["TotalCount"] == 2
    web = answer["InstanceFullStatusSet"]["InstanceFullStatusType"][0]
    assert (web["Status"]["Name"], web["HealthStatus"]["Name"]) == ("Running", "OK")
    event = web["ScheduledSystemEventSet"]["ScheduledSystemEventType"][0]
    assert (event["EventId"], event["EventType"]["Name"], event["NotBefore"]) == (event_id, REBOOT, scene.at(HOUR))

    async def found(**more: Any) -> list[str]:
        answer = await scene.call("DescribeInstancesFullStatus", region_id=REGION, **more)
        return [row["InstanceId"] for row in answer["InstanceFullStatusSet"]["InstanceFullStatusType"]]

    assert await found(event_type=REBOOT) == [WEB]
    assert await found(event_type="SystemMaintenance.Stop") == []
    assert await found(instance_id=[DB]) == [DB]
    assert await found(status="Stopped") == []
    await scene.call("RebootInstance", instance_id=WEB)
    assert await found(event_id=[event_id]) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"event_type": "SystemMaintenance.Nap"}, "InvalidParameter.EventType"),
        ({"event_type": "SystemFailure.Delete"}, "InvalidParameter.EventType"),
        ({"event_type": None}, "MissingParameter.EventType"),
        ({"not_before": "tomorrow"}, "InvalidParameter.NotBefore"),
        ({"not_before": "2020-01-01T00:00:00Z"}, "InvalidParameter.NotBefore"),
        ({"instance_id": []}, "MissingParameter.InstanceId"),
        ({"instance_id": [f"i-{number}" for number in range(101)]}, "InvalidParameter.InstanceId"),
        ({"instance_id": [WEB, "i-nope"]}, "InvalidInstanceId.NotFound"),
    ],
)
async def test_what_a_simulated_event_may_not_be(scene: Scene, change: dict[str, Any], code: str) -> None:
    good = {"region_id": REGION, "event_type": REBOOT, "not_before": scene.at(HOUR), "instance_id": [WEB]}
    assert (await refused(scene.call, "CreateSimulatedSystemEvents", **(good | change)))[1] == code
    assert await scene.events() == {}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"event_type": "Nap"}, "InvalidParameter.EventType"),
        ({"event_cycle_status": "Asleep"}, "InvalidParameter.EventCycleStatus"),
        (
            {"not_before": models.DescribeInstanceHistoryEventsRequestNotBefore(start="now")},
            "InvalidParameter.NotBefore.Start",
        ),
    ],
)
async def test_what_cannot_be_asked_for(scene: Scene, asked: dict[str, Any], code: str) -> None:
    assert (await refused(scene.call, "DescribeInstanceHistoryEvents", region_id=REGION, **asked))[1] == code
