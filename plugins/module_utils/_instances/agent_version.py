# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Versions of the Cloud Assistant Agent, which are numbered differently on each platform.

The same build is 2.2.3.317 on Linux and 2.1.3.317 on Windows: the second number says for which platform it is, and a
literal comparison would take a current Windows agent for one that is older than every Linux agent.
"""

from __future__ import annotations

import re


def agent_version(text: str) -> tuple[int, ...]:
    """``2.2.3.317`` as numbers; empty when it does not look like a version."""
    return tuple(int(part) for part in text.split(".")) if re.fullmatch(r"[0-9]+(\.[0-9]+)*", text) else ()


def at_least(version: str, minimum: str) -> bool:
    """Whether an agent is of a build or a later one, whatever platforms the two versions are for."""
    found = agent_version(version)
    return bool(found) and _build(found) >= _build(agent_version(minimum))


def _build(version: tuple[int, ...]) -> tuple[int, ...]:
    return version[:1] + version[2:]
