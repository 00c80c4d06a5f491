#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_wait_invocation
short_description: Wait for Cloud Assistant invocations and read their results
description:
  - Waits until invocations have ended on all their instances, and returns the results. That changes nothing, unless
    O(on_timeout=stop) stops something.
  - It polls once for each invocation, however many instances that has, managed ones (C(mi-…)) included, and reads
    outputs once.
extends_documentation_fragment:
  - cloudops.alibaba._instances.results
  - cloudops.alibaba._instances.progress
  - cloudops.alibaba._connection
  - cloudops.alibaba._attributes
attributes:
  async:
    support: full
  check_mode:
    support: full
    details:
      - Does not wait, and returns the results as they stand. Nothing is stopped.
  diff_mode:
    support: N/A
    details:
      - Only what runs anyway is waited for.
  idempotent:
    support: full
options:
  invoke_ids:
    description: The invocations.
    type: list
    elements: str
    required: true
  timeout:
    description:
      - How many seconds to wait. What has not ended then is reported as failed with O(ignore:failure=lost), with all
        that is known of it.
    type: int
    default: 3600
  on_timeout:
    description:
      - What becomes of a script that has not ended after the wait. V(leave) lets it run; V(stop) stops it, and reports
        it as failed with O(ignore:failure=timeout). Both are told in the message, and by C(timed_out) of each instance.
    type: str
    choices: [leave, stop]
    default: leave
seealso:
  - module: cloudops.alibaba.ecs_run_command
  - module: cloudops.alibaba.ecs_stop_invocation
author:
  - cloudops.alibaba contributors (@cloudops-alibaba)
"""

EXAMPLES = r"""
- name: Start a script
  cloudops.alibaba.ecs_run_command:
    region_id: cn-hangzhou
    instance_ids: [i-bp1demoweb0000000001]
    content: sleep 1; hostname
    wait: false
  register: started

- name: Wait for what was started, at most ten minutes
  cloudops.alibaba.ecs_wait_invocation:
    region_id: cn-hangzhou
    invoke_ids: "{{ started.invocations | map(attribute='invoke_id') }}"
    timeout: 600
"""

RETURN = r"""
instances:
  description:
    - The result on each instance, by instance id, as in
      RV(cloudops.alibaba.ecs_run_command#module:instances).
  returned: always
  type: dict
succeeded_ids:
  description: The ids of the instances on which it worked.
  returned: always
  type: list
  elements: str
failed_ids:
  description: The ids of the instances on which it failed.
  returned: always
  type: list
  elements: str
refused:
  description: True when the call was refused before anything was done. It then returns nothing else.
  returned: when refused
  type: bool
"""

from ..module_utils._cloud_assistant.run import wait_for_invocations
from ..module_utils._module import RESULTS_SPEC, Context, run_module


def core(context: Context) -> dict:
    params = context.params
    return wait_for_invocations(
        context.connect(),
        params["invoke_ids"],
        timeout_s=0 if context.check_mode else params["timeout"],
        stop_late=params["on_timeout"] == "stop" and not context.check_mode,
        fail=params["fail_on_instance_failure"],
        clock=context.clock,
        progress=context.progress,
    )


def main() -> None:
    run_module(
        RESULTS_SPEC
        | {
            "invoke_ids": {"type": "list", "elements": "str", "required": True},
            "timeout": {"type": "int", "default": 3600},
            "on_timeout": {"type": "str", "choices": ["leave", "stop"], "default": "leave"},
        },
        core,
    )


if __name__ == "__main__":
    main()
