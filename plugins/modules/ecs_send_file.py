#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_send_file
short_description: Put a file on ECS instances through Cloud Assistant
description:
  - Puts a file of at most 10 MiB on any number of Linux instances, without SSH and without a bucket. Where the file is
    already as it shall be, nothing is changed.
  - A file that fits into a script (some 16 KB after compression) travels with it, in one command for all instances. A
    larger one is compressed and sent with SendFile in parts of 24 KB, but only to the instances that need it, and put
    together there; its checksum is compared.
  - The new content takes the file's place at once, so that nobody reads half of it. A link is followed.
  - Managed instances (C(mi-…)) get it too.
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
      - Runs a command on the instances that only looks at the file.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  dest:
    description: The whole path of the file on the instances. Its folder must be there.
    type: str
    required: true
  src:
    description:
      - The file on the controller, text or not. A relative path is looked for in the C(files) folder of the role and
        beside the playbook.
    type: path
  content:
    description: What the file shall contain, in place of O(src). It may be empty.
    type: str
  mode:
    description:
      - The file's mode in octal digits, in quotes, such as V('0644'). If not set, a file keeps its own, and a new one
        gets V('0644'). A number is refused, because YAML has made 420 of C(0644) by then.
    type: raw
  owner:
    description: The file's owner, by name or number. If not set, a file keeps its own, and a new one is root's.
    type: str
  group:
    description: The file's group, by name or number, likewise.
    type: str
  timeout:
    description: How many seconds all of it may take, at least 10.
    type: int
    default: 600
seealso:
  - module: cloudops.alibaba.ecs_run_command
author:
  - cloudops.alibaba contributors (@cloudops-alibaba)
"""

EXAMPLES = r"""
- name: Greet those who log in
  cloudops.alibaba.ecs_send_file:
    region_id: cn-hangzhou
    instance_ids:
      - i-bp1demoweb0000000001
      - i-bp1demoweb0000000002
    dest: /etc/motd
    content: |
      Patched with cloudops.alibaba
    mode: '0644'
  register: motd

- name: Name the instances where it was another one before
  ansible.builtin.debug:
    msg: "{{ motd.instances | dict2items | selectattr('value.changed') | map(attribute='key') }}"
"""

RETURN = r"""
instances:
  description: What became of the file on each instance, by instance id.
  returned: always
  type: dict
  contains:
    region_id:
      description: The instance's region.
      type: str
    invoke_id:
      description: The id of the last command that looked at the file; null where none could.
      type: str
    ok:
      description: Whether the file is now as it shall be. In check mode, whether it could be looked at.
      type: bool
    changed:
      description: Whether it was not before.
      type: bool
    failure:
      description: Null, or one of script, timeout, stopped, agent, network, instance, input, not_delivered and lost.
      type: str
    error_code:
      description: The API's ErrorCode, or null.
      type: str
    error_info:
      description: What went wrong and what to do about it, or null.
      type: str
    finished_at:
      description: When the last command ended, in UTC, or null.
      type: str
      sample: "2026-11-22T01:02:03Z"
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

from ..module_utils._cloud_assistant.placing import File
from ..module_utils._cloud_assistant.send import send_file
from ..module_utils._module import INSTANCES_SPEC, Context, run_module
from ..module_utils._sources import read_bytes


def core(context: Context) -> dict:
    params = context.params
    content = read_bytes(params["src"], "src") if params["src"] else params["content"].encode()
    return send_file(
        context.connect,
        File(params["dest"], content, params["mode"], params["owner"], params["group"]),
        params["instance_ids"],
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
            "dest": {"type": "str", "required": True},
            "src": {"type": "path"},
            "content": {"type": "str"},
            "mode": {"type": "raw"},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "timeout": {"type": "int", "default": 600},
        },
        core,
        mutually_exclusive=[["content", "src"]],
        required_one_of=[["content", "src"]],
    )


if __name__ == "__main__":
    main()
