#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_instance_info
short_description: Look at ECS instances, their Cloud Assistant Agents and their system events
description:
  - Describes instances of a region, all or those that match, however many pages that takes. With each come the state of
    its Cloud Assistant Agent and the system events that it has ahead of it.
extends_documentation_fragment:
  - cloudops.alibaba._connection
  - cloudops.alibaba._attributes
  - cloudops.alibaba._attributes.info_module
options:
  instance_ids:
    description:
      - Only these instances, any number. Those that the region does not have are listed in RV(missing).
    type: list
    elements: str
  tags:
    description: Only instances with all of these tags, at most 20. An empty value stands for any.
    type: dict
    default: {}
  zone_id:
    description: Only instances in this zone.
    type: str
  status:
    description: Only instances in this status.
    type: str
    choices: [Pending, Running, Starting, Stopping, Stopped]
  name:
    description: Only instances of this name; C(*) stands for any text.
    type: str
  system_events:
    description:
      - Whether to look for pending system events. That takes the permission C(ecs:DescribeInstanceHistoryEvents)
        and a call for each 100 instances.
    type: bool
    default: true
seealso:
  - module: cloudops.alibaba.ecs_cloud_assistant
  - module: cloudops.alibaba.ecs_instance_state
author:
  - cloudops.alibaba contributors (@cloudops-alibaba)
"""

EXAMPLES = r"""
- name: Look at the web servers of a region
  cloudops.alibaba.ecs_instance_info:
    region_id: cn-hangzhou
    tags:
      app: web
  register: web

- name: Name those whose agent is not online
  ansible.builtin.debug:
    msg: "{{ web.instances.values() | rejectattr('agent.online') | map(attribute='name') }}"

- name: Name those that the service will restart, and when
  ansible.builtin.debug:
    msg: "{{ item.value.name }}: {{ item.value.system_events | map(attribute='not_before') | join(', ') }}"
  loop: "{{ web.instances | dict2items | selectattr('value.system_events') }}"
  loop_control:
    label: "{{ item.key }}"
"""

RETURN = r"""
instances:
  description: The instances by instance id.
  returned: always
  type: dict
  contains:
    name:
      description: The instance's name.
      type: str
    region_id:
      description: Its region.
      type: str
    zone_id:
      description: Its zone.
      type: str
    status:
      description: Its status.
      type: str
      sample: Running
    os_type:
      description: V(linux) or V(windows).
      type: str
    os_name:
      description: Its operating system.
      type: str
    private_ip:
      description: Its first private address, or an empty text.
      type: str
    public_ip:
      description: Its public address, or an empty text.
      type: str
    tags:
      description: Its tags.
      type: dict
    started_at:
      description: When it was last started, in UTC, or null. A restart from inside the guest need not show here.
      type: str
    stopped_mode:
      description:
        - How it is stopped, C(StopCharging) or C(KeepCharging); C(Not-applicable) while it runs, or null if the API
          does not say.
      type: str
    agent:
      description: Its Cloud Assistant Agent.
      type: dict
      contains:
        online:
          description: Whether commands can reach it.
          type: bool
        version:
          description: Its version, or an empty text.
          type: str
        last_heartbeat_at:
          description: When it was last heard of, in UTC, or null.
          type: str
    system_events:
      description: Its system events that are pending, the next one first. Empty without O(system_events).
      type: list
      elements: dict
      contains:
        event_id:
          description: The event's id.
          type: str
        type:
          description: What is to happen.
          type: str
          sample: SystemMaintenance.Reboot
        status:
          description: C(Inquiring), C(Scheduled) or C(Executing).
          type: str
          sample: Scheduled
        not_before:
          description: When it is to happen at the earliest, in UTC, or null.
          type: str
        published_at:
          description: When it was announced, in UTC, or null.
          type: str
        reason:
          description: Why, in the service's words, or an empty text.
          type: str
missing:
  description: The ids of O(instance_ids) that the region does not have, or that do not match.
  returned: always
  type: list
  elements: str
refused:
  description: True when the call was refused before anything was done. It then returns nothing else.
  returned: when refused
  type: bool
"""

from ..module_utils._instances.info import instance_info
from ..module_utils._module import Context, run_module


def core(context: Context) -> dict:
    params = context.params
    return instance_info(
        context.connect,
        params["instance_ids"],
        tags={key: str(value) for key, value in params["tags"].items()},
        zone_id=params["zone_id"],
        status=params["status"],
        name=params["name"],
        events=params["system_events"],
    )


def main() -> None:
    run_module(
        {
            "instance_ids": {"type": "list", "elements": "str"},
            "tags": {"type": "dict", "default": {}},
            "zone_id": {"type": "str"},
            "status": {"type": "str", "choices": ["Pending", "Running", "Starting", "Stopping", "Stopped"]},
            "name": {"type": "str"},
            "system_events": {"type": "bool", "default": True},
        },
        core,
    )


if __name__ == "__main__":
    main()
