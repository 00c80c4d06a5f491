#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_run_command
short_description: Run a script on ECS instances through Cloud Assistant
description:
  - Runs a shell, batch or PowerShell script on any number of ECS instances with Cloud Assistant's RunCommand, and waits
    for the results.
  - One API call serves 100 instances. A request that is repeated for the network's sake carries a client token, so that
    the script runs once.
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
      - Checks the options and which instances are fit, and runs nothing.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - A script runs each time. Whether that changes anything is the script's affair.
options:
  content:
    description:
      - The script. At most 24 KB in Base64.
      - To keep Jinja from templating braces in it, tag it C(!unsafe), or use O(src).
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
  timeout:
    description:
      - How many seconds the script may run on an instance, at least 10. After that the agent kills the shell that it
        started, though not what that shell has started.
    type: int
    default: 3600
  working_dir:
    description: The folder to run in. If not set, that is C(/root) on Linux.
    type: str
  name:
    description: A name for the command, shown in the console.
    type: str
  description:
    description: A description for the command, shown in the console.
    type: str
  tags:
    description: Tags for the command and its invocations, at most 20.
    type: dict
    default: {}
  wait:
    description:
      - Whether to wait until the script has ended on every instance. Without waiting, use
        M(cloudops.alibaba.ecs_wait_invocation) later.
    type: bool
    default: true
seealso:
  - module: cloudops.alibaba.ecs_wait_invocation
author:
  - cloudops.alibaba contributors (@cloudops-alibaba)
"""

EXAMPLES = r"""
- name: Look at the uptime of two instances
  cloudops.alibaba.ecs_run_command:
    region_id: cn-hangzhou
    instance_ids:
      - i-bp1demoweb0000000001
      - i-bp1demoweb0000000002
    content: uptime
    timeout: 30
  register: uptime

- name: Show it
  ansible.builtin.debug:
    msg: "{{ uptime.instances['i-bp1demoweb0000000001'].output }}"

- name: Start a script and do not wait for it
  cloudops.alibaba.ecs_run_command:
    region_id: cn-hangzhou
    instance_ids: [i-bp1demoweb0000000001]
    content: |
      #!/bin/sh
      echo started
      sleep 1
    tags:
      change: CHG-1234
    wait: false
  register: started

- name: Wait for it later
  cloudops.alibaba.ecs_wait_invocation:
    region_id: cn-hangzhou
    invoke_ids: "{{ started.invocations | map(attribute='invoke_id') }}"
"""

RETURN = r"""
instances:
  description: The result on each instance, by instance id.
  returned: always
  type: dict
  contains:
    region_id:
      description: The instance's region.
      type: str
    invoke_id:
      description: The id of the invocation; null where nothing was submitted.
      type: str
    command_id:
      description: The id of the command; null where nothing was submitted.
      type: str
    status:
      description: Cloud Assistant's InvocationStatus; null where nothing was submitted.
      type: str
      sample: Success
    ok:
      description:
        - Whether it worked. An exit code that asks for a restart or a stop counts as working.
        - Null while that is not known, with O(wait=false).
      type: bool
    exit_code:
      description: The script's exit code; null where it did not end by itself.
      type: int
      sample: 0
    output:
      description:
        - What the script printed, standard output and error together. Long outputs lose their middle or beginning.
      type: str
    output_dropped:
      description: How many bytes of output were lost.
      type: int
    error_code:
      description: The API's ErrorCode, or null.
      type: str
    error_info:
      description: What went wrong and what to do about it, or null.
      type: str
    failure:
      description: Null, or one of script, timeout, stopped, agent, network, instance, input, not_delivered and lost.
      type: str
    started_at:
      description: When the script began, in UTC, or null.
      type: str
      sample: "2026-11-22T01:02:03Z"
    finished_at:
      description: When the script ended, in UTC, or null.
      type: str
    power_action:
      description: The power action that the script asked for with its exit code, one of none, restart and stop.
      type: str
      sample: none
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
invocations:
  description: What was submitted.
  returned: always
  type: list
  elements: dict
  contains:
    invoke_id:
      description: The id of the invocation.
      type: str
    command_id:
      description: The id of the command.
      type: str
    instance_ids:
      description: The instances it was submitted for.
      type: list
      elements: str
refused:
  description: True when the call was refused before anything was done. It then returns nothing else.
  returned: when refused
  type: bool
"""

from ..module_utils._cloud_assistant.command import Command
from ..module_utils._cloud_assistant.run import run_command
from ..module_utils._module import Context, read_text, run_module


def core(context: Context) -> dict:
    params = context.params
    command = Command(
        content=read_text(params, "content"),
        type=params["type"],
        timeout_s=params["timeout"],
        working_dir=params["working_dir"],
        name=params["name"],
        description=params["description"],
        tags={key: str(value) for key, value in params["tags"].items()},
    )
    return run_command(
        context.connect,
        command,
        params["instance_ids"],
        wait=params["wait"],
        dry=context.check_mode,
        fail=params["fail_on_instance_failure"],
        clock=context.clock,
        progress=context.progress,
    )


def main() -> None:
    run_module(
        {
            "instance_ids": {"type": "list", "elements": "str", "required": True},
            "content": {"type": "str"},
            "src": {"type": "path"},
            "type": {
                "type": "str",
                "choices": ["RunShellScript", "RunBatScript", "RunPowerShellScript"],
                "default": "RunShellScript",
            },
            "timeout": {"type": "int", "default": 3600},
            "working_dir": {"type": "str"},
            "name": {"type": "str"},
            "description": {"type": "str"},
            "tags": {"type": "dict", "default": {}},
            "wait": {"type": "bool", "default": True},
            "fail_on_instance_failure": {"type": "bool", "default": True},
            "progress": {"type": "bool", "default": True},
        },
        core,
        mutually_exclusive=[["content", "src"]],
        required_one_of=[["content", "src"]],
    )


if __name__ == "__main__":
    main()
