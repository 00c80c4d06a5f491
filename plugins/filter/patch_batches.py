# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter patch_batches; its documentation is in the YAML file beside it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError


def patch_batches(value: Any) -> list[int | str]:
    """Sizes of batches for ``serial``; raises AnsibleFilterError rather than guess.

    Ansible takes an empty ``serial`` for one batch of all hosts, so nothing that is mistyped may come to that.
    """
    text = str(value).strip()
    parts = value if isinstance(value, (list, tuple)) else text.removeprefix("[").removesuffix("]").split(",")
    words = [str(part).strip().strip("'\"") for part in parts]
    for word in words or [""]:
        if not re.fullmatch(r"[1-9][0-9]*|([1-9][0-9]?|100)%", word):
            raise AnsibleFilterError(
                f"patch_hosts_batches: {word!r} is not the size of a batch. Give numbers of hosts from 1 on and "
                f'percentages from 1% to 100%, such as [1, "25%", "100%"], not {value!r}. Nothing was done.'
            )
    return [word if word.endswith("%") else int(word) for word in words]


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"patch_batches": patch_batches}
