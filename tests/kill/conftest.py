# SPDX-License-Identifier: GPL-3.0-or-later
"""The fixture of the kill matrix."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from end_to_end.clouds import Cloud
from kill.scenario import two_hosts


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with two_hosts(tmp_path) as cloud:
        yield cloud
