#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_run_command
short_description: Run a script on ECS instances through Cloud Assistant
description:
  - Runs a shell, batch or PowerShell script on any number of ECS instances with Cloud Assistant's RunCommand, or a
    saved command with InvokeCommand, and waits for the results.
  - One API call serves 100 instances. A request that is repeated for the network's sake carries a client token, so that
    the script runs once. A command itself is never repeated.
  - What the API would refuse is refused before the first request, in check mode too.
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
      - Checks the options and which instances are fit, and runs nothing. Whether O(unless) holds is not known then.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - A script runs each time, unless O(unless) says that there is nothing to do.
options:
  instance_ids:
    description:
      - The instances, any number of them in one region. Calls take 100 instances each; more are several calls side by
        side.
      - An instance that does not run or has no agent online is reported as failed with the reason, and keeps the others
        from nothing. For others see O(fail_on_instance_failure).
      - Managed instances (C(mi-…)), which are computers outside ECS with a registered agent, may stand among them. They
        are to be connected, and of the script's platform.
    type: list
    elements: str
    required: false
  instance_tags:
    description:
      - All ECS instances of the region with all of these tags, in place of O(instance_ids). An empty value stands for
        any. Managed instances are not found by tags.
      - They are looked up first, so that there may be more than the 100 that RunCommand finds by tags, and one that is
        stopped keeps the others from nothing.
    type: dict
  content:
    description:
      - The script. At most 24 KB in Base64, or 18 KB with O(keep_command); O(parameters) count with it.
      - To keep Jinja from templating braces in it, tag it C(!unsafe), or use O(src).
    type: str
  src:
    description:
      - A file with the script, on the controller. A relative path is looked for in the C(files) folder of the role and
        beside the playbook.
    type: path
  command_id:
    description:
      - A saved command to run, as M(cloudops.alibaba.ecs_command) makes them. It brings its script, and its time and
        folder where O(timeout) and O(working_dir) are not set.
    type: str
  type:
    description:
      - The kind of script.
      - On Windows a script should end with C(exit) and a code. Its exit code 3010 asks for a restart, and 3009 for a
        stop, as 194 and 193 do on Linux.
    type: str
    choices: [RunShellScript, RunBatScript, RunPowerShellScript]
    default: RunShellScript
  unless:
    description:
      - A script that ends with 0 when there is nothing to do. The script is then skipped on that instance, which has
        RV(instances.skipped) set.
      - It is wrapped with the script, so that it is one command for all instances however it decides on each. What it
        prints is dropped.
      - On Linux it is a shell script, whatever the script is written in. On Windows it is a PowerShell script of at
        most 3,000 characters.
    type: str
  parameters:
    description:
      - Values for the parameters C({{name}}) in the script, at most ten, put into its text as they are. They are texts.
      - Each parameter of the script needs a value, which may be empty. One that is forgotten is refused before anything
        runs, because the API would put nothing in its place. In a saved command that was given defaults for its
        parameters, those may be left out.
    type: dict
    default: {}
  enable_parameter:
    description:
      - Whether the script has parameters, built-in ones such as C({{ACS::InstanceId}}) included.
      - It has whenever there are O(parameters).
    type: bool
    default: false
  timeout:
    description:
      - How many seconds the script may run on an instance, at least 10. After that the agent ends it as
        O(termination_mode) says.
      - If not set, 3600 (never the 60 of the API), or with O(command_id) what was saved with the command.
    type: int
  termination_mode:
    description:
      - What is ended when the script takes too long or is stopped, its own process or all that it has started. The
        service ends the process alone if this is not set.
    type: str
    choices: [Process, ProcessTree]
  working_dir:
    description: The folder to run in. If not set, that is C(/root) on Linux, and on Windows where the agent is.
    type: str
  username:
    description:
      - The user to run as. If not set, that is root on Linux and System on Windows.
    type: str
  windows_password_name:
    description:
      - The name of a secret parameter in CloudOps Orchestration Service that holds the password of O(username), which
        Windows needs.
    type: str
  container_id:
    description:
      - The id of a container on the instance to run in, 64 hexadecimal digits, which C(docker://), C(containerd://) or
        C(cri-o://) may stand before. Only on Linux, and neither O(username) nor O(working_dir) count there.
    type: str
  container_name:
    description: The name of a container to run in, likewise.
    type: str
  launcher:
    description: The program that starts the script, at most 1 KB.
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
  keep_command:
    description: Whether the command is kept as a saved one, to be run again by its id.
    type: bool
    default: false
  repeat_mode:
    description:
      - When the script runs. V(Once) is now; V(Period) as O(frequency) says; V(NextRebootOnly) at the instance's next
        start; V(EveryReboot) at each of its starts; V(DryRun) never, and only checks whether it could.
      - If not set, V(Once), or V(Period) with O(frequency).
      - What is for later is not waited for. M(cloudops.alibaba.ecs_invocation_info) tells of its runs, and
        M(cloudops.alibaba.ecs_stop_invocation) ends it.
    type: str
    choices: [Once, Period, NextRebootOnly, EveryReboot, DryRun]
  frequency:
    description:
      - When the script runs again, as V(rate(5m\)), V(at(2026-12-31 23:00:00 Asia/Shanghai\)) or a cron expression of
        seconds, minutes, hours, day of month, month and day of week, with a year and a time zone if need be.
    type: str
  resource_group_id:
    description: The resource group that the run belongs to. The instances must be in it.
    type: str
  oss_output_delivery:
    description: A bucket and a prefix to which outputs are delivered, as in V(oss://bucket/prefix).
    type: str
  utf8_output:
    description:
      - Whether a PowerShell script is made to print UTF-8, without which Windows before Server 2022 garbles what is not
        English. A script that begins with C(param), C(using) or the like is left as it is.
    type: bool
    default: true
  wait:
    description:
      - Whether to wait until the script has ended on every instance. Without waiting, use
        M(cloudops.alibaba.ecs_wait_invocation) later.
    type: bool
    default: true
  wait_timeout:
    description:
      - How many seconds to wait. If not set, as long as the script may run and 90 seconds for its way there and back.
    type: int
  on_timeout:
    description:
      - What becomes of a script that has not ended after the wait. V(leave) lets it run and reports it as failed with
        RV(instances.failure=lost); V(stop) stops it and reports it as failed with RV(instances.failure=timeout). Both
        are told in the message, and by RV(instances.timed_out).
    type: str
    choices: [leave, stop]
    default: leave
seealso:
  - module: cloudops.alibaba.ecs_wait_invocation
  - module: cloudops.alibaba.ecs_stop_invocation
  - module: cloudops.alibaba.ecs_command
  - module: cloudops.alibaba.ecs_send_file
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

- name: Set up all web servers that are not set up yet
  cloudops.alibaba.ecs_run_command:
    region_id: cn-hangzhou
    instance_tags:
      app: web
    content: |
      #!/usr/bin/env python3
      with open("/etc/motd", "w") as motd:
          motd.write("A web server\n")
    unless: grep -q 'web server' /etc/motd
    on_timeout: stop

- name: Greet by name; raw keeps Jinja from the braces
  cloudops.alibaba.ecs_run_command:
    region_id: cn-hangzhou
    instance_ids: [i-bp1demoweb0000000001]
    content: echo "Hello {% raw %}{{who}}{% endraw %}"
    parameters:
      who: Jack

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
    skipped:
      description: Whether the script was skipped, because O(unless) holds.
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
      description:
        - Null, or one of script, timeout, stopped, agent, network, instance, input, not_delivered and lost.
        - It is timeout for a script that took longer than O(timeout), and for one that O(on_timeout=stop) has stopped.
          One that somebody else has stopped is stopped.
      type: str
    timed_out:
      description: Whether the script had not ended there when the wait was over.
      type: bool
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

from ..module_utils._cloud_assistant.command import command_from_options
from ..module_utils._cloud_assistant.run import Target, Waiting, run_command
from ..module_utils._module import INSTANCES_SPEC, Context, read_text, run_module


def core(context: Context) -> dict:
    params = context.params
    script = None if params["command_id"] else read_text(params, "content")
    return run_command(
        context.connect,
        command_from_options(params, script),
        Target(params["instance_ids"], params["instance_tags"] or {}),
        Waiting(params["wait"], params["wait_timeout"], params["on_timeout"] == "stop"),
        dry=context.check_mode,
        fail=params["fail_on_instance_failure"],
        clock=context.clock,
        progress=context.progress,
    )


def main() -> None:
    run_module(
        INSTANCES_SPEC
        | {
            "instance_ids": {"type": "list", "elements": "str"},
            "instance_tags": {"type": "dict"},
            "content": {"type": "str"},
            "src": {"type": "path"},
            "command_id": {"type": "str"},
            "type": {
                "type": "str",
                "choices": ["RunShellScript", "RunBatScript", "RunPowerShellScript"],
                "default": "RunShellScript",
            },
            "unless": {"type": "str"},
            "parameters": {"type": "dict", "default": {}},
            "enable_parameter": {"type": "bool", "default": False},
            "timeout": {"type": "int"},
            "termination_mode": {"type": "str", "choices": ["Process", "ProcessTree"]},
            "working_dir": {"type": "str"},
            "username": {"type": "str"},
            "windows_password_name": {"type": "str", "no_log": False},
            "container_id": {"type": "str"},
            "container_name": {"type": "str"},
            "launcher": {"type": "str"},
            "name": {"type": "str"},
            "description": {"type": "str"},
            "tags": {"type": "dict", "default": {}},
            "keep_command": {"type": "bool", "default": False},
            "repeat_mode": {"type": "str", "choices": ["Once", "Period", "NextRebootOnly", "EveryReboot", "DryRun"]},
            "frequency": {"type": "str"},
            "resource_group_id": {"type": "str"},
            "oss_output_delivery": {"type": "str"},
            "utf8_output": {"type": "bool", "default": True},
            "wait": {"type": "bool", "default": True},
            "wait_timeout": {"type": "int"},
            "on_timeout": {"type": "str", "choices": ["leave", "stop"], "default": "leave"},
        },
        core,
        mutually_exclusive=[["content", "src", "command_id"], ["instance_ids", "instance_tags"]],
        required_one_of=[["content", "src", "command_id"], ["instance_ids", "instance_tags"]],
    )


if __name__ == "__main__":
    main()
