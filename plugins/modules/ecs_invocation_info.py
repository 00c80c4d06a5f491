#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_invocation_info
short_description: Look at Cloud Assistant invocations
description:
  - Finds invocations by their ids, tags, commands or instances, and tells how they ended on each instance.
  - It does not wait. Scripts and their parameters are not returned, because they may hold secrets.
  - The service keeps records of invocations for a limited time.
extends_documentation_fragment:
  - cloudops.alibaba._connection
  - cloudops.alibaba._attributes
  - cloudops.alibaba._attributes.info_module
options:
  invoke_ids:
    description: Only these invocations. Those that the region does not have, or no more, are listed in RV(missing).
    type: list
    elements: str
  instance_id:
    description: Only invocations in which this instance has part.
    type: str
  command_id:
    description: Only invocations of this command.
    type: str
  command_name:
    description: Only invocations of commands of this name. It does not count together with O(instance_id).
    type: str
  tags:
    description: Only invocations with all of these tags.
    type: dict
    default: {}
  scheduled:
    description:
      - Only what will run again (V(true)), or only what runs once and what is over (V(false)). If not set, the API
        decides.
    type: bool
  output:
    description: Whether to read what the scripts printed, too.
    type: bool
    default: false
seealso:
  - module: cloudops.alibaba.ecs_wait_invocation
  - module: cloudops.alibaba.ecs_stop_invocation
author:
  - cloudops.alibaba contributors (@cloudops-alibaba)
"""

EXAMPLES = r"""
- name: Run a script on two instances
  cloudops.alibaba.ecs_run_command:
    region_id: cn-hangzhou
    instance_ids: [i-bp1demoweb0000000001, i-bp1demoweb0000000002]
    content: hostname
    tags:
      change: CHG-1234

- name: Find it again by its tags
  cloudops.alibaba.ecs_invocation_info:
    region_id: cn-hangzhou
    tags:
      change: CHG-1234
    output: true
  register: found

- name: Name the instances on which something failed
  ansible.builtin.debug:
    msg: "{{ found.invocations.values() | map(attribute='instances') | map('dict2items') | flatten
      | selectattr('value.failure') | map(attribute='key') }}"
"""

RETURN = r"""
invocations:
  description: The invocations by invoke id, the newest first.
  returned: always
  type: dict
  contains:
    command_id:
      description: The id of the command.
      type: str
    name:
      description: The command's name, or an empty text.
      type: str
    description:
      description: The command's description, or an empty text.
      type: str
    type:
      description: The kind of script.
      type: str
      sample: RunShellScript
    status:
      description: Cloud Assistant's InvocationStatus of the whole.
      type: str
      sample: PartialFailed
    repeat_mode:
      description: When it runs.
      type: str
      sample: Once
    frequency:
      description: How often it runs, or an empty text.
      type: str
    timeout:
      description: How many seconds it may run on an instance.
      type: int
    working_dir:
      description: The folder it runs in, or an empty text.
      type: str
    username:
      description: The user it runs as, or an empty text.
      type: str
    tags:
      description: Its tags.
      type: dict
    created_at:
      description: When it was submitted, in UTC, or null.
      type: str
      sample: "2026-11-22T01:02:03Z"
    instances:
      description:
        - How it is on each instance, by instance id, as in RV(cloudops.alibaba.ecs_run_command#module:instances).
          Without O(output) outputs are empty.
      type: dict
missing:
  description: The ids of O(invoke_ids) that the region does not have, or that do not match.
  returned: always
  type: list
  elements: str
refused:
  description: True when the call was refused before anything was done. It then returns nothing else.
  returned: when refused
  type: bool
"""

from ..module_utils._cloud_assistant.look import invocation_info
from ..module_utils._module import Context, run_module


def core(context: Context) -> dict:
    params = context.params
    return invocation_info(
        context.connect(),
        invoke_ids=params["invoke_ids"],
        instance_id=params["instance_id"],
        command_id=params["command_id"],
        command_name=params["command_name"],
        tags={key: str(value) for key, value in params["tags"].items()},
        scheduled=params["scheduled"],
        output=params["output"],
    )


def main() -> None:
    run_module(
        {
            "invoke_ids": {"type": "list", "elements": "str"},
            "instance_id": {"type": "str"},
            "command_id": {"type": "str"},
            "command_name": {"type": "str"},
            "tags": {"type": "dict", "default": {}},
            "scheduled": {"type": "bool"},
            "output": {"type": "bool", "default": False},
        },
        core,
    )


if __name__ == "__main__":
    main()
