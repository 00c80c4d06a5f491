#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_patch_release
short_description: Give back the ECS instances that a run has leased
description:
  - Removes the leases that M(cloudops.alibaba.ecs_patch_info) has written for a run with C(max_unavailable), so that
    other runs may work on hosts of the same groups. Leases of other runs and other tags stay.
  - When that is not possible it warns and does not fail, because a lease ends by itself. Until then other runs leave
    the host alone, and count it as unavailable.
  - It runs once for a batch of hosts (with C(run_once)), and a strategy without batches is refused.
extends_documentation_fragment:
  - cloudops.alibaba._instances.batch
  - cloudops.alibaba._connection
  - cloudops.alibaba._attributes
attributes:
  async:
    support: full
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  instances:
    description: The hosts to give back.
  run_id:
    description: The name of the run that has leased them.
    type: str
    required: true
seealso:
  - module: cloudops.alibaba.ecs_patch_info
author:
  - cloudops.alibaba contributors (@cloudops-alibaba)
"""

EXAMPLES = r"""
- name: Give two hosts back
  cloudops.alibaba.ecs_patch_release:
    region_id: cn-hangzhou
    instances:
      - instance_id: i-bp1demoweb0000000001
      - instance_id: i-bp1demoweb0000000002
    run_id: CHG-1234
  run_once: true
"""

RETURN = r"""
released_ids:
  description: The instances that the run has no lease on any more; in check mode those that it would have none on.
  returned: always
  type: list
  elements: str
refused:
  description: True when the call was refused before anything was done. It then returns nothing else.
  returned: when refused
  type: bool
"""

from ..module_utils._module import Context, run_module
from ..module_utils._patch.run import BATCH_SPEC, give_back


def core(context: Context) -> dict:
    params = context.params
    return give_back(
        context.connect,
        params["instances"],
        params["region_id"],
        run_id=params["run_id"],
        dry=context.check_mode,
    )


def main() -> None:
    run_module(
        BATCH_SPEC
        | {
            "run_id": {"type": "str", "required": True},
        },
        core,
    )


if __name__ == "__main__":
    main()
