#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: patch_report
short_description: Show and write the report of a patch run
description:
  - Shows a table of hosts with their batch, updated packages, restart and its proof, and result, and writes the report
    as C(report.json).
  - It is an action on the controller. It runs once for all hosts (with C(run_once)), and makes no API call.
extends_documentation_fragment:
  - cloudops.alibaba._attributes
  - cloudops.alibaba._attributes.document
options:
  results:
    description: The verdict on each host by its name, as M(cloudops.alibaba.ecs_patch) returns it; empty for hosts that
      no batch has reached.
    type: dict
    required: true
  stopped:
    description: Why the run stopped before its end, as in RV(cloudops.alibaba.ecs_patch_info#module:stop).
    type: dict
  put_back:
    description:
      - Whether the hosts were not patched, and only put back into service. Then the report is C(put_back/report.json),
        and the one of the run, C(report.json), has them under C(put_back) and no longer under RV(left_out).
    type: bool
    default: false
  dest:
    description:
      - A folder on the controller for the report. It is made if need be. If not set, nothing is written.
      - Hosts that the report there calls left out stay so in the new one unless all went well with them.
      - When no host came to its preflight, a report that is there already stays.
    type: path
author:
  - cloudops.alibaba contributors (@cloudops-alibaba)
"""

EXAMPLES = r"""
- name: Show what came of a run
  cloudops.alibaba.patch_report:
    results:
      web-01: "{{ patch_hosts_result | default({}) }}"
  run_once: true
"""

RETURN = r"""
run_id:
  description: The name of the run; null when no batch was reached.
  returned: always
  type: str
counts:
  description: How many hosts there are of each status.
  returned: always
  type: dict
  sample: {restarted: 2, unchanged: 1}
failed_hosts:
  description: The hosts that failed.
  returned: always
  type: list
  elements: str
left_out:
  description: The hosts that a hook has taken out of service, and that were not put back.
  returned: always
  type: list
  elements: str
stopped:
  description: Why the run stopped before its end, or null.
  returned: always
  type: dict
report:
  description: The file that was written.
  returned: when O(dest) is set
  type: str
"""
