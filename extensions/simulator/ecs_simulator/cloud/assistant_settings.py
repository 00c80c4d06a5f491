# SPDX-License-Identifier: GPL-3.0-or-later
"""What an account has set for Cloud Assistant; the simulator keeps it and acts on none of it.

Windows, limits and defaults are those of the SDK's docstring of ModifyCloudAssistantSettingsRequest.
"""

import re
from collections import defaultdict
from typing import Any

from ecs_simulator.cloud.frequency import FrequencyError, time_zone

DELIVERIES = ("SessionManagerDelivery", "InvocationDelivery")
SETTING_TYPES = (*DELIVERIES, "AgentUpgradeConfig", "SessionManagerConfig", "ResourceUsageConfig")
_WINDOW = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")
_DAY_MINUTES = 24 * 60
_SIZE = re.compile(r"([0-9]{1,9})(B|KB|MB)")
_UNITS = {"B": 1, "KB": 1024, "MB": 1024**2}
_NUMBERS = {"CpuLimit": (10, 95), "LogFileCountLimit": (7, 365), "OverloadLimit": (3, 2**31)}
_SIZES_MB = {"LogSizeLimit": (10, 1024), "MemoryLimit": (35, 1024)}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "AgentUpgradeConfig": {
        "Enabled": False,
        "AllowedUpgradeWindow": [],
        "TimeZone": "UTC",
        "BootstrapUpgrade": True,
        "DisableUpgrade": False,
    },
    "SessionManagerConfig": {"SessionManagerEnabled": False},
    "ResourceUsageConfig": {
        "CpuLimit": 20,
        "KeepScriptFile": False,
        "LogFileCountLimit": 30,
        "LogSizeLimit": "100MB",
        "MemoryLimit": "50MB",
        "OverloadLimit": 3,
    },
}
_OSS: dict[str, Any] = {
    "Enabled": False,
    "BucketName": "",
    "Prefix": "",
    "EncryptionType": "Inherit",
    "EncryptionAlgorithm": "",
    "EncryptionKeyId": "",
}
_SLS: dict[str, Any] = {"Enabled": False, "ProjectName": "", "LogstoreName": ""}
_CHOICES = {"EncryptionType": ("Inherit", "OssManaged", "KMS"), "EncryptionAlgorithm": ("", "AES256", "SM4")}


class SettingError(ValueError):
    """A value that may not be set; the text names it and says why, without a subject."""


class AssistantSettings:
    """The settings of each region; the one of sessions counts in all regions."""

    def __init__(self) -> None:
        self._set: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)

    def get(self, region_id: str, name: str) -> dict[str, Any]:
        """AgentUpgradeConfig and the like, and what is delivered where: ``InvocationDelivery/Oss`` or ``…/Sls``."""
        return _default(name) | self._set[_key(region_id, name)]

    def change(self, region_id: str, name: str, values: dict[str, Any]) -> None:
        """Set what is mentioned; raises :class:`SettingError`."""
        default = _default(name)
        for key, value in values.items():
            if key not in default or type(value) is not type(default[key]):
                raise SettingError(f"has no {key} of that kind")
            _check(key, value)
        self._set[_key(region_id, name)] |= values


def _key(region_id: str, name: str) -> tuple[str, str]:
    return ("" if name == "SessionManagerConfig" else region_id), name


def _default(name: str) -> dict[str, Any]:
    _type, _slash, target = name.partition("/")
    return {"Oss": _OSS, "Sls": _SLS}[target] if target else _DEFAULTS[name]


def _check(key: str, value: Any) -> None:
    if key == "AllowedUpgradeWindow":
        _check_windows(value)
    elif key == "TimeZone":
        try:
            time_zone(value)
        except FrequencyError as error:
            raise SettingError(f"has a TimeZone that is not known: {error}") from None
    elif key in _NUMBERS:
        low, high = _NUMBERS[key]
        if not low <= value <= high:
            raise SettingError(f"has a {key} that is not from {low} to {high}")
    elif key in _SIZES_MB:
        low, high = _SIZES_MB[key]
        match = _SIZE.fullmatch(value)
        if not match or not low * _UNITS["MB"] <= int(match[1]) * _UNITS[match[2]] <= high * _UNITS["MB"]:
            raise SettingError(f"has a {key} that is not from {low}MB to {high}MB")
    elif key in _CHOICES and value not in _CHOICES[key]:
        raise SettingError(f"has an {key} that is not one of {', '.join(_CHOICES[key])}")
    elif key == "Prefix" and (len(value) > 254 or value.startswith(("/", "\\"))):
        raise SettingError("has a Prefix that is too long or begins with a slash")


def _check_windows(windows: list[Any]) -> None:
    """At least an hour lies between two windows, midnight included."""
    spans = []
    for window in windows:
        match = _WINDOW.fullmatch(window) if isinstance(window, str) else None
        if not match:
            raise SettingError("has an AllowedUpgradeWindow that is not of the form 02:00-03:00")
        hours = [int(part) for part in match.groups()]
        spans.append((hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]))
    spans.sort()
    for (_start, end), (following, _end) in zip(spans, spans[1:] + spans[:1], strict=True):
        if len(spans) > 1 and (following - end) % _DAY_MINUTES < 60:
            raise SettingError("has AllowedUpgradeWindows with less than an hour between them")
