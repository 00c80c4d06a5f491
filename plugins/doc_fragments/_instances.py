# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    # For modules that do something to instances, together with PROGRESS: INSTANCES_SPEC in module_utils/_module.py.
    DOCUMENTATION = r"""
options:
  instance_ids:
    description:
      - The instances, any number of them in one region. Calls take 100 instances each; more are several calls side by
        side.
      - An instance that does not run or has no agent online is reported as failed with the reason, and keeps the others
        from nothing.
    type: list
    elements: str
    required: true
  fail_on_instance_failure:
    description:
      - Whether the task fails when an instance failed. The results of all instances are returned either way.
      - If V(true), instances that cannot take part are refused before anything is done. Those are ids that the region
        does not have, and instances of another platform than what is sent to them. If V(false), they are reported as
        failed like others, and keep the rest from nothing.
    type: bool
    default: true
"""

    # For modules that only wait for something on instances: RESULTS_SPEC.
    RESULTS = r"""
options:
  fail_on_instance_failure:
    description:
      - Whether the task fails when an instance failed. The results of all instances are returned either way.
    type: bool
    default: true
"""

    # For all modules that wait: PROGRESS_SPEC.
    PROGRESS = r"""
options:
  progress:
    description:
      - Whether to show lines about the progress of a wait, at most one every ten seconds.
    type: bool
    default: true
"""

    # For modules that are called once for a batch of hosts: BATCH_SPEC in module_utils/_patch/run.py.
    BATCH = r"""
options:
  instances:
    description: The hosts of the batch.
    type: list
    elements: dict
    required: true
    suboptions:
      instance_id:
        description: The instance.
        type: str
        required: true
      name:
        description: What to call it in messages, usually the name of the host. If not set, that is its id.
        type: str
      region_id:
        description: Its region. If not set, that is O(region_id).
        type: str
"""
