# SPDX-License-Identifier: GPL-3.0-or-later
"""The sizes of batches: a mistyped one must not become one batch of all hosts."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.cloudops.alibaba.plugins.filter.patch_batches import patch_batches


@pytest.mark.parametrize(
    ("value", "sizes"),
    [
        ([1, "25%", "100%"], [1, "25%", "100%"]),
        ("[1, '25%', \"100%\"]", [1, "25%", "100%"]),
        ("1,25%, 100%", [1, "25%", "100%"]),
        (3, [3]),
        ("50%", ["50%"]),
    ],
)
def test_sizes_are_read(value: Any, sizes: list[Any]) -> None:
    assert patch_batches(value) == sizes


@pytest.mark.parametrize(
    "value", ["foo", "", [], "[]", 0, "0%", "25 %", "101%", 1.5, "-1", "1,,2", "one,rest", None, [1, None], True]
)
def test_what_is_no_size_is_refused(value: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"is not the size of a batch.*Nothing was done") as caught:
        patch_batches(value)
    assert "Traceback" not in str(caught.value)
