# SPDX-License-Identifier: GPL-3.0-or-later
"""When scheduled commands run."""

from datetime import UTC, datetime

import pytest
from ecs_simulator.cloud.frequency import FrequencyError, parse_frequency
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2027, 1, 15, 8, 0, 0, tzinfo=UTC).timestamp()


def times(text: str, count: int = 1, created: float = NOW) -> list[str]:
    """The next runs of a command that is sent now."""
    frequency = parse_frequency(text, created, timeout_s=10)
    found, moment = [], NOW
    for _run in range(count):
        following = frequency.next_after(moment)
        if following is None:
            break
        moment = following
        found.append(datetime.fromtimestamp(moment, UTC).isoformat(sep=" ").removesuffix("+00:00"))
    return found


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("rate(5m)", ["2027-01-15 08:05:00", "2027-01-15 08:10:00"]),
        ("rate(60s)", ["2027-01-15 08:01:00", "2027-01-15 08:02:00"]),
        ("rate(7d)", ["2027-01-22 08:00:00", "2027-01-29 08:00:00"]),
        ("at(2027-06-06 13:15:30)", ["2027-06-06 13:15:30"]),
        ("at(2027-06-06 13:15:30 Asia/Shanghai)", ["2027-06-06 05:15:30"]),
        ("at(2027-06-06 13:15:30 GMT-7:00)", ["2027-06-06 20:15:30"]),
        ("at(2022-06-06 13:15:30 UTC)", []),
        ("0 15 10 ? * * 2027 Asia/Shanghai", ["2027-01-16 02:15:00", "2027-01-17 02:15:00"]),
        ("0 15 10 ? * * 2022 Asia/Shanghai", []),
        ("0 0/30 10-11 * * ? 2027 GMT+8:00", ["2027-01-16 02:00:00", "2027-01-16 02:30:00"]),
        ("0 0/5 14 * 10 ? 2022/2 UTC", ["2028-10-01 14:00:00", "2028-10-01 14:05:00"]),
        ("*/10 * * * * *", ["2027-01-15 08:00:10", "2027-01-15 08:00:20"]),
        ("0 0 2 ? * MON-FRI GMT", ["2027-01-18 02:00:00", "2027-01-19 02:00:00"]),
        ("0 0 0 31 2 ?", []),
    ],
)
def test_when_a_command_runs(text: str, runs: list[str]) -> None:
    assert times(text, 2) == runs


def test_intervals_count_from_when_the_command_was_sent() -> None:
    assert times("rate(1h)", created=NOW - 600) == ["2027-01-15 08:50:00"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("rate(5)", "InvalidRateExpression"),
        ("rate(59s)", "InvalidRateExpression"),
        ("rate(8d)", "RateFrequencyTooLarge"),
        ("at(2027-06-06T13:15:30)", "InvalidAtExpression"),
        ("at(2027-13-06 13:15:30)", "InvalidAtExpression"),
        ("at(2027-06-06 13:15:30 CET)", "TimezoneInformationCorrupt"),
        ("at(2027-06-06 13:15:30 Mars/Base)", "TimezoneInformationCorrupt"),
        ("at(2027-06-06 13:15:30 ../UTC)", "TimezoneInformationCorrupt"),
        ("at(2027-06-06 13:15:30 GMT+8)", "InvalidGMTOffsetForTimezone"),
        ("at(2027-06-06 13:15:30 GMT+08:00)", "InvalidGMTOffsetHourForTimezone"),
        ("at(2027-06-06 13:15:30 GMT-13:00)", "InvalidGMTOffsetHourForTimezone"),
        ("at(2027-06-06 13:15:30 GMT+8:60)", "InvalidGMTOffsetMinuteForTimezone"),
        ("sometimes", "BadCronExpression"),
        ("* * * * *", "BadCronExpression"),
        ("61 * * * * *", "BadCronExpression"),
        ("0,5 0 0 * * *", "BadCronExpression"),
    ],
)
def test_what_is_wrong_has_a_code(text: str, code: str) -> None:
    with pytest.raises(FrequencyError) as caught:
        parse_frequency(text, NOW, timeout_s=10)
    assert caught.value.code == code


def test_a_run_ends_before_the_next_begins() -> None:
    for text in ("rate(2m)", "0 */2 * * * *"):
        parse_frequency(text, NOW, timeout_s=119)
        with pytest.raises(FrequencyError):
            parse_frequency(text, NOW, timeout_s=121)


FIELD = st.sampled_from(["*", "?", "0", "*/15", "1-5", "L", "MON", "0/30", "60", "2#1", "x", "h", "r(1-5)", "1,", "-1"])


@given(st.lists(FIELD, min_size=1, max_size=8).map(" ".join) | st.text(max_size=40))
def test_whatever_is_sent_is_understood_or_refused(text: str) -> None:
    try:
        frequency = parse_frequency(text, NOW, timeout_s=10)
    except FrequencyError:
        return
    following = frequency.next_after(NOW)
    assert following is None or following > NOW
