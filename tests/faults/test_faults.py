# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault matrix: every fault of the simulator, by how hosts restart and when a failure counts.

`make test-faults` runs it; `FAULT_SAMPLE=9` takes every ninth of its cells.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ecs_simulator.fleet_faults import INSTANCE_FAULTS
from ecs_simulator.fleet_request_faults import REQUEST_FAULTS
from faults.rollout import (
    FAILS,
    Cell,
    assert_only_the_batch_was_touched,
    assert_proven,
    broken_promises,
    fleet,
    roll_out,
)
from faults.table import TABLE, WELL

MATRIX = [Cell(row, method, fail) for row in TABLE for method in row.methods for fail in FAILS]
EVERY = int(os.environ.get("FAULT_SAMPLE", "1"))
SAMPLE = MATRIX[::EVERY]


def test_the_table_has_every_fault_of_the_simulator() -> None:
    assert {row.fault["fault"] for row in TABLE} == {*INSTANCE_FAULTS, *REQUEST_FAULTS}


@pytest.mark.parametrize("cell", SAMPLE, ids=[f"{cell.row.name}, {cell.method}, {cell.fail}" for cell in SAMPLE])
def test_every_host_ends_as_it_must(cell: Cell, tmp_path: Path) -> None:
    with fleet(cell, tmp_path) as cloud:
        rollout = roll_out(cell, cloud)
        fired = cloud.audit(kind="fault")
        assert fired, "the fault has not come"
        assert not any("refused" in line for line in fired), fired
        for host in cloud.ids():
            assert rollout.outcome(host) in rollout.expected(host), rollout.output
            if rollout.outcome(host) in WELL:
                assert_proven(rollout, host)
        good = all(verdict["ok"] for verdict in rollout.verdicts.values())
        assert (rollout.status == 0) == good, rollout.output
        assert not broken_promises(rollout)
        assert_only_the_batch_was_touched(rollout)
