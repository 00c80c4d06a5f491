# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent as the service sees and installs it, its plugins and what is set for it, through the real SDK."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models
from ecs_simulator.clock import ManualClock
from simulator_helpers import REGION, Caller, make_fleet, refused_here, serving

WEB, BARE, OLD, WINDOWS = (f"i-bp1assist000000000{number}" for number in range(1, 5))
INSTANCES = [
    {"name": "web-01", "id": WEB, "agent": {"plugins": {"ecsgo-helper": "1.6", "ACS-ECS-Client": "2.0"}}},
    {"name": "bare-01", "id": BARE, "agent": {"state": "stopped"}},
    {"name": "old-01", "id": OLD, "agent": {"version": "2.2.3.200"}, "answers": [{"exit_code": 194}]},
    {"name": "win-01", "id": WINDOWS, "os": "windows", "agent": {"version": "2.1.3.256"}},
]


@pytest.fixture
async def call(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Caller]:
    async with serving(make_fleet(*INSTANCES), tmp_path, machine="scripted", clock=clock) as caller:
        yield caller


async def statuses(call: Caller, **filters: Any) -> dict[str, dict[str, Any]]:
    answer = await call("DescribeCloudAssistantStatus", region_id=REGION, **filters)
    rows = answer["InstanceCloudAssistantStatusSet"]["InstanceCloudAssistantStatus"]
    return {row["InstanceId"]: row for row in rows}


async def test_what_an_agent_can_depends_on_its_version(call: Caller) -> None:
    found = await statuses(call)
    supported = {instance_id for instance_id, row in found.items() if row["SupportSessionManager"]}
    assert supported == {WEB, WINDOWS}
    assert set(await statuses(call, ostype="Windows")) == {WINDOWS}
    assert await statuses(call, ostype="FreeBSD") == {}
    assert (await refused_here(call, "DescribeCloudAssistantStatus", ostype="Plan9"))[1] == "InvalidParameter.OSType"
    assert len(await statuses(call, max_results=2)) == 2


async def test_the_agent_is_installed(call: Caller, clock: ManualClock) -> None:
    await call("InstallCloudAssistant", region_id=REGION, instance_id=[WEB, BARE])
    assert (await statuses(call))[BARE]["CloudAssistantStatus"] == "false"
    await clock.advance(6)
    assert (await statuses(call))[BARE]["CloudAssistantStatus"] == "true"
    assert [event["instance_id"] for event in call.events("agent_up")].count(WEB) == 1
    for ids, error in [
        (["i-nope"], (404, "InvalidInstance.NotFound")),
        ([], (400, "MissingParam.InstanceId")),
        ([f"i-{number}" for number in range(51)], (403, "InstanceIds.ExceedLimit")),
    ]:
        assert await refused_here(call, "InstallCloudAssistant", instance_id=ids) == error


async def test_the_installed_agent_may_need_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    fleet = make_fleet(*INSTANCES, settings={"install_agent_needs_restart": True})
    async with serving(fleet, tmp_path, machine="scripted", clock=clock) as call:
        await call("InstallCloudAssistant", region_id=REGION, instance_id=[BARE])
        await clock.advance(60)
        assert (await statuses(call))[BARE]["CloudAssistantStatus"] == "false"
        await call("RebootInstance", instance_id=BARE)
        await clock.advance(60)
        assert (await statuses(call))[BARE]["CloudAssistantStatus"] == "true"


