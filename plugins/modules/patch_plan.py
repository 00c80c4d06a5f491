#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: patch_plan
short_description: Show and write the plan of a patch run
description:
  - Makes the plan of a run from its assessment, shows it as a table of hosts with their batch, what there is to do,
    whether and why each would restart, how long that may take, and who is left out and why, and writes it as
    C(plan.json).
  - It is an action on the controller. It runs once for all hosts (with C(run_once)), and makes no API call.
extends_documentation_fragment:
  - cloudops.alibaba._attributes
  - cloudops.alibaba._attributes.document
options:
  results:
    description:
      - The verdict on each host by its name, as M(cloudops.alibaba.ecs_patch) returns it with
        O(cloudops.alibaba.ecs_patch#module:mode=assess).
    type: dict
    required: true
  batches:
    description:
      - The sizes of the batches, as C(serial) takes them. Hosts that are not fit are left out before percentages are
        taken.
    type: list
    elements: raw
    required: true
  targets:
    description: The pattern that has chosen the hosts.
    type: str
    required: true
  members:
    description: The hosts that the pattern stands for, so that others that come to it later are noticed.
    type: list
    elements: str
    required: true
  max_unavailable:
    description:
      - How many hosts of a zone, or with the same tag, may be in one batch, as in the role's
        C(patch_hosts_max_unavailable). Only the hosts in O(results) are counted, also those that are not fit. Batches
        may become smaller and more, and hosts change their order.
    type: dict
    default: {}
  patch_time:
    description: How many seconds a host with something to do is expected to take, where no earlier report tells.
    type: int
    default: 300
  restart_time:
    description: How many seconds a restart is expected to take.
    type: int
    default: 180
  earlier_report:
    description: The report of an earlier run, whose times are taken for the hosts in it.
    type: path
  dest:
    description: A folder on the controller for the plan. It is made if need be. If not set, nothing is written.
    type: path
seealso:
  - plugin: cloudops.alibaba.patch_plan
    plugin_type: lookup
author:
  - cloudops.alibaba contributors (@cloudops-alibaba)
"""

EXAMPLES = r"""
- name: Show what a run would do
  cloudops.alibaba.patch_plan:
    results:
      web-01:
        ok: true
        status: assessed
        run_id: CHG-1
        instance_id: i-bp1demoweb0000000001
        inputs: {steps: 1f0c, restart: if_required}
    batches: [1, "25%", "100%"]
    targets: web
    members: [web-01]
  run_once: true
"""

RETURN = r"""
batches:
  description: The batches, one after the other.
  returned: always
  type: list
  elements: dict
  contains:
    hosts:
      description: Their names.
      type: list
      elements: str
    expected_s:
      description: How many seconds it may take, those of its slowest host.
      type: int
expected:
  description: How long the run may take.
  returned: always
  type: dict
  contains:
    total_s:
      description: How many seconds all batches together may take.
      type: int
    hosts_from:
      description: For how many hosts that comes from an earlier C(report), and for how many from the C(settings).
      type: dict
plan:
  description: The file that was written.
  returned: when O(dest) is set
  type: str
"""
