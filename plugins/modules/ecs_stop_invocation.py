#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_stop_invocation
short_description: Stop a Cloud Assistant invocation
description:
  - Stops a command where it still runs or waits to run, and ends one that is scheduled. Then it waits until the service
    says that it has ended.
  - The agent ends the script's own process, or with C(termination_mode=ProcessTree) of
    M(cloudops.alibaba.ecs_run_command) all that it has started. A script that an agent had in its queue may still run
    later.
extends_documentation_fragment:
  - cloudops.alibaba._instances.progress
  - cloudops.alibaba._connection
  - cloudops.alibaba._attributes
attributes:
  async:
    support: full
  check_mode:
    support: full
    details:
      - Tells where it still runs, and stops nothing.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  invoke_id:
    description: The id of the invocation, one.
    type: str
    required: true
  instance_ids:
    description: Only on these of its instances. If not set, on all.
    type: list
    elements: str
  timeout:
    description: How many seconds to wait for the end. Where it has not ended then, the task fails.
    type: int
    default: 60
seealso:
  - module: cloudops.alibaba.ecs_run_command
  - module: cloudops.alibaba.ecs_invocation_info
author:
  - cloudops.alibaba contributors (@cloudops-alibaba)
"""

EXAMPLES = r"""
- name: Start a script that takes long
  cloudops.alibaba.ecs_run_command:
    region_id: cn-hangzhou
    instance_ids: [i-bp1demoweb0000000001]
    content: sleep 600
    wait: false
  register: started

- name: Stop it
  cloudops.alibaba.ecs_stop_invocation:
    region_id: cn-hangzhou
    invoke_id: "{{ started.invocations[0].invoke_id }}"
"""

RETURN = r"""
instances:
  description:
    - The result on each instance, by instance id, as in RV(cloudops.alibaba.ecs_run_command#module:instances).
  returned: always
  type: dict
stopped_ids:
  description: The instances on which it ran and has ended now. In check mode it is empty.
  returned: always
  type: list
  elements: str
running_ids:
  description: The instances on which it has not ended. In check mode, those on which it would be stopped.
  returned: always
  type: list
  elements: str
refused:
  description: True when the call was refused before anything was done. It then returns nothing else.
  returned: when refused
  type: bool
"""

from ..module_utils._cloud_assistant.look import stop_invocation
from ..module_utils._module import PROGRESS_SPEC, Context, run_module


def core(context: Context) -> dict:
    params = context.params
    return stop_invocation(
        context.connect(),
        params["invoke_id"],
        params["instance_ids"],
        timeout_s=params["timeout"],
        dry=context.check_mode,
        clock=context.clock,
        progress=context.progress,
    )


def main() -> None:
    run_module(
        PROGRESS_SPEC
        | {
            "invoke_id": {"type": "str", "required": True},
            "instance_ids": {"type": "list", "elements": "str"},
            "timeout": {"type": "int", "default": 60},
        },
        core,
    )


if __name__ == "__main__":
    main()
