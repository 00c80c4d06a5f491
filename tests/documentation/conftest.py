# SPDX-License-Identifier: GPL-3.0-or-later
"""The clouds that the documentation is tried on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from end_to_end.clouds import REGION, ROOT, Cloud, start

# All of the documentation speaks of the demo's instances.
DEMO = yaml.safe_load((ROOT / "demo" / "fleet.yml").read_text(encoding="utf-8"))

NEVER = [{"name": "kernel", "from": "1.0", "to": "2.0", "fails": 99}]
# The demo's first instances, where no script of the first can start, and no update of the second can be installed.
FAILING = [
    {"id": "i-bp1demoweb0000000001", "name": "web-01", "machine": "scripted", "answers": [{"exit_code": 127}]},
    {"id": "i-bp1demoweb0000000002", "name": "web-02", "boot_s": 1, "updates": NEVER},
]
# The same where the first does not run and the second does not exist.
UNFIT = [{"id": "i-bp1demoweb0000000001", "name": "web-01", "status": "Stopped"}]
# One that is none of ECS's.
MANAGED = [{"id": "mi-hz0demo0000000001", "name": "cellar-01", "managed": True, "boot_s": 1}]

FLEETS: dict[str, dict[str, Any]] = {
    "demo": DEMO,
    "failing": DEMO | {"regions": {REGION: {"instances": FAILING}}},
    "unfit": DEMO | {"regions": {REGION: {"instances": UNFIT}}},
    "managed": DEMO | {"regions": {REGION: {"instances": MANAGED}}},
}


@pytest.fixture(scope="module")
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """One of the fleets; the demo's if no other is asked for."""
    with tempfile.TemporaryDirectory(prefix="cloudops-") as path:
        cloud = start(Path(path), FLEETS[getattr(request, "param", "demo")])
        yield cloud
        cloud.stop()
