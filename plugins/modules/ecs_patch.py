#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_patch
short_description: Patch a batch of ECS instances in idempotent steps and restart them with proof
description:
  - Runs steps on all hosts of a batch at once, restarts those that need it, proves each restart by its boot id, goes
    on with the steps after it, and returns a verdict on each host.
  - It sends one command for the whole batch and each cycle (what happens between two restarts), however many hosts
    there are; those with Windows get one of their own. The hosts keep records of what they have done, so that a run
    that is started again with the same run id goes on where it was.
  - Meant to be used through the role P(cloudops.alibaba.patch_hosts#role). It runs once for a batch of hosts (with
    C(run_once)), and a strategy without batches is refused.
extends_documentation_fragment:
  - cloudops.alibaba._instances.batch
  - cloudops.alibaba._patch.work
  - cloudops.alibaba._instances.progress
  - cloudops.alibaba._connection
  - cloudops.alibaba._attributes
attributes:
  async:
    support: full
  check_mode:
    support: partial
    details:
      - Says which hosts would be looked into. What the steps would do is only known on the hosts, and no step and no
        guard runs in check mode.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - As idempotent as its steps are. Within a run, a step that has finished never starts again.
options:
  preflight:
    description:
      - What M(cloudops.alibaba.ecs_patch_info) returned for these very instances. Those that it found unfit get its
        verdict, and nothing is sent to them.
    type: dict
    required: true
seealso:
  - module: cloudops.alibaba.ecs_patch_info
notes:
  - The step runner for Windows has not run on a real Windows yet.
author:
  - cloudops.alibaba contributors (@cloudops-alibaba)
"""

EXAMPLES = r"""
- name: Look at the batch
  cloudops.alibaba.ecs_patch_info:
    region_id: cn-hangzhou
    instances: &batch
      - instance_id: i-bp1demoweb0000000001
      - instance_id: i-bp1demoweb0000000002
  run_once: true
  register: preflight

- name: See what there is to do
  cloudops.alibaba.ecs_patch:
    region_id: cn-hangzhou
    instances: *batch
    preflight: "{{ preflight }}"
    mode: assess
    steps:
      - name: os_updates
  run_once: true
  register: assessment

- name: Patch the batch
  cloudops.alibaba.ecs_patch:
    region_id: cn-hangzhou
    instances: *batch
    preflight: "{{ preflight }}"
    steps:
      - name: os_updates
        exclude: [docker*]
        attempts: 2
      - name: motd
        unless: grep -q patched /etc/motd
        script: echo patched >> /etc/motd
        restart: never
    health:
      script: test ! -e /run/nologin
      timeout_s: 600
  run_once: true
  register: patch
"""

RETURN = r"""
run_id:
  description: The name of the run.
  returned: always
  type: str
