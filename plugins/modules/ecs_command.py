#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_command
short_description: Save, change and delete Cloud Assistant commands
description:
  - Sees that a command is saved in Cloud Assistant as it shall be, or that it is not.
    M(cloudops.alibaba.ecs_run_command) runs it by its id.
  - A command is found by O(command_id), or by its exact O(name).
  - Name, description, timeout, folder and launcher are changed in place. The API cannot change script, kind,
    parameters, tags and resource group. For those a new command is made and then the old one deleted, so that the id
    changes.
extends_documentation_fragment:
  - cloudops.alibaba._connection
  - cloudops.alibaba._attributes
attributes:
  async:
    support: full
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows scripts.
  idempotent:
    support: full
options:
  state:
    description: Whether the command shall be saved.
    type: str
    choices: [present, absent]
    default: present
  command_id:
    description: The command to change or to delete. A new one gets its id from the service.
    type: str
  name:
    description: The command's name, at most 128 characters. With O(command_id) it is its new name.
    type: str
  content:
    description:
      - The script, at most 18 KB in Base64. Needed for O(state=present), unless O(src) is set.
      - To keep Jinja from templating braces in it, use O(src).
    type: str
  src:
    description:
      - A file with the script, on the controller. A relative path is looked for in the C(files) folder of the role and
        beside the playbook.
    type: path
  type:
    description: The kind of script.
    type: str
    choices: [RunShellScript, RunBatScript, RunPowerShellScript]
    default: RunShellScript
  description:
    description: What the command is for, at most 512 characters. If not set, it stays as it is.
    type: str
  timeout:
    description:
      - How many seconds the script may run when whoever runs it does not say, at least 10. If not set, it stays as it
        is; a new command gets 3600, not the 60 of the API.
    type: int
  working_dir:
    description: The folder to run in. If not set, it stays as it is.
    type: str
  launcher:
    description: The program that starts the script, at most 1 KB. If not set, it stays as it is.
    type: str
  enable_parameter:
    description: Whether the script has parameters, C({{name}}) or built-in ones such as C({{ACS::InstanceId}}).
    type: bool
    default: false
  tags:
    description: The command's tags, all of them. If not set, they stay as they are.
    type: dict
  resource_group_id:
    description: The command's resource group. If not set, it stays as it is.
    type: str
seealso:
  - module: cloudops.alibaba.ecs_command_info
  - module: cloudops.alibaba.ecs_run_command
author:
  - cloudops.alibaba contributors (@cloudops-alibaba)
"""

EXAMPLES = r"""
- name: Save a command
  cloudops.alibaba.ecs_command:
    region_id: cn-hangzhou
    name: disk-usage
    content: df -h /
    timeout: 60
  register: disk_usage

- name: Run it
  cloudops.alibaba.ecs_run_command:
    region_id: cn-hangzhou
    instance_ids: [i-bp1demoweb0000000001]
    command_id: "{{ disk_usage.command_id | default('c-not-saved-in-check-mode', true) }}"

- name: Delete it
  cloudops.alibaba.ecs_command:
    region_id: cn-hangzhou
    name: disk-usage
    state: absent
"""

RETURN = r"""
command_id:
  description:
    - The id of the command, also of one that was deleted. Null where there is none, as for a new one in check mode.
  returned: always
  type: str
  sample: c-hz01abcdefghijk
replaced_id:
  description: The id of the command that a new one stands for, or null.
  returned: always
  type: str
refused:
  description: True when the call was refused before anything was done. It then returns nothing else.
  returned: when refused
  type: bool
"""

from ..module_utils._cloud_assistant.saved import Wish, remove_command, save_command
from ..module_utils._module import Context, read_text, run_module


def core(context: Context) -> dict:
    params = context.params
    which = {"command_id": params["command_id"], "dry": context.check_mode}
    if params["state"] == "absent":
        return remove_command(context.connect, name=params["name"], **which)
    tags = params["tags"]
    wish = Wish(
        content=read_text(params, "content"),
        name=params["name"],
        type=params["type"],
        description=params["description"],
        timeout_s=params["timeout"],
        working_dir=params["working_dir"],
        launcher=params["launcher"],
        enable_parameter=params["enable_parameter"],
        tags=None if tags is None else {key: str(value) for key, value in tags.items()},
        resource_group_id=params["resource_group_id"],
    )
    return save_command(context.connect, wish, **which)


def main() -> None:
    run_module(
        {
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "command_id": {"type": "str"},
            "name": {"type": "str"},
            "content": {"type": "str"},
            "src": {"type": "path"},
            "type": {
                "type": "str",
                "choices": ["RunShellScript", "RunBatScript", "RunPowerShellScript"],
                "default": "RunShellScript",
            },
            "description": {"type": "str"},
            "timeout": {"type": "int"},
            "working_dir": {"type": "str"},
            "launcher": {"type": "str"},
            "enable_parameter": {"type": "bool", "default": False},
            "tags": {"type": "dict"},
            "resource_group_id": {"type": "str"},
        },
        core,
        mutually_exclusive=[["content", "src"]],
        required_one_of=[["command_id", "name"]],
        required_if=[("state", "present", ["content", "src"], True)],
    )


if __name__ == "__main__":
    main()