async def test_an_agent_that_is_too_old_is_replaced(call: Caller, clock: ManualClock) -> None:
    await call("InstallCloudAssistant", region_id=REGION, instance_id=[WEB, OLD, WINDOWS])
    await clock.advance(4)
    await call("InstallCloudAssistant", region_id=REGION, instance_id=[OLD])  # on its way: it does not start anew
    assert (await statuses(call))[OLD]["CloudAssistantVersion"] == "2.2.3.200"
    await clock.advance(2)
    versions = {instance_id: row["CloudAssistantVersion"] for instance_id, row in (await statuses(call)).items()}
    assert versions == {WEB: "2.2.3.1065", BARE: "", OLD: "2.2.3.1065", WINDOWS: "2.1.3.1065"}
    events = [(event["event"], event["instance_id"]) for event in call.events("agent_up", "agent_down")]
    assert events[-4:] == [("agent_down", OLD), ("agent_up", OLD), ("agent_down", WINDOWS), ("agent_up", WINDOWS)]
    # Exit codes that restart are new to it.
    await call.run("restart", OLD)
    await clock.advance(1)
    assert [event["instance_id"] for event in call.events("shutdown")] == [OLD]


async def test_plugins(call: Caller) -> None:
    async def plugins(*ids: str, **more: Any) -> dict[str, list[tuple[str, str]]]:
        answer = await call("ListPluginStatus", region_id=REGION, instance_id=list(ids), **more)
        rows = answer["InstancePluginStatusSet"]["InstancePluginStatus"]
        found = ((row["InstanceId"], row["PluginStatusSet"]["PluginStatus"]) for row in rows)
        return {id_: [(row["PluginName"], row["PluginStatus"]) for row in rows] for id_, rows in found}

    assert await plugins(WEB) == {WEB: [("ecsgo-helper", "Running"), ("ACS-ECS-Client", "Running")]}
    assert await plugins(OLD) == {OLD: []}
    named = await plugins(WEB, OLD, "i-nope", name="ecsgo-helper")
    assert named == {WEB: [("ecsgo-helper", "Running")], OLD: [("ecsgo-helper", "NotInstalled")]}
    await call.fault("agent_offline")
    assert await plugins(WEB, name="ecsgo-helper") == {WEB: [("ecsgo-helper", "Unknown")]}
    for parameters, code in [
        ({"instance_id": [WEB, OLD]}, "MissingParameter.Name"),
        ({}, "MissingParameter.InstanceId"),
        ({"instance_id": [f"i-{number}" for number in range(51)], "name": "x"}, "InstanceIds.ExceedLimit"),
        ({"instance_id": [WEB], "name": "x" * 256}, "InvalidParameter.Name"),
    ]:
        assert (await refused_here(call, "ListPluginStatus", **parameters))[1] == code


async def settings(call: Caller, *types: str) -> dict[str, Any]:
    answer = await call("DescribeCloudAssistantSettings", region_id=REGION, setting_type=list(types))
    del answer["RequestId"]
    return answer


async def modify(call: Caller, setting_type: str, **configs: Any) -> None:
    await call("ModifyCloudAssistantSettings", region_id=REGION, setting_type=setting_type, **configs)


async def test_settings_have_defaults_and_keep_what_is_set(call: Caller) -> None:
    upgrade = models.ModifyCloudAssistantSettingsRequestAgentUpgradeConfig
    default = (await settings(call, "AgentUpgradeConfig"))["AgentUpgradeConfig"]
    assert (default["Enabled"], default["BootstrapUpgrade"], default["TimeZone"]) == (False, True, "UTC")
    windows = ["02:00-03:00", "05:00-06:00"]
    await modify(call, "AgentUpgradeConfig", agent_upgrade_config=upgrade(enabled=True, allowed_upgrade_window=windows))
    await modify(call, "AgentUpgradeConfig", agent_upgrade_config=upgrade(time_zone="GMT+8:00"))
    config = (await settings(call, "AgentUpgradeConfig"))["AgentUpgradeConfig"]
    assert config["AllowedUpgradeWindows"] == {"AllowedUpgradeWindow": windows}
    assert (config["Enabled"], config["TimeZone"]) == (True, "GMT+8:00")
    session = models.ModifyCloudAssistantSettingsRequestSessionManagerConfig(session_manager_enabled=True)
    await modify(call, "SessionManagerConfig", session_manager_config=session)
    usage = models.ModifyCloudAssistantSettingsRequestResourceUsageConfig(cpu_limit=30, memory_limit="64MB")
    await modify(call, "ResourceUsageConfig", resource_usage_config=usage)
    found = await settings(call, "SessionManagerConfig", "ResourceUsageConfig")
    assert found["SessionManagerConfig"] == {"SessionManagerEnabled": True}
    assert (found["ResourceUsageConfig"]["CpuLimit"], found["ResourceUsageConfig"]["OverloadLimit"]) == (30, 3)


