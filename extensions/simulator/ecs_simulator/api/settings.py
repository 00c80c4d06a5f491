# SPDX-License-Identifier: GPL-3.0-or-later
"""DescribeCloudAssistantSettings and ModifyCloudAssistantSettings."""

import json
from typing import Any

from ecs_simulator.api.parameters import Parameters
from ecs_simulator.cloud.assistant_settings import DELIVERIES, SETTING_TYPES, SettingError
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import invalid, missing

_TARGETS = ("Oss", "Sls")


def describe_cloud_assistant_settings(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    types = parameters.numbered("SettingType")
    if not types:
        raise missing("SettingType")
    answer: dict[str, Any] = {}
    deliveries: dict[str, list[dict[str, Any]]] = {target: [] for target in _TARGETS}
    for setting_type in dict.fromkeys(types):
        if setting_type in DELIVERIES:
            for target, rows in deliveries.items():
                values = cloud.assistant_settings.get(region_id, f"{setting_type}/{target}")
                rows.append({"DeliveryType": setting_type, **values})
        elif setting_type in SETTING_TYPES:
            answer[setting_type] = dict(cloud.assistant_settings.get(region_id, setting_type))
        else:
            raise invalid("SettingType")
    if "AgentUpgradeConfig" in answer:
        windows = answer["AgentUpgradeConfig"].pop("AllowedUpgradeWindow")
        answer["AgentUpgradeConfig"]["AllowedUpgradeWindows"] = {"AllowedUpgradeWindow": windows}
    for target, rows in deliveries.items():
        if rows:
            answer[f"{target}DeliveryConfigs"] = {f"{target}DeliveryConfig": rows}
    return answer


def modify_cloud_assistant_settings(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    """Only the configuration that SettingType names counts."""
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    setting_type = parameters.required("SettingType")
    if setting_type not in SETTING_TYPES:
        raise invalid("SettingType")
    if setting_type in DELIVERIES:
        names = {f"{target}DeliveryConfig": f"{setting_type}/{target}" for target in _TARGETS}
    else:
        names = {setting_type: setting_type}
    sent = {parameter: name for parameter, name in names.items() if parameters.text(parameter)}
    if not sent:
        raise missing(next(iter(names)))
    for parameter, name in sent.items():
        try:
            cloud.assistant_settings.change(region_id, name, _read_object(parameters, parameter))
        except SettingError as error:
            raise invalid(parameter, str(error)) from None
    return {}


def _read_object(parameters: Parameters, name: str) -> dict[str, Any]:
    try:
        value = json.loads(parameters.text(name))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise invalid(name)
    return value
