#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_command_info
short_description: Look at saved Cloud Assistant commands
description:
  - Describes the account's saved commands of a region, all or those that match.
extends_documentation_fragment:
  - cloudops.alibaba._connection
  - cloudops.alibaba._attributes
  - cloudops.alibaba._attributes.info_module
options:
  command_ids:
    description: Only these commands. Those that the region does not have are listed in RV(missing).
    type: list
    elements: str
  name:
    description: Only commands of this name; C(*) stands for any text.
    type: str
  type:
    description: Only scripts of this kind.
    type: str
    choices: [RunShellScript, RunBatScript, RunPowerShellScript]
  tags:
    description: Only commands with all of these tags.
    type: dict
    default: {}
  content:
    description: Whether to return the scripts, too.
    type: bool
    default: false
seealso:
  - module: cloudops.alibaba.ecs_command
author:
  - cloudops.alibaba contributors (@cloudops-alibaba)
"""

EXAMPLES = r"""
- name: Save a command
  cloudops.alibaba.ecs_command:
    region_id: cn-hangzhou
    name: patch-check
    content: dnf check-update
    tags:
      team: platform

- name: Look at the commands of a team
  cloudops.alibaba.ecs_command_info:
    region_id: cn-hangzhou
    tags:
      team: platform
    content: true
  register: saved

- name: Name those that may run for longer than an hour
  ansible.builtin.debug:
    msg: "{{ saved.commands.values() | selectattr('timeout', '>', 3600) | map(attribute='name') }}"
"""

RETURN = r"""
commands:
  description: The commands by command id.
  returned: always
  type: dict
  contains:
    name:
      description: The command's name.
      type: str
    description:
      description: What it is for, or an empty text.
      type: str
    type:
      description: The kind of script.
      type: str
      sample: RunShellScript
    content:
      description: The script.
      returned: with O(content)
      type: str
    timeout:
      description: How many seconds it may run when whoever runs it does not say.
      type: int
    working_dir:
      description: The folder it runs in, or an empty text.
      type: str
    launcher:
      description: The program that starts it, or an empty text.
      type: str
    enable_parameter:
      description: Whether it has parameters.
      type: bool
    parameter_names:
      description: The names of its parameters.
      type: list
      elements: str
    tags:
      description: Its tags.
      type: dict
    resource_group_id:
      description: Its resource group, or an empty text.
      type: str
    created_at:
      description: When it was saved, in UTC, or null.
      type: str
      sample: "2026-11-22T01:02:03Z"
    invoke_times:
      description: How often it was run.
      type: int
missing:
  description: The ids of O(command_ids) that the region does not have, or that do not match.
  returned: always
  type: list
  elements: str
refused:
  description: True when the call was refused before anything was done. It then returns nothing else.
  returned: when refused
  type: bool
"""

from ..module_utils._cloud_assistant.saved import command_info
from ..module_utils._module import Context, run_module


def core(context: Context) -> dict:
    params = context.params
    return command_info(
        context.connect(),
        command_ids=params["command_ids"],
        name=params["name"],
        script_type=params["type"],
        tags={key: str(value) for key, value in params["tags"].items()},
        content=params["content"],
    )


def main() -> None:
    run_module(
        {
            "command_ids": {"type": "list", "elements": "str"},
            "name": {"type": "str"},
            "type": {"type": "str", "choices": ["RunShellScript", "RunBatScript", "RunPowerShellScript"]},
            "tags": {"type": "dict", "default": {}},
            "content": {"type": "bool", "default": False},
        },
        core,
    )


if __name__ == "__main__":
    main()
