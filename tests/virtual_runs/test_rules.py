# SPDX-License-Identifier: GPL-3.0-or-later
"""Each rule of the collection is needed: without it, a rollout breaks a promise.

The seeds are those that `python -m virtual_runs --without RULE` finds first; another plan for a seed wants new ones.
"""

from __future__ import annotations

import pytest

from .report import tell
from .rules import without

pytestmark = pytest.mark.once

FOUND_BY = {
    "after_batch": 1,
    "lost_answer": 4,
    "deadline": 6,
    "unknown": 9,
    "settle_time": 8,
    "boot_id": 9,
    "budget": 14,
    "fresh_word": 76,
    "once_in_a_boot": 78,
    "damaged": 78,
    "silence": 89,
    "rerun": 125,
}


@pytest.mark.parametrize("rule", FOUND_BY)
def test_a_rule_is_needed(rule: str) -> None:
    seed = FOUND_BY[rule]
    assert not tell(seed).story
    with without(rule):
        assert tell(seed).story
