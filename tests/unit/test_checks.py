# SPDX-License-Identifier: GPL-3.0-or-later
"""What the API would refuse is refused before it is asked, in words that help."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._cloud_assistant.command import Command
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import BadInput

WINDOWS = {"type": "RunPowerShellScript"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"keep": True, "content": "x" * 15_000},
            "20000 bytes in Base64, and Cloud Assistant takes at most 18432",
        ),
        ({"content": "{{a}}" + "x" * 18_000, "parameters": {"a": "b" * 1000}}, "The script and its parameters are too"),
        ({"content": " ".join(f"{{{{p{n}}}}}" for n in range(21)), "enable_parameter": True}, "has 21 parameters"),
        ({"parameters": {f"p{n}": "" for n in range(11)}}, "There are 11 parameters"),
        ({"parameters": {"": "x"}}, "a name that is empty"),
        ({"parameters": {"who": "x"}}, "The script has no parameter who: write {{who}} where its value belongs."),
        (
            {"content": "{{ a }} {{B}} {{b}}", "enable_parameter": True},
            "parameters lacks a, B: the API would put nothing",
        ),
        ({"content": "{{a}} {{b}}", "parameters": {"A": "x"}}, "parameters lacks b: "),
        ({"username": "u" * 256}, "username has 256 characters"),
        ({"launcher": "é" * 513}, "launcher has 1026 bytes"),
        ({"windows_password_name": "secret"}, "windows_password_name needs username"),
        ({"windows_password_name": "secret", "username": "u"}, "is for Windows"),
        ({"username": "u", **WINDOWS}, "On Windows username needs windows_password_name"),
        ({"container_name": "c", **WINDOWS}, "Only RunShellScript runs in containers."),
        ({"container_id": "docker://1234"}, "container_id must be 64 hexadecimal digits"),
        ({"container_name": "c", "username": "u"}, "In a container neither username nor working_dir counts"),
        ({"repeat_mode": "Period"}, "repeat_mode Period needs frequency"),
        ({"repeat_mode": "NextRebootOnly", "frequency": "rate(5m)"}, "contradicts NextRebootOnly"),
        ({"frequency": "rate(30s)"}, "rate(30s) is out of range"),
        ({"frequency": "rate(8d)"}, "rate(8d) is out of range"),
        ({"frequency": "rate(5m)"}, "rate(5m) must be longer than timeout, which is 3600 s"),
        ({"frequency": "every day"}, "'every day' is no frequency"),
        ({"frequency": "at(tomorrow)"}, "is no frequency"),
        ({"oss_output_delivery": "my-bucket"}, "oss_output_delivery must look like oss://bucket/prefix."),
        ({"tags": {"acs:x": ""}}, "keys do not begin with aliyun or acs:"),
        ({"tags": {"x": "http://y"}}, "neither keys nor values contain http://"),
    ],
)
def test_bad_options_get_a_sentence(more: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as caught:
        Command(**{"content": "echo", **more}).check()
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "more",
    [
        {"content": "{{ Who }}", "parameters": {"who": ""}},
        {"content": "{{ACS::InstanceId}} {{ ACS :: RegionId }}", "enable_parameter": True},
        {"content": "{{who}}"},
        # No more than ten can be passed.
        {"content": " ".join(f"{{{{p{n}}}}}" for n in range(12)), "parameters": {f"p{n}": "" for n in range(10)}},
        {"container_id": "containerd://" + "0a" * 32},
        {"frequency": "rate(2h)"},
        {"frequency": "at(2026-12-31 23:00:00 Asia/Shanghai)"},
        {"frequency": "0 15 10 ? * * 2026 Asia/Shanghai", "repeat_mode": "Period"},
        {"username": "u", "windows_password_name": "p", **WINDOWS},
        {"username": "System", **WINDOWS},
        {"oss_output_delivery": "oss://bucket/outputs"},
        {"repeat_mode": "EveryReboot"},
    ],
)
def test_good_options_pass(more: dict[str, Any]) -> None:
    Command(**{"content": "echo", **more}).check()
