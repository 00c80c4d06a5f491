# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What the API would refuse, refused before the first request, in words that help more than its error codes."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Iterable, Mapping

from .._sdk import limits
from .._sdk.command_shapes import Running
from .._sdk.errors import BadInput

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
_RATE = re.compile(r"rate\(([1-9][0-9]*)([smhd])\)")
_AT = re.compile(r"at\([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}( \S+)?\)")
# Seconds, minutes, hours, day of month, month, day of week; then a year, a time zone, or both.
_CRON = re.compile(r"(\S+ ){5}\S+( \S+){0,2}")
_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z0-9_-]+)\s*\}\}")
_CONTAINER_ID = re.compile(r"((docker|containerd|cri-o)://)?[0-9a-fA-F]{64}")


def check_content(content: str, parameters: Mapping[str, str], *, kept: bool = False, enabled: bool = False) -> None:
    """The script and its parameters, which count together."""
    if not content.strip():
        raise BadInput("The script is empty: nothing to run.")
    size = len(base64.b64encode(content.encode()))
    if parameters:
        size += len(base64.b64encode(json.dumps(dict(parameters)).encode()))
    most = limits.KEPT_CONTENT_BYTES if kept else limits.COMMAND_CONTENT_BYTES
    if size > most:
        what = "script and its parameters are" if parameters else "script is"
        raise BadInput(
            f"The {what} too long: {size} bytes in Base64, and Cloud Assistant takes at most {most}"
            f"{' of a command that is kept' if kept else ''}. Shorten it, or send it with ecs_send_file and run that."
        )
    defined = defined_parameters(content) if enabled or parameters else []
    if len(defined) > limits.DEFINED_PARAMETERS:
        raise BadInput(
            f"The script has {len(defined)} parameters, and the API takes at most {limits.DEFINED_PARAMETERS}."
        )
    check_parameters(parameters, defined)


def defined_parameters(content: str) -> list[str]:
    """The parameters that a script has. Those that are built in, such as ``{{ACS::InstanceId}}``, are none of them."""
    return list({name.lower(): name for name in reversed(_PLACEHOLDER.findall(content))}.values())[::-1]


def check_parameters(parameters: Mapping[str, str], defined: Iterable[str]) -> None:
    """The parameters that are passed are among those that the script has; their names do not mind upper case."""
    known = {name.lower() for name in defined}
    if len(parameters) > limits.PARAMETERS:
        raise BadInput(f"There are {len(parameters)} parameters, and the API takes at most {limits.PARAMETERS}.")
    for name in parameters:
        if not 1 <= len(name.encode()) <= limits.PARAMETER_NAME_BYTES:
            raise BadInput(f"The parameter {name!r} has a name that is empty or longer than 64 bytes.")
        if name.lower() not in known:
            raise BadInput(f"The script has no parameter {name}: write {{{{{name}}}}} where its value belongs.")


def check_all_given(parameters: Mapping[str, str], defined: Iterable[str], optional: Collection[str] = ()) -> None:
    """No parameter of the script is forgotten.

    RunCommandRequest.Parameters: one that is not passed becomes an empty text, which turns ``rm -rf /srv/{{folder}}``
    into something else. When as many are passed as a call takes, leaving out the others is no slip.
    """
    given = {name.lower() for name in (*parameters, *optional)}
    missing = [name for name in defined if name.lower() not in given and not name.lower().startswith("acs::")]
    if missing and len(parameters) < limits.PARAMETERS:
        raise BadInput(
            f"parameters lacks {', '.join(missing)}: the API would put nothing in the script in place of what is not "
            "given. Give each a value, '' where it is to be empty."
        )


def check_wait(option: str, seconds: float) -> None:
    """Raise :class:`BadInput` for what is no time to wait."""
    if seconds < 0:
        raise BadInput(f"{option} is {seconds}, and no wait takes less than 0 seconds.")


def check_running(running: Running, platform: str | None) -> None:
    """How a command is to run; ``platform`` is None while it is not known."""
    if running.timeout_s is not None and running.timeout_s < limits.TIMEOUT_MINIMUM_S:
        raise BadInput(
            f"timeout is {running.timeout_s} s, and the least that the API takes is {limits.TIMEOUT_MINIMUM_S} s."
        )
    check_lengths(
        working_dir=(running.working_dir, limits.WORKING_DIR_CHARACTERS),
        username=(running.username, limits.USERNAME_CHARACTERS),
        windows_password_name=(running.windows_password_name, limits.PASSWORD_NAME_CHARACTERS),
    )
    check_launcher(running.launcher)
    check_tags(running.tags)
    _check_user(running, platform)
    _check_container(running, platform)
    _check_schedule(running)
    if running.oss_output_delivery and not re.fullmatch(r"oss://[^/\s]+(/\S*)?", running.oss_output_delivery):
        raise BadInput("oss_output_delivery must look like oss://bucket/prefix.")