async def test_where_records_are_delivered(call: Caller) -> None:
    oss = models.ModifyCloudAssistantSettingsRequestOssDeliveryConfig(enabled=True, bucket_name="logs", prefix="ecs")
    await modify(call, "InvocationDelivery", oss_delivery_config=oss)
    found = await settings(call, "InvocationDelivery", "SessionManagerDelivery")
    rows = {row["DeliveryType"]: row for row in found["OssDeliveryConfigs"]["OssDeliveryConfig"]}
    assert (rows["InvocationDelivery"]["Enabled"], rows["InvocationDelivery"]["BucketName"]) == (True, "logs")
    assert rows["SessionManagerDelivery"]["Enabled"] is False
    assert len(found["SlsDeliveryConfigs"]["SlsDeliveryConfig"]) == 2


UPGRADE = models.ModifyCloudAssistantSettingsRequestAgentUpgradeConfig
USAGE = models.ModifyCloudAssistantSettingsRequestResourceUsageConfig
OSS = models.ModifyCloudAssistantSettingsRequestOssDeliveryConfig


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"setting_type": "Colour"}, "InvalidParameter.SettingType"),
        ({"setting_type": "AgentUpgradeConfig"}, "MissingParameter.AgentUpgradeConfig"),
        ({"agent_upgrade_config": UPGRADE(allowed_upgrade_window=["2-3"])}, "InvalidParameter.AgentUpgradeConfig"),
        (
            {"agent_upgrade_config": UPGRADE(allowed_upgrade_window=["02:00-03:00", "03:59-05:00"])},
            "InvalidParameter.AgentUpgradeConfig",
        ),
        (
            {"agent_upgrade_config": UPGRADE(allowed_upgrade_window=["00:30-01:00", "22:00-23:31"])},
            "InvalidParameter.AgentUpgradeConfig",
        ),
        ({"agent_upgrade_config": UPGRADE(time_zone="CET")}, "InvalidParameter.AgentUpgradeConfig"),
        ({"agent_upgrade_config": UPGRADE(enabled="yes")}, "InvalidParameter.AgentUpgradeConfig"),
        ({"resource_usage_config": USAGE(cpu_limit=5)}, "InvalidParameter.ResourceUsageConfig"),
        ({"resource_usage_config": USAGE(memory_limit="34MB")}, "InvalidParameter.ResourceUsageConfig"),
        ({"resource_usage_config": USAGE(log_size_limit="much")}, "InvalidParameter.ResourceUsageConfig"),
        ({"oss_delivery_config": OSS(prefix="/x")}, "InvalidParameter.OssDeliveryConfig"),
        ({"oss_delivery_config": OSS(encryption_type="ROT13")}, "InvalidParameter.OssDeliveryConfig"),
    ],
)
async def test_what_cannot_be_set(call: Caller, parameters: dict[str, Any], code: str) -> None:
    types = {
        "agent_upgrade_config": "AgentUpgradeConfig",
        "resource_usage_config": "ResourceUsageConfig",
        "oss_delivery_config": "InvocationDelivery",
    }
    setting_type = parameters.get("setting_type") or types[next(iter(parameters))]
    request = parameters | {"setting_type": setting_type}
    assert await refused_here(call, "ModifyCloudAssistantSettings", **request) == (400, code)


async def test_what_cannot_be_asked(call: Caller) -> None:
    assert await refused_here(call, "DescribeCloudAssistantSettings") == (400, "MissingParameter.SettingType")
    code = await refused_here(call, "DescribeCloudAssistantSettings", setting_type=["Colour"])
    assert code == (400, "InvalidParameter.SettingType")
