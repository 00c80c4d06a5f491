# SPDX-License-Identifier: GPL-3.0-or-later
"""When a scheduled command runs: ``rate(5m)``, ``at(2022-06-06 13:15:30 Asia/Shanghai)`` and cron expressions.

Grammar and limits are those of the SDK's docstring of RunCommandRequest.Frequency, the codes those that Alibaba lists
for scheduled commands. Cron expressions have seconds first, and a year and a time zone at the end if wanted; without a
time zone the instance's own counts, which is UTC on every machine here.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from ecs_simulator.cloud.errors import ApiError

_RATE = re.compile(r"rate\(\s*([0-9]{1,9})\s*([smhd])\s*\)")
_AT = re.compile(r"at\(\s*([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})(?:\s+(\S+))?\s*\)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MINIMUM_RATE_S = 60
_MAXIMUM_RATE_S = 7 * 86_400
_MINIMUM_CRON_S = 10
_YEAR = re.compile(r"[0-9*?,/-]+")
_GMT = re.compile(r"GMT(?:([+-])([0-9]*):([0-9]*))?")
# So many runs are looked at to find the shortest pause between two.
_LOOK_AHEAD = 64

Schedule = Callable[[float], float | None]
"""From a time to that of the next run after it; None when there is none."""


class FrequencyError(ValueError):
    """A Frequency that is wrong: the code with which the service says so of an instance, and a sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True)
class Frequency:
    """A Frequency that has been understood."""

    next_after: Schedule
    expired: str
    """The code for one that has no run to come."""
    needs_new_agent: bool
    """It uses what agents from before 2.2.3.282 do not know: everything but cron without year and time zone."""


def parse_frequency(text: str, created: float, timeout_s: int) -> Frequency:
    """Understand a Frequency of a command that was sent at a time; raises :class:`FrequencyError`."""
    if text.startswith("rate"):
        return _rate(text, created, timeout_s)
    if text.startswith("at"):
        return _at(text)
    return _cron(text, created, timeout_s)


def _rate(text: str, created: float, timeout_s: int) -> Frequency:
    match = _RATE.fullmatch(text)
    if not match:
        raise FrequencyError("InvalidRateExpression", "The Rate expression is not of the form rate(5m).")
    seconds = int(match[1]) * _SECONDS[match[2]]
    if seconds > _MAXIMUM_RATE_S:
        raise FrequencyError("RateFrequencyTooLarge", "The interval is longer than 7 days.")
    if seconds < _MINIMUM_RATE_S or seconds <= timeout_s:
        raise FrequencyError(
            "InvalidRateExpression", "The interval is shorter than 60 seconds or not longer than the timeout."
        )

    def next_after(moment: float) -> float:
        return created + (math.floor((moment - created) / seconds) + 1) * seconds

    return Frequency(next_after, "InvalidRateExpression", needs_new_agent=True)


def _at(text: str) -> Frequency:
    match = _AT.fullmatch(text)
    if not match:
        raise FrequencyError("InvalidAtExpression", "The At expression is not of the form at(yyyy-MM-dd HH:mm:ss UTC).")
    zone = time_zone(match[2] or "UTC")
    try:
        moment = datetime.fromisoformat(match[1]).replace(tzinfo=zone).timestamp()
    except (ValueError, OverflowError):
        raise FrequencyError("InvalidAtExpression", "The At expression names no time.") from None
    return Frequency(lambda now: moment if now < moment else None, "AtExpressionExpired", needs_new_agent=True)


def _cron(text: str, created: float, timeout_s: int) -> Frequency:
    try:
        # Imported here, so that all else runs in place with what an installed collection needs anyway.
        from croniter import CroniterBadDateError, CroniterError, croniter
    except ImportError:
        raise ApiError(
            403, "Operation.Forbidden", "The simulator needs the Python package croniter for cron expressions."
        ) from None
    fields = text.split()
    zone: tzinfo = UTC
    if len(fields) == 8 or (len(fields) == 7 and not _YEAR.fullmatch(fields[6])):
        zone = time_zone(fields.pop())
        needs_new_agent = True
    else:
        needs_new_agent = len(fields) == 7
    if len(fields) not in (6, 7):
        raise FrequencyError(
            "BadCronExpression", "A cron expression has 6 fields, and a year and a time zone if wanted."
        )
    expression = " ".join(fields)

    def next_after(moment: float) -> float | None:
        start = datetime.fromtimestamp(moment, zone)
        try:
            found: datetime = croniter(expression, start, second_at_beginning=True).get_next(datetime)
        except CroniterBadDateError:
            return None
        return found.timestamp()

    try:
        shortest = _shortest_pause(next_after, created)
    except (CroniterError, ValueError, OverflowError):
        raise FrequencyError("BadCronExpression", "The cron expression is not valid.") from None
    if shortest < max(_MINIMUM_CRON_S, timeout_s):
        raise FrequencyError(
            "BadCronExpression", "The interval is shorter than 10 seconds or shorter than the timeout."
        )
    return Frequency(next_after, "CronExpressionExpired", needs_new_agent)


def _shortest_pause(next_after: Schedule, created: float) -> float:
    shortest = math.inf
    last = next_after(created)
    for _run in range(_LOOK_AHEAD):
        following = None if last is None else next_after(last)
        if last is None or following is None:
            break
        shortest = min(shortest, following - last)
        last = following
    return shortest


def time_zone(name: str) -> tzinfo:
    """Full names, offsets such as GMT+8:00 without a zero before the hour, and UTC."""
    if name == "UTC":
        return UTC
    if name.startswith("GMT"):
        return _offset(name)
    try:
        # The only abbreviation is UTC.
        if "/" in name:
            return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        pass
    raise FrequencyError("TimezoneInformationCorrupt", f"There is no time zone {name[:64]!r}.")


def _offset(name: str) -> tzinfo:
    match = _GMT.fullmatch(name)
    if not match:
        raise FrequencyError("InvalidGMTOffsetForTimezone", "The offset is not of the form GMT+8:00.")
    sign, hours, minutes = match.groups()
    if sign is None:
        return UTC
    if not re.fullmatch(r"0|[1-9][0-9]?", hours) or int(hours) > (14 if sign == "+" else 12):
        raise FrequencyError("InvalidGMTOffsetHourForTimezone", "The hour of the offset is not from -12 to +14.")
    if not re.fullmatch(r"[0-5][0-9]", minutes):
        raise FrequencyError("InvalidGMTOffsetMinuteForTimezone", "The minute of the offset is not from 00 to 59.")
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(offset if sign == "+" else -offset)