def check_lengths(**texts: tuple[str | None, int]) -> None:
    """Options with the number of characters that the API takes."""
    for option, (value, most) in texts.items():
        if value and len(value) > most:
            raise BadInput(f"{option} has {len(value)} characters, and the API takes at most {most}.")


def check_launcher(launcher: str | None) -> None:
    """The program that starts the script."""
    if launcher and len(launcher.encode()) > limits.LAUNCHER_BYTES:
        raise BadInput(
            f"launcher has {len(launcher.encode())} bytes, and the API takes at most {limits.LAUNCHER_BYTES}."
        )


def check_tags(tags: Mapping[str, str], what: str = "tags") -> None:
    """Tags, whether they are to be attached or to be looked for."""
    if len(tags) > limits.TAGS:
        raise BadInput(f"There are {len(tags)} {what}, and the API takes at most {limits.TAGS}.")
    for key, value in tags.items():
        if not 1 <= len(key) <= limits.TAG_KEY_CHARACTERS or len(value) > limits.TAG_VALUE_CHARACTERS:
            raise BadInput(
                f"The tag {key!r} in {what} is too long: keys have 1 to {limits.TAG_KEY_CHARACTERS} characters, "
                f"values at most {limits.TAG_VALUE_CHARACTERS}."
            )
        if re.match("aliyun|acs:", key) or re.search("https?://", key + " " + value):
            raise BadInput(
                f"The tag {key!r} in {what} is not allowed: keys do not begin with aliyun or acs:, and neither keys "
                "nor values contain http:// or https://."
            )


def _check_user(running: Running, platform: str | None) -> None:
    if running.windows_password_name and not running.username:
        raise BadInput("windows_password_name needs username: it is the name of that user's password.")
    if running.windows_password_name and platform == "linux":
        raise BadInput("windows_password_name is for Windows: no password is needed on Linux.")
    named = running.username and running.username.lower() != "system"
    if platform == "windows" and named and not running.windows_password_name:
        raise BadInput(
            "On Windows username needs windows_password_name, the name of a parameter of CloudOps Orchestration "
            "Service that holds the password."
        )


def _check_container(running: Running, platform: str | None) -> None:
    if not (running.container_id or running.container_name):
        return
    if platform == "windows":
        raise BadInput("Only RunShellScript runs in containers.")
    if running.container_id and not _CONTAINER_ID.fullmatch(running.container_id):
        raise BadInput(
            "container_id must be 64 hexadecimal digits, with docker://, containerd:// or cri-o:// before them at most."
        )
    if running.username or running.working_dir:
        raise BadInput("In a container neither username nor working_dir counts: leave them out.")


def _check_schedule(running: Running) -> None:
    frequency, mode = running.frequency, running.repeat_mode
    if mode == "Period" and not frequency:
        raise BadInput("repeat_mode Period needs frequency, such as rate(5m).")
    if not frequency:
        return
    if mode not in (None, "Period"):
        raise BadInput(f"frequency means repeat_mode Period, and contradicts {mode}.")
    rate = _RATE.fullmatch(frequency)
    if rate:
        seconds = int(rate[1]) * _UNITS_S[rate[2]]
        if not limits.RATE_MINIMUM_S <= seconds <= limits.RATE_MAXIMUM_S:
            raise BadInput(f"{frequency} is out of range: every 60 seconds at most, every 7 days at least.")
        if running.timeout_s is not None and seconds <= running.timeout_s:
            raise BadInput(
                f"{frequency} must be longer than timeout, which is {running.timeout_s} s: runs must not overlap."
            )
    elif not _AT.fullmatch(frequency) and not _CRON.fullmatch(frequency):
        raise BadInput(
            f"{frequency!r} is no frequency: write rate(5m), at(2026-12-31 23:00:00 Asia/Shanghai), or a cron "
            "expression of seconds, minutes, hours, day of month, month and day of week."
        )
