# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller: the cores of ecs_patch_info and ecs_patch, as the role calls them, in a process that can be killed.

Forked from a process that has imported Alibaba's SDK already: ansible-playbook would take seconds to start.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from ansible_collections.cloudops.alibaba.plugins.module_utils._module import Context
from ansible_collections.cloudops.alibaba.plugins.module_utils._progress import Progress
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk import imports
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import CloudError
from ansible_collections.cloudops.alibaba.plugins.module_utils._waiting import RealClock
from ansible_collections.cloudops.alibaba.plugins.modules import ecs_patch, ecs_patch_info

# Imported before the fork, so that no controller has to wait for it.
SDK = imports.models


def control(job: dict[str, Any], answer: Connection) -> None:
    """Run a rollout; the answer is when it ended and its verdicts, none when it was refused at once."""
    # Who sits at the terminal speaks to the campaign, which ends its controllers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    verdicts: list[dict[str, Any]] = []
    with suppress(CloudError):
        more = {"batch": 1, "all_instance_ids": {}, "max_unavailable": None}
        more |= {"serial": None, "failed_instance_ids": []}
        found = _call(ecs_patch_info.core, job, more)
        verdicts = list(_call(ecs_patch.core, job, {"preflight": found})["instances"].values())
    with suppress(BrokenPipeError):  # the campaign was ended
        answer.send((time.time(), verdicts))
    answer.close()


def _call(core: Callable[[Context], dict[str, Any]], job: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    clock = RealClock()
    return core(Context(job | more, check_mode=False, clock=clock, progress=Progress(clock, enabled=False)))
