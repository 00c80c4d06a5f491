#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_instance_state
short_description: Start or stop ECS instances
description:
  - Brings instances into a state with StartInstances or StopInstances, each for itself, and waits until they are in it.
    What is in it already is left alone.
  - An instance that is on its way somewhere else is waited for first.
  - Each instance is asked once. When the answer is lost it is not asked again; its status then tells what came of it.
  - This needs no Cloud Assistant Agent, and works on every operating system.
extends_documentation_fragment:
  - cloudops.alibaba._instances
  - cloudops.alibaba._instances.progress
  - cloudops.alibaba._connection
  - cloudops.alibaba._attributes
attributes:
  async:
    support: full
  check_mode:
    support: full
    details:
      - Returns which instances would be started or stopped.
  diff_mode:
    support: full
    details:
      - Shows the statuses of the instances that are started or stopped.
  idempotent:
    support: full
options:
  instance_ids:
    description:
      - The instances, any number of them in one region. Calls take 100 instances each.
      - An instance that the API refuses to start or to stop is reported as failed with the reason, and keeps the others
        from nothing. For ids that there are not see O(fail_on_instance_failure).
      - Managed instances (C(mi-…)) are refused, because the API has no power over them.
  state:
    description: What the instances are to be.
    type: str
    choices: [running, stopped]
    required: true
  force:
    description:
      - Whether to cut the power instead of shutting down. What is not written to disk is lost.
      - For O(state=stopped) only.
    type: bool
    default: false
  stopped_mode:
    description:
      - What becomes of the resources and the bill of an instance that is stopped. With V(StopCharging), vCPUs, memory
        and static public addresses are given back and not charged for; starting may later fail for want of resources,
        and the public address may be another one. With V(KeepCharging) all is kept, and charged for.
      - If not set, the account's default is used. Instances that are stopped already keep the mode that they are in,
        see RV(instances.stopped_mode).
      - For O(state=stopped) only.
    type: str
    choices: [StopCharging, KeepCharging]
  timeout:
    description: How many seconds the instances may take together.
    type: int
    default: 600
seealso:
  - module: cloudops.alibaba.ecs_reboot
author:
  - cloudops.alibaba contributors (@cloudops-alibaba)
"""

EXAMPLES = r"""
- name: Stop two instances for the night
  cloudops.alibaba.ecs_instance_state:
    region_id: cn-hangzhou
    instance_ids:
      - i-bp1demoweb0000000005
      - i-bp1demoweb0000000006
    state: stopped
    stopped_mode: StopCharging

- name: Start them again
  cloudops.alibaba.ecs_instance_state:
    region_id: cn-hangzhou
    instance_ids:
      - i-bp1demoweb0000000005
      - i-bp1demoweb0000000006
    state: running
"""

RETURN = r"""
instances:
  description: What came of it on each instance, by instance id.
  returned: always
  type: dict
  contains:
    region_id:
      description: The instance's region.
      type: str
    ok:
      description: Whether the instance is in the state; null in check mode, of an instance that is not yet.
      type: bool
    changed:
      description:
        - Whether it was, or in check mode would be, started or stopped. Also true when that is unknown because the
          answer was lost.
      type: bool
    status_before:
      description: Its status at first, or null if there is no such instance.
      type: str
      sample: Running
    status:
      description: Its status in the end, or null if there is no such instance.
      type: str
      sample: Stopped
    stopped_mode:
      description:
        - How it is stopped, C(StopCharging) or C(KeepCharging); C(Not-applicable) while it runs, or null if the API
          does not say.
      type: str
    failure:
      description: Null, or one of instance, input, network, timeout and lost.
      type: str
    error_code:
      description: The API's error code, or null.
      type: str
    error_info:
      description: What went wrong and what to do about it, or null.
      type: str
succeeded_ids:
  description: The ids of the instances that are in the state.
  returned: always
  type: list
  elements: str
failed_ids:
  description: The ids of the instances that failed.
  returned: always
  type: list
  elements: str
refused:
  description: True when the call was refused before anything was done. It then returns nothing else.
  returned: when refused
  type: bool
"""

from ..module_utils._instances.bring import set_state
from ..module_utils._instances.state import Wish
from ..module_utils._module import INSTANCES_SPEC, Context, run_module


def core(context: Context) -> dict:
    params = context.params
    return set_state(
        context.connect,
        params["instance_ids"],
        Wish(params["state"], params["force"], params["stopped_mode"]),
        timeout_s=params["timeout"],
        dry=context.check_mode,
        fail=params["fail_on_instance_failure"],
        clock=context.clock,
        progress=context.progress,
    )


def main() -> None:
    run_module(
        INSTANCES_SPEC
        | {
            "state": {"type": "str", "choices": ["running", "stopped"], "required": True},
            "force": {"type": "bool", "default": False},
            "stopped_mode": {"type": "str", "choices": ["StopCharging", "KeepCharging"]},
            "timeout": {"type": "int", "default": 600},
        },
        core,
    )


if __name__ == "__main__":
    main()
