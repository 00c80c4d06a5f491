# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests are sent again by code, and only where that is safe."""

from __future__ import annotations

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import ApiError, NoAnswer
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.retry import may_repeat, pause_s, repeat
from ansible_collections.cloudops.alibaba.tests.unit.fakes import FakeClock, api_error, no_answer


@pytest.mark.parametrize(
    ("error", "harmless", "again"),
    [
        (api_error("Throttling"), False, True),
        (api_error("Throttling.User"), False, True),
        (api_error("ServiceUnavailable", status=503), True, True),
        (api_error("ServiceUnavailable", status=503), False, False),
        (api_error("InternalError.Dispatch", status=500), True, True),
        (api_error("InternalError", status=500), False, False),
        (api_error("InvalidInstance.NotFound", status=404), True, False),
        (api_error("Forbidden.RAM", status=403), True, False),
        (no_answer(sent=False), False, True),
        (no_answer(sent=True), False, False),
        (no_answer(sent=True), True, True),
    ],
)
def test_what_is_sent_again(error: ApiError | NoAnswer, harmless: bool, again: bool) -> None:
    assert may_repeat(error, harmless=harmless) is again


def test_pauses_grow_are_jittered_and_honour_the_servers_hint() -> None:
    longest = [pause_s(attempt, api_error("Throttling"), lambda low, high: high) for attempt in range(8)]
    assert longest == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]
    assert pause_s(0, api_error("Throttling"), lambda low, high: low) == 0.0
    assert pause_s(0, api_error("Throttling", retry_after_s=7.5), lambda low, high: high) == 7.5


def test_a_throttled_request_is_sent_until_it_is_answered() -> None:
    clock = FakeClock()
    answers: list[str | Exception] = [api_error("Throttling.User"), no_answer(sent=True), "done"]

    def send() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert repeat(send, harmless=True, clock=clock, jitter=lambda low, high: high) == "done"
    assert clock.sleeps == [0.5, 1.0]


def test_it_ends_with_the_last_error_when_the_time_is_over() -> None:
    clock = FakeClock()
    sent = []

    def send() -> None:
        sent.append(clock.now)
        raise api_error("Throttling")

    with pytest.raises(ApiError):
        repeat(send, harmless=True, clock=clock, total_s=60, jitter=lambda low, high: high)
    assert clock.now - sent[0] <= 60
    assert len(sent) > 5


def test_an_endpoint_out_of_reach_is_given_up_soon() -> None:
    clock = FakeClock()

    def send() -> None:
        raise no_answer(sent=False)

    start = clock.now
    with pytest.raises(NoAnswer):
        repeat(send, harmless=True, clock=clock, jitter=lambda low, high: high)
    assert 5 < clock.now - start <= 20


def test_what_may_have_taken_effect_is_not_sent_again() -> None:
    sent = []

    def send() -> None:
        sent.append(1)
        raise no_answer(sent=True)

    with pytest.raises(NoAnswer):
        repeat(send, harmless=False, clock=FakeClock())
    assert len(sent) == 1


def test_one_lost_answer_among_others_is_remembered() -> None:
    """The last attempt was never sent; the first one may have taken effect."""
    clock = FakeClock()
    errors = [no_answer(sent=True), *[no_answer(sent=False)] * 1000]

    def send() -> None:
        raise errors.pop(0)

    with pytest.raises(NoAnswer) as caught:
        repeat(send, harmless=True, clock=clock, jitter=lambda low, high: high)
    assert caught.value.sent


def test_a_request_that_can_never_be_repeated_says_so_though_it_was_throttled_first() -> None:
    errors: list[Exception] = [api_error("Throttling"), no_answer(sent=True)]

    def send() -> None:
        raise errors.pop(0)

    with pytest.raises(NoAnswer):
        repeat(send, harmless=False, clock=FakeClock(), jitter=lambda low, high: high)
    assert errors == []
