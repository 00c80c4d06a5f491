# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at instances: agents and pending system events joined in, whatever their number."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._instances.info import instance_info
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import BadInput
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.shapes import EventRow
from ansible_collections.cloudops.alibaba.tests.unit.fakes import START, FakeApi, FakeClock


def look(api: FakeApi, instance_ids: list[str] | None, **more: Any) -> dict[str, Any]:
    options = {"tags": {}, "zone_id": None, "status": None, "name": None, "events": True}
    return instance_info(lambda: api, instance_ids, **options | more)


def event(event_id: str, instance_id: str, status: str, after_s: float) -> EventRow:
    return EventRow(event_id, instance_id, "SystemMaintenance.Reboot", status, "", START + after_s, START)


def test_pending_events_are_joined_in_the_next_one_first() -> None:
    api = FakeApi.of(FakeClock(), "i-1", "i-2")
    api.events = [
        event("e-3", "i-1", "Scheduled", 300),
        event("e-1", "i-1", "Executing", 100),
        event("e-2", "i-1", "Executed", 200),
        event("e-4", "i-2", "Inquiring", 100),
        event("e-3", "i-1", "Scheduled", 300),  # on two pages
    ]
    found = look(api, None)["instances"]
    assert [row["event_id"] for row in found["i-1"]["system_events"]] == ["e-1", "e-3"]
    assert found["i-2"]["system_events"] == [
        {
            "event_id": "e-4",
            "type": "SystemMaintenance.Reboot",
            "status": "Inquiring",
            "not_before": "2027-01-15T08:01:40Z",
            "published_at": "2027-01-15T08:00:00Z",
            "reason": "",
        }
    ]
    assert all(row["agent"]["online"] for row in found.values())


def test_who_does_not_want_events_makes_no_call_for_them() -> None:
    api = FakeApi.of(FakeClock(), "i-1")
    assert look(api, ["i-1"], events=False)["instances"]["i-1"]["system_events"] == []
    assert api.called("describe_system_events") == []


def test_many_instances_are_looked_at_in_as_few_calls_as_their_limits_allow() -> None:
    ids = [f"i-{number}" for number in range(230)]
    api = FakeApi.of(FakeClock(), *ids)
    result = look(api, [*ids, "i-nope"])
    assert (len(result["instances"]), result["missing"]) == (230, ["i-nope"])
    assert [len(call) for call in api.called("describe_instances")] == [100, 100, 31]
    assert [len(call) for call in api.called("describe_cloud_assistant_status")] == [50, 50, 50, 50, 30]
    assert [len(call) for call in api.called("describe_system_events")] == [100, 100, 30]


@pytest.mark.parametrize(
    ("ids", "more", "words"),
    [
        ([], {}, "instance_ids is empty"),
        (["i-1", "i-1"], {}, "i-1 is in instance_ids more than once"),
        (["mi-1"], {}, "mi-1 is a managed instance"),
        (None, {"tags": {str(number): "" for number in range(21)}}, "There are 21 tags"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(ids: list[str] | None, more: dict[str, Any], words: str) -> None:
    api = FakeApi.of(FakeClock(), "i-1")
    with pytest.raises(BadInput) as caught:
        look(api, ids, **more)
    assert words in str(caught.value)
    assert api.calls == []
