# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for all unit tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.cloudops.alibaba.tests.unit.host_under_test import HostUnderTest, host_with
from hypothesis import settings

# How long an example takes says more about the machine than about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(params=["dash", "bash", "busybox"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HostUnderTest]:
    """A host whose shell is one of those that the step runner has to run in."""
    if not shutil.which(request.param):
        pytest.skip(f"there is no {request.param} here")
    with host_with(request.param, tmp_path) as host:
        yield host