instances:
  description: The verdict on each host, by instance id.
  returned: always
  type: dict
  contains:
    name:
      description: What it is called.
      type: str
    instance_id:
      description: Its instance id.
      type: str
    region_id:
      description: Its region.
      type: str
    run_id:
      description: The name of the run.
      type: str
    batch:
      description: The number of the batch, from O(preflight).
      type: int
    status:
      description:
        - One of restarted (and proven), patched, unchanged, failed and unknown; not_reached for one that the preflight
          has denied (C(max_unavailable)). In check mode, checked; with O(mode=assess), assessed.
      type: str
      sample: restarted
    ok:
      description: Whether everything went well.
      type: bool
    changed:
      description: Whether anything was changed.
      type: bool
    failure:
      description:
        - Null, or one of script, timeout, stopped, agent, network, instance, input, not_delivered, lost, budget and
          health.
        - With health, all steps and restarts are done, and then the host was not well, as O(health) wants it.
      type: str
    blame:
      description:
        - Whose fault it is, null if nobody's. The same as RV(instances.failure), or offline where the host was not
          running or its agent not there before anything was done to it.
      type: str
    error_code:
      description: The API's error code, or null.
      type: str
    error_info:
      description: What went wrong and what to do about it, or null.
      type: str
    steps:
      description: How each step ended, by its name.
      type: dict
      contains:
        state:
          description:
            - One of done, unchanged, skipped, failed and pending.
            - With O(mode=assess), needed, done (there is nothing to do), or unknown (its guard came to no end).
          type: str
        attempts:
          description: How many attempts were made.
          type: int
    packages:
      description:
        - The packages that were updated in this run, as many as fit, with the versions before and after.
        - With O(mode=assess), those that would be updated.
      type: list
      elements: dict
      contains:
        name:
          description: The package.
          type: str
        from:
          description: The version before.
          type: str
        to:
          description: The version after.
          type: str
    packages_count:
      description: How many packages were updated in this run, or would be.
      type: int
    differences:
      description:
        - What the host has lost in this run, as many short sentences as fit. Empty where it was not looked at, which
          RV(instances.output) says.
      type: list
      elements: str
      sample: ["nobody listens on tcp/8080 any more"]
    restarted:
      description: Whether a restart is proven.
      type: bool
    receipts:
      description:
        - A receipt for each restart, as in RV(cloudops.alibaba.ecs_reboot#module:instances.receipt), though its method
          may also be exit_code.
        - One that was asked for and not seen has a receipt too, the last. Its verdict is unknown, or not_restarted
          where that is known.
      type: list
      elements: dict
    events:
      description:
        - The system events that the host had pending before, or that the run has closed. Null when the preflight could
          not read them.
      type: list
      elements: dict
      contains:
        event_id:
          description: The event.
          type: str
        type:
          description: What it announces, such as SystemMaintenance.Reboot.
          type: str
        not_before:
          description: When it is due.
          type: str
        status_before:
          description: Its status before, or null when an earlier start of the run has closed it.
          type: str
        status_after:
          description: Its status in the end, such as Avoided, or null when it was not looked at again.
          type: str
        closed_by_run:
          description: Whether a restart of this run has closed it.
          type: bool
    restart_evidence:
      description: Whether the host says that it needs a restart, one of required, not_required and unknown.
      type: str
    restart_stale:
      description: The reason for a restart that is still there after a restart for it, or null.
      type: str
    restart_expected:
      description:
        - With O(mode=assess), whether a run would restart the host, else null. V(now) is that it would as the host is,
          and V(likely) that something that is to do probably asks for it, a new kernel, say. With V(unknown), nobody
          can tell, or only the steps.
      type: str
    restart_expected_reason:
      description: What that follows from, or null.
      type: str
    started_at:
      description: When it began with its first command, or null.
      type: str
    finished_at:
      description: When its last answer was there, or null.
      type: str
    zone_id:
      description: Its zone, or null.
      type: str
    tags:
      description: Its tags.
      type: dict
    inputs:
      description: What M(cloudops.alibaba.patch_plan) needs to notice that a later run is to do something else.
      returned: with O(mode=assess)
      type: dict
      contains:
        steps:
          description: A sum of the steps.
          type: str
        restart:
          description: The value of O(restart).
          type: str
    agent_version:
      description: The version of its Cloud Assistant Agent before the run, or null.
      type: str
    restart_method:
      description: How it restarts if need be, V(exit_code) or V(api). Null when its region could not be looked at.
      type: str
    cycles:
      description: How often the host was asked to continue.
      type: int
    invoke_ids:
      description: The invocations that asked it.
      type: list
      elements: str
    log:
      description: The log on the host, or null if it did not tell.
      type: str
    output:
      description: The summary that the host printed last, at most 2,000 characters.
      type: str
refused:
  description: True when the call was refused before anything was done. It then returns nothing else.
  returned: when refused
  type: bool
"""

from ..module_utils._module import PROGRESS_SPEC, Context, run_module
from ..module_utils._patch.run import BATCH_SPEC, patch
from ..module_utils._patch.work import WORK_SPEC, read_work


def core(context: Context) -> dict:
    params = context.params
    return patch(
        context.connect,
        params["instances"],
        params["region_id"],
        preflight=params["preflight"],
        work=read_work(params),
        runner_dir=params["runner_dir"],
        dry=context.check_mode,
        clock=context.clock,
        progress=context.progress,
    )


def main() -> None:
    run_module(
        PROGRESS_SPEC | BATCH_SPEC | WORK_SPEC | {"preflight": {"type": "dict", "required": True}},
        core,
    )


if __name__ == "__main__":
    main()
