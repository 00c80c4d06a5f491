#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_cloud_assistant
short_description: Have the Cloud Assistant Agent online on ECS instances, and new enough
description:
  - Looks at the Cloud Assistant Agents of instances, installs those that are not there with InstallCloudAssistant, and
    waits until all are online and of a version that will do. Agents that are so already are left alone.
  - An installation is asked for once. When the answer is lost it is not asked for again; the agent's status then tells
    what came of it.
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
      - Returns on which instances an agent would be installed, and waits for none.
  diff_mode:
    support: full
    details:
      - Shows the agents of the instances on which one is installed.
  idempotent:
    support: full
options:
  instance_ids:
    description:
      - The instances, any number of them in one region. Calls take 50 instances each.
      - An instance that does not run is reported as failed with the reason, and keeps the others from nothing. For ids
        that there are not see O(fail_on_instance_failure).
      - Managed instances (C(mi-…)) are refused, because their agents are installed when they are registered.
  install:
    description:
      - Whether to install agents. Without it they are only waited for.
      - Where the agent is online but too old, an installation is asked for as well. Whether that brings a newer one is
        up to the service; an agent that is too old in the end is reported as failed.
    type: bool
    default: true
  install_after:
    description:
      - How many seconds an agent that is not online is waited for before it is installed. An instance that has just
        started, say, needs no installation but patience.
    type: int
    default: 60
  minimum_version:
    description:
      - The version that the agents must have at least, such as V(2.2.3.317).
      - Windows builds are numbered 2.1.x where Linux builds are 2.2.x, so the second number does not count;
        V(2.2.3.317) asks for 2.1.3.317 on Windows.
    type: str
  minimum_version_windows:
    description: Another version for instances with Windows.
    type: str
  timeout:
    description: How many seconds the agents may take together.
    type: int
    default: 600
notes:
  - The service may install an agent that only starts with the next restart of the instance. What is not online at the
    end is reported as failed; restart it with M(cloudops.alibaba.ecs_instance_state).
seealso:
  - module: cloudops.alibaba.ecs_instance_info
  - module: cloudops.alibaba.ecs_instance_state
author:
  - cloudops.alibaba contributors (@cloudops-alibaba)
"""

EXAMPLES = r"""
- name: Make sure that commands reach two instances, and that exit codes can restart them
  cloudops.alibaba.ecs_cloud_assistant:
    region_id: cn-hangzhou
    instance_ids:
      - i-bp1demoweb0000000001
      - i-bp1demoweb0000000002
    minimum_version: 2.2.3.317
    install_after: 10
    timeout: 60

- name: Only wait until agents are online, as after a start
  cloudops.alibaba.ecs_cloud_assistant:
    region_id: cn-hangzhou
    instance_ids: [i-bp1demoweb0000000001]
    install: false
    timeout: 60
"""

RETURN = r"""
instances:
  description: The agent of each instance, by instance id.
  returned: always
  type: dict
  contains:
    region_id:
      description: The instance's region.
      type: str
    os_type:
      description: V(linux) or V(windows), or null if there is no such instance.
      type: str
    ok:
      description: Whether the agent is as it is to be; null in check mode, if it is not yet.
      type: bool
    changed:
      description:
        - Whether an agent was, or in check mode would be, installed. Also true when that is unknown because the answer
          was lost.
      type: bool
    minimum_version:
      description: The version that its agent must have at least, or null.
      type: str
    agent_before:
      description: Its agent at first, as in RV(cloudops.alibaba.ecs_instance_info#module:instances.agent).
      type: dict
    agent:
      description: Its agent in the end, as in RV(cloudops.alibaba.ecs_instance_info#module:instances.agent).
      type: dict
    failure:
      description: Null, or one of agent, instance, input, network, timeout and lost.
      type: str
    error_code:
      description: The API's error code, or null.
      type: str
    error_info:
      description: What went wrong and what to do about it, or null.
      type: str
succeeded_ids:
  description: The ids of the instances whose agent is as it is to be.
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

from ..module_utils._instances.agents import Demand
from ..module_utils._instances.install import ensure_agents
from ..module_utils._module import INSTANCES_SPEC, Context, run_module


def core(context: Context) -> dict:
    params = context.params
    return ensure_agents(
        context.connect,
        params["instance_ids"],
        Demand(params["minimum_version"], params["minimum_version_windows"]),
        install_after_s=params["install_after"] if params["install"] else None,
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
            "install": {"type": "bool", "default": True},
            "install_after": {"type": "int", "default": 60},
            "minimum_version": {"type": "str"},
            "minimum_version_windows": {"type": "str"},
            "timeout": {"type": "int", "default": 600},
        },
        core,
    )


if __name__ == "__main__":
    main()
