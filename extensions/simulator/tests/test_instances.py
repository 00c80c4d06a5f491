# SPDX-License-Identifier: GPL-3.0-or-later
"""Which instances DescribeInstances finds."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models
from ecs_simulator.clock import ManualClock
from simulator_helpers import REGION, Caller, make_fleet, refused, serving

START = 1_800_000_000.0


@pytest.fixture
async def call(tmp_path: Path) -> AsyncIterator[Caller]:
    fleet = make_fleet(
        {"name": "web-{n}", "count": 2, "tags": {"app": "web", "stage": "prod"}, "vpc_id": "vpc-web"},
        {"name": "db[1]", "zone": "cn-hangzhou-i", "instance_type": "ecs.r7.xlarge", "resource_group_id": "rg-db"},
        {"name": "win-1", "os": "windows", "image_id": "win2019", "status": "Stopped", "tags": {"app": "office"}},
    )
    async with serving(fleet, tmp_path, machine="scripted", clock=ManualClock(START)) as caller:
        yield caller


async def names(call: Caller, **asked: Any) -> list[str]:
    answer = await call("DescribeInstances", region_id=REGION, **asked)
    return [row["InstanceName"] for row in answer["Instances"]["Instance"]]


def tag(key: str, value: str | None = None) -> models.DescribeInstancesRequestTag:
    return models.DescribeInstancesRequestTag(key=key, value=value)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"instance_name": "web-*"}, ["web-1", "web-2"]),
        ({"instance_name": "*-1"}, ["web-1", "win-1"]),
        ({"instance_name": "web"}, []),
        # Only the asterisk is a wildcard.
        ({"instance_name": "db[1]"}, ["db[1]"]),
        ({"instance_name": "web-?"}, []),
        ({"tag": [tag("app", "web"), tag("stage", "prod")]}, ["web-1", "web-2"]),
        ({"tag": [tag("app")]}, ["web-1", "web-2", "win-1"]),
        ({"tag": [tag("app", "web"), tag("stage", "test")]}, []),
        ({"zone_id": "cn-hangzhou-i"}, ["db[1]"]),
        ({"status": "Stopped"}, ["win-1"]),
        ({"private_ip_addresses": '["10.0.0.3", "10.0.0.99"]'}, ["web-2"]),
        ({"instance_type": "ecs.r7.xlarge"}, ["db[1]"]),
        ({"instance_type_family": "ecs.r7"}, ["db[1]"]),
        ({"image_id": "win2019"}, ["win-1"]),
        ({"vpc_id": "vpc-web", "instance_network_type": "vpc"}, ["web-1", "web-2"]),
        ({"instance_network_type": "classic"}, []),
        ({"resource_group_id": "rg-db"}, ["db[1]"]),
        ({"lock_reason": "security"}, []),
        ({"eip_addresses": '["1.2.3.4"]'}, []),
        ({"filter": [("CreationStartTime", "2027-01-15T07:00Z")]}, ["web-1", "web-2", "db[1]", "win-1"]),
        ({"filter": [("CreationStartTime", "2027-01-15T09:00Z")]}, []),
    ],
)
async def test_instances_are_found_by_what_they_are(call: Caller, asked: dict[str, Any], found: list[str]) -> None:
    assert await names(call, **_with_filter(asked)) == found


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"instance_ids": "[1]"}, "InvalidInstanceIds.Malformed"),
        ({"instance_ids": str([f"i-{number}" for number in range(101)])}, "InvalidParameter.InstanceIds"),
        ({"private_ip_addresses": "10.0.0.1"}, "InvalidParameter.PrivateIpAddresses"),
        ({"status": "Asleep"}, "InvalidParameter.Status"),
        ({"tag": [tag(f"k{number}") for number in range(21)]}, "InvalidParameter.Tag"),
        ({"filter": [("Colour", "red")]}, "InvalidParameter.Filter.1.Key"),
        ({"filter": [("CreationStartTime", "noon")]}, "InvalidParameter.Filter.1.Value"),
        ({"page_size": 101}, "InvalidParameter.PageSize"),
        ({"dry_run": True}, "DryRunOperation"),
    ],
)
async def test_what_cannot_be_asked_for(call: Caller, asked: dict[str, Any], code: str) -> None:
    assert (await refused(call, "DescribeInstances", region_id=REGION, **_with_filter(asked)))[1] == code


def _with_filter(asked: dict[str, Any]) -> dict[str, Any]:
    if "filter" not in asked:
        return asked
    rows = [models.DescribeInstancesRequestFilter(key=key, value=value) for key, value in asked["filter"]]
    return {**asked, "filter": rows}
