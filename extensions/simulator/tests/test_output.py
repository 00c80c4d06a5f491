# SPDX-License-Identifier: GPL-3.0-or-later
"""What reaches the service of an output. The numbers were measured on the real agent."""

from ecs_simulator.agent.output import OutputBudget
from hypothesis import given
from hypothesis import strategies as st


def test_a_quick_flood_keeps_its_tail() -> None:
    tail, dropped = OutputBudget(quota=12_000).final(b"x" * 28_000 + b"y" * 12_000)
    assert (tail, dropped) == (b"y" * 12_000, 28_000)


def test_a_slow_flood_loses_its_middle() -> None:
    budget = OutputBudget(quota=12_000)
    chunks = []
    while size := budget.next_chunk_bytes():
        chunks.append(len(budget.stream(b"x" * size)))
    tail, dropped = budget.final(b"y" * (44_000 - budget.streamed))
    assert chunks == [2048, 2048, 2048]
    assert (len(tail), dropped) == (5_856, 32_000)


@given(st.binary(max_size=50_000), st.integers(min_value=0, max_value=30_000))
def test_nothing_is_lost_that_is_not_counted(output: bytes, quota: int) -> None:
    budget = OutputBudget(quota=quota)
    sent = b""
    rest = output
    while (size := budget.next_chunk_bytes()) and rest:
        sent += budget.stream(rest[:size])
        rest = rest[size:]
    tail, dropped = budget.final(rest)
    assert len(sent) + len(tail) + dropped == len(output)
    assert output.endswith(tail)
