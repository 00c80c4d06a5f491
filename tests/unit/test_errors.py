# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors in words: what was attempted, why it failed, what to do; and nothing secret."""

from __future__ import annotations

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import (
    ApiError,
    NoAnswer,
    advice,
    clean_message,
)


def test_an_api_error_says_everything_in_one_line() -> None:
    error = ApiError(
        "RunCommand on 3 instances in cn-hangzhou",
        code="InvalidInstance.NotFound",
        message="code: 404, The specified instance does not exist. request id: 1234-5678",
        request_id="1234-5678",
        status=404,
    )
    assert str(error) == (
        "RunCommand on 3 instances in cn-hangzhou failed: The specified instance does not exist "
        "(code InvalidInstance.NotFound, request id 1234-5678). Check the instance ids and the region: an instance is "
        "not there."
    )


def test_a_signature_error_does_not_repeat_the_request() -> None:
    message = (
        "code: 400, Specified signature is not matched with our calculation. server string to sign is:POST&%2F&"
        "CommandContent%3Dsecret request id: 1"
    )
    assert clean_message(message) == "Specified signature is not matched with our calculation"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("Throttling.User", "rate"),
        ("Forbidden.RAM", "RAM"),
        ("InvalidRegionId.NotFound", "region_id"),
        ("SomethingNew", ""),
    ],
)
def test_advice_follows_the_beginning_of_the_code(code: str, words: str) -> None:
    assert words in advice(code)
    assert bool(advice(code)) is bool(words)


def test_an_unanswered_request_says_whether_it_had_an_effect() -> None:
    assert str(NoAnswer("RunCommand", "the connection was refused", sent=False)) == (
        "RunCommand: no answer from the API, the connection was refused; it had no effect."
    )
    assert "unknown whether it took effect" in str(NoAnswer("RunCommand", "it took too long", sent=True))


def test_what_only_reads_has_no_effect_to_be_unknown() -> None:
    error = NoAnswer(
        "DescribeInstances", "it took too long", sent=True, reads=True, address="ecs:443", advice="Check proxies."
    )
    assert str(error) == "DescribeInstances: no answer from ecs:443, it took too long. Check proxies."
