#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_reboot
short_description: Restart ECS instances through the API and prove it
description:
  - Restarts instances with RebootInstances, each for itself, and proves each restart by a changed boot id, asked for
    through Cloud Assistant before and after. Windows has no boot id; there it is the time of the last boot
    (C(LastBootUpTime)) that must have changed, by more than a clock that is set right would change it.
  - An instance is asked to restart once. When the answer is lost it is not asked again; the instance is looked into
    instead, and when that does not tell either, its receipt says C(unknown).
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
      - Checks which instances are fit, and restarts nothing.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Every run restarts the instances.
options:
  instance_ids:
    description:
      - The instances, any number of them in one region, with Linux or Windows. Calls take 100 instances each.
      - An instance that does not run, has no agent online, or that the API refuses to restart is reported as failed
        with the reason, and keeps the others from nothing. For ids that there are not see O(fail_on_instance_failure).
      - Managed instances (C(mi-…)) are refused, because the API has no power over them.
  force:
    description:
      - Whether to cut the power instead of shutting down. What is not written to disk is lost.
      - Instances whose boot id cannot be read are then restarted too, though nothing can be proven for them.
    type: bool
    default: false
  timeout:
    description:
      - How many seconds an instance may take to come back. Instances are asked for their boot ids before that, and once
        more at its end; each of the two may take another 120 seconds, a limit that cannot be changed.
    type: int
    default: 600
seealso:
  - module: cloudops.alibaba.ecs_instance_state
  - module: cloudops.alibaba.ecs_cloud_assistant
author:
  - cloudops.alibaba contributors (@cloudops-alibaba)
"""

EXAMPLES = r"""
- name: Restart two instances and prove it
  cloudops.alibaba.ecs_reboot:
    region_id: cn-hangzhou
    instance_ids:
      - i-bp1demoweb0000000001
      - i-bp1demoweb0000000002
  register: restart

- name: Show the proof
  ansible.builtin.debug:
    msg: "{{ restart.instances['i-bp1demoweb0000000001'].receipt.evidence }}"
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
      description: Whether the restart is proven; null in check mode, of an instance that is fit.
      type: bool
    failure:
      description: Null, or one of agent, network, instance, timeout and lost.
      type: str
    error_code:
      description: The API's error code, or null.
      type: str
    error_info:
      description: What went wrong and what to do about it, or null.
      type: str
    receipt:
      description: The evidence.
      type: dict
      contains:
        verdict:
          description:
            - One of restarted, not_restarted and unknown. It is not_restarted where no restart was asked for, where the
              API refused it, and where the old boot id was seen afterwards. It is unknown where nothing proves either.
          type: str
          sample: restarted
        method:
          description: How the restart was asked for, V(api), or V(none) when it was not.
          type: str
        boot_id_before:
          description: The boot id before, on Windows the time of the boot, or null if it was not seen.
          type: str
        boot_id_after:
          description: The boot id after, on Windows the time of the boot, or null if it was not seen.
          type: str
        requested_at:
          description: When the restart was asked for, in UTC, or null if it was not.
          type: str
        proven_at:
          description: When the new boot id was seen, in UTC, or null if it was not.
          type: str
        evidence:
          description: What the verdict rests on, in words.
          type: list
          elements: str
succeeded_ids:
  description: The ids of the instances whose restart is proven.
  returned: always
  type: list
  elements: str
failed_ids:
  description: The ids of the other instances.
  returned: always
  type: list
  elements: str
refused:
  description: True when the call was refused before anything was done. It then returns nothing else.
  returned: when refused
  type: bool
"""

from ..module_utils._module import INSTANCES_SPEC, Context, run_module
from ..module_utils._restart.run import reboot_instances


def core(context: Context) -> dict:
    params = context.params
    return reboot_instances(
        context.connect,
        params["instance_ids"],
        force=params["force"],
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
            "force": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 600},
        },
        core,
    )


if __name__ == "__main__":
    main()
