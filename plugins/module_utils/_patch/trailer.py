# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Reading the trailer: the last line that the step runner prints, versioned and checksummed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from .._restart.receipts import Receipt, judge

_MARK = "cloudops.alibaba/1 "
_POLYNOMIAL = 0x04C11DB7


def _remainder(byte: int) -> int:
    """What a byte leaves of itself in a checksum."""
    crc = byte << 24
    for _bit in range(8):
        crc = (crc << 1) ^ (_POLYNOMIAL if crc & 0x80000000 else 0)
    return crc & 0xFFFFFFFF


_REMAINDERS = tuple(map(_remainder, range(256)))


@dataclass(frozen=True)
class Trailer:
    """What the host says of its run.

    ``state`` is done, restart, failed, pending, busy, late or refused. ``again`` means that the restart was asked for
    before in this boot, ``wait_s`` for how long a restart may still come or a step without a keeper may still work,
    ``blame`` the kind of a failure, ``replayed`` that another delivery's keeper said all this, ``whole`` that it comes
    from a keeper, who has read all the records, and not from a runner that could not start one. ``expected`` is whether
    a host that was only assessed would restart: now, likely, no or unknown.
    """

    run_id: str
    state: str
    method: str
    boot_id: str
    reason: str
    log: str
    again: bool = False
    wait_s: int = 0
    blame: str = "script"
    changed: bool = False
    replayed: bool = False
    whole: bool = True
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    evidence: str = "unknown"
    evidence_reason: str = ""
    expected: str = ""
    expected_reason: str = ""
    stale: str = ""
    restarts: tuple[Receipt, ...] = ()
    packages: tuple[dict[str, str], ...] = ()
    packages_count: int = 0
    differences: tuple[str, ...] = ()


def read_trailer(output: str, run_id: str) -> Trailer | None:
    """The trailer at the end of an output; None when it is missing, damaged or of another run."""
    lines = output.rstrip("\n").splitlines()
    if not lines or not lines[-1].startswith(_MARK):
        return None
    text, separator, checksum = lines[-1].rpartition(" cksum=")
    if not separator or checksum != str(cksum(text.encode())):
        return None
    words = dict(word.partition("=")[::2] for word in text.removeprefix(_MARK).split(" "))
    if words.get("run") != run_id:
        return None
    try:
        return _read_words(words)
    except ValueError:
        return None


def without_trailer(output: str) -> str:
    """What an output says to people."""
    lines = output.rstrip("\n").splitlines()
    if lines and lines[-1].startswith(_MARK):
        lines = lines[:-1]
    return "\n".join(lines)


def _read_words(words: Mapping[str, str]) -> Trailer:
    return Trailer(
        run_id=words["run"],
        state=words.get("state", ""),
        method=words.get("method", ""),
        boot_id=words.get("boot", ""),
        reason=unquote(words.get("reason", "")),
        log=words.get("log", ""),
        again=words.get("again") == "yes",
        wait_s=int(words.get("wait") or 0),
        blame=words.get("blame", "script"),
        changed=words.get("changed") == "yes",
        replayed=words.get("replayed") == "yes",
        whole="for" in words,
        steps=dict(_step(entry) for entry in _split(words.get("steps", ""), ",")),
        evidence=words.get("evidence", "unknown"),
        evidence_reason=unquote(words.get("evidence_reason", "")),
        expected=words.get("expected", ""),
        expected_reason=unquote(words.get("expected_reason", "")),
        stale=unquote(words.get("stale", "")),
        restarts=tuple(_receipt(entry) for entry in _split(words.get("restarts", ""), ";")),
        packages=tuple(_package(entry) for entry in _split(words.get("packages", ""), ";")),
        packages_count=int(words.get("packages_count") or 0),
        differences=_differences(words),
    )


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if text else []


def _step(entry: str) -> tuple[str, dict[str, Any]]:
    name, state, attempts = (*entry.split(":"), *[""] * 3)[:3]
    return name, {"state": state, "attempts": int(attempts or 0)}


def _receipt(entry: str) -> Receipt:
    method, before, after, requested_at, proven_at, reason = (*entry.split("|"), *[""] * 6)[:6]
    return judge(
        method=method,
        before=before,
        after=after,
        requested_at=requested_at,
        proven_at=proven_at,
        evidence=[f"reason: {unquote(reason)}"],
    )


def _package(entry: str) -> dict[str, str]:
    name, old, new = (*entry.split("|"), *[""] * 3)[:3]
    return {"name": name, "from": old, "to": new}


def _differences(words: Mapping[str, str]) -> tuple[str, ...]:
    """What the host has lost; as many as fit, and how many more there are."""
    told = [unquote(entry.replace("|", " ")) for entry in _split(words.get("differences", ""), ";")]
    more = int(words.get("differences_count") or 0) - len(told)
    return (*told, f"and {more} more") if more > 0 else tuple(told)


def cksum(data: bytes) -> int:
    """The checksum of POSIX cksum(1): a CRC over the data and its length, complemented."""
    crc = 0
    length = len(data)
    while length:
        data += bytes([length & 0xFF])
        length >>= 8
    for byte in data:
        crc = (crc << 8) & 0xFFFFFFFF ^ _REMAINDERS[crc >> 24 ^ byte]
    return crc ^ 0xFFFFFFFF
