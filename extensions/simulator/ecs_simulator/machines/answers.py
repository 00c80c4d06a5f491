# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scripted machine answers to a command: decides, and does nothing.

The first of the fleet file's answers that fits the command's text counts. A short script that asks for the identity of
the boot is understood without an answer of its own: the boot id on Linux, ``LastBootUpTime`` on Windows.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ecs_simulator.fleet import Answer

# What is longer does more than ask.
_PROBE_CHARACTERS = 1024
_BOOT_ID_FILE = "/proc/sys/kernel/random/boot_id"
_BOOT_TIME = "LastBootUpTime"
_FILE_TIME_EPOCH_S = 11_644_473_600
_TICKS_EPOCH_S = 62_135_596_800
# An echo whose text is around the command substitution that brings the identity, such as: echo "nonce $(cat "$file")"
_AROUND = re.compile(r"""(?:echo|Write-Output|Write-Host) "(?P<before>[^"$`]*)\$\([^)]*\)(?P<after>[^"$`]*)\"""")
_PLACEHOLDER = re.compile(r"\{([a-z_]+|[0-9])\}")


@dataclass(frozen=True)
class Boot:
    """A boot of a machine: its id, and when it was."""

    id: str
    time: float

    @property
    def last_boot_up_time(self) -> str:
        """The time as PowerShell's ``ToString('o')`` gives it."""
        return datetime.fromtimestamp(self.time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def find_answer(answers: Sequence[Answer], given: Mapping[int, int], text: str) -> tuple[int, Answer] | None:
    """The number of the answer to a command's text, and the answer with the parts of the text in it.

    ``given`` tells how often each has been given: one that has been given as often as it may no longer fits.
    """
    for number, answer in enumerate(answers):
        if answer.times and given.get(number, 0) >= answer.times:
            continue
        if answer.regex:
            match = re.search(answer.regex, text)
            if match:
                groups = {str(index): group or "" for index, group in enumerate(match.groups(), 1)}
                return number, replace(answer, output=_fill(answer.output, groups))
        elif answer.match in text:
            return number, answer
    return None


def answer_to(answers: Sequence[Answer], given: Mapping[int, int], text: str, boot: Boot) -> tuple[int | None, Answer]:
    """The answer to a command and, when it is one of the fleet file's, its number."""
    found = find_answer(answers, given, text)
    # An answer to everything is not meant for what is understood anyway.
    if found is None or not (found[1].match or found[1].regex):
        identity = _identity(text, boot)
        if identity is not None:
            return None, Answer(output=identity)
    return found or (None, Answer())


def fill(output: str, boot: Boot, instance_id: str, name: str) -> str:
    """The output with what the machine knows in place of ``{boot_id}`` and its like; other braces stay."""
    known = {
        "boot_id": boot.id,
        "last_boot_up_time": boot.last_boot_up_time,
        "instance_id": instance_id,
        "hostname": name,
    }
    return _fill(output, known)


def _fill(output: str, known: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: known.get(match[1], match[0]), output)


def _identity(text: str, boot: Boot) -> str | None:
    """What a short script prints that asks for the identity of the boot; None when it asks for something else."""
    if len(text) > _PROBE_CHARACTERS:
        return None
    if _BOOT_ID_FILE in text:
        value, end = boot.id, "\n"
    elif _BOOT_TIME in text:
        value, end = _boot_time(text, boot), "\r\n"
    else:
        return None
    around = _AROUND.search(text)
    return f"{around['before']}{value}{around['after']}{end}" if around else value + end


def _boot_time(text: str, boot: Boot) -> str:
    """The time of the boot in the form that the script asks for."""
    if "ToFileTime" in text:
        return str(_FILE_TIME_EPOCH_S * 10_000_000 + round(boot.time * 1e6) * 10)
    if ".Ticks" in text:
        return str(_TICKS_EPOCH_S * 10_000_000 + round(boot.time * 1e6) * 10)
    return boot.last_boot_up_time
