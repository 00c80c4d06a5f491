# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections: endpoints, credentials, proxies."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk import imports
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.client import (
    Connection,
    address_of,
    make_client,
    split_endpoint,
)
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import BadInput, MissingSdk, NoCredentials

KEYS = {"access_key_id": "key", "access_key_secret": "secret"}


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        (None, (None, "https")),
        ("ecs.aliyuncs.com", ("ecs.aliyuncs.com", "https")),
        ("http://127.0.0.1:8080", ("127.0.0.1:8080", "http")),
        ("https://ecs.example.com/", ("ecs.example.com", "https")),
        ("127.0.0.1:8080", ("127.0.0.1:8080", "https")),
    ],
)
def test_endpoints(endpoint: str | None, expected: tuple[str | None, str]) -> None:
    assert split_endpoint(endpoint) == expected


@pytest.mark.parametrize(
    "endpoint",
    ["ftp://x", "http://", "http://x/path", "http://x?y=z", "x:port", "x:99999", "x y", "http://user:secret@x"],
)
def test_bad_endpoints_are_refused(endpoint: str) -> None:
    with pytest.raises(BadInput):
        split_endpoint(endpoint)


def test_a_client_is_what_the_options_say() -> None:
    client = make_client(Connection("cn-hangzhou", endpoint="http://127.0.0.1:1", read_timeout=7, **KEYS))
    assert (client._endpoint, client._protocol, client._read_timeout) == ("127.0.0.1:1", "http", 7000)
    assert client._retry_options is None
    assert make_client(Connection("cn-hangzhou", **KEYS))._endpoint == "ecs-cn-hangzhou.aliyuncs.com"


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        (None, "ecs-cn-hangzhou.aliyuncs.com:443"),
        ("http://ecs.example.com", "ecs.example.com:80"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_the_address_is_what_a_client_sends_to(endpoint: str | None, address: str) -> None:
    assert address_of(make_client(Connection("cn-hangzhou", endpoint=endpoint, **KEYS))) == address


def test_a_region_is_needed() -> None:
    with pytest.raises(BadInput, match="ALIBABA_CLOUD_REGION_ID"):
        Connection.from_options({"region_id": None})
    for option in ("connect_timeout", "read_timeout"):
        with pytest.raises(BadInput, match=f"{option} is -1, and the least is 1 second."):
            Connection.from_options({"region_id": "cn-hangzhou", option: -1})


def test_without_credentials_the_places_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("ALIBABA_CLOUD_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")
    monkeypatch.setattr("alibabacloud_credentials.utils.auth_constant.HOME", str(tmp_path))
    monkeypatch.setattr("alibabacloud_credentials.utils.auth_util.environment_ecs_metadata_disabled", "true")
    with pytest.raises(NoCredentials) as caught:
        make_client(Connection("cn-hangzhou"))
    assert "tried EnvironmentVariable, CLIProfile, Profile" in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(NoCredentials, match="The profile 'night'"):
        make_client(Connection("cn-hangzhou", profile="night"))


def test_a_missing_sdk_is_one_sentence_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "MISSING", ImportError("No module named 'alibabacloud_ecs20140526'"))
    with pytest.raises(MissingSdk) as caught:
        make_client(Connection("cn-hangzhou", **KEYS))
    assert "-m pip install alibabacloud_ecs20140526" in str(caught.value)


def test_the_sdk_logs_nothing_even_when_asked_to() -> None:
    assert logging.getLogger("darabonba-core").disabled


@pytest.mark.parametrize(
    ("no_proxy", "kept"),
    [("127.0.0.1", False), ("localhost, 127.0.0.1", False), ("*", False), ("example.com", True), ("", True)],
)
def test_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch, no_proxy: str, kept: bool) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.invalid")
    monkeypatch.setenv("no_proxy", no_proxy)
    monkeypatch.delenv("NO_PROXY", raising=False)
    make_client(Connection("cn-hangzhou", endpoint="http://127.0.0.1:1", **KEYS))
    assert ("http_proxy" in os.environ) is kept
