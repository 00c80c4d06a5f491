# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the end-to-end tests; what they are made of stands in clouds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from end_to_end.clouds import Cloud, make_cloud


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cloudops-") as path:
        yield Path(path)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    """Three machines, one that is stopped and a Windows one, for all tests of a file."""
    with tempfile.TemporaryDirectory(prefix="cloudops-") as path:
        cloud = make_cloud(
            Path(path),
            {"name": "web-01", "tags": {"app": "web"}},
            {"name": "web-02", "tags": {"app": "web"}},
            {"name": "web-03"},
            {"name": "off-01", "status": "Stopped"},
            {"name": "win-01", "os": "windows"},
        )
        yield cloud
        cloud.stop()
