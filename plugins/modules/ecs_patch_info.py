#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_patch_info
short_description: Look at a batch of ECS instances before patching it
description:
  - The preflight of a batch. It fixes the run id, and says of each instance whether it is fit to be patched and how it
    would be restarted.
  - It is given what M(cloudops.alibaba.ecs_patch) is to do, and refuses what that would refuse, before anything has
    happened to a host.
  - It reads pending system events. A C(SystemMaintenance.Reboot) that is C(Scheduled) is merged into the run's own
    restart, which then goes through the API, because a restart inside the guest does not settle it. Other events are
    warned of. When events cannot be read, it goes on without them, and says so.
  - It runs once for a batch of hosts (with C(run_once)), and a strategy without batches is refused.
extends_documentation_fragment:
  - cloudops.alibaba._instances.batch
  - cloudops.alibaba._patch.work
  - cloudops.alibaba._instances.progress
  - cloudops.alibaba._connection
  - cloudops.alibaba._attributes
  - cloudops.alibaba._attributes.info_module
options:
  all_instance_ids:
    description:
      - The instance ids of all hosts of the play by host, not only of this batch, to find out whether two hosts are the
        same instance.
    type: dict
    default: {}
  run_id:
    description:
      - The name of the run, such as a change ticket, 1 to 64 of the characters A-Z, a-z, 0-9, C(.), C(_) and C(-).
        A run that is started again with the same name goes on where it was. A name is for one run, and not for the
        next one; hosts keep what they know of a run for 30 days.
      - If not set, a new name is made.
    type: str
  batch:
    description: The number of the batch in its run, for the report.
    type: int
    default: 1
  restart_method:
    description:
      - How hosts are to be restarted. V(auto) is by exit code, or through the API where the agent is too old for that,
        or where a system event wants a restart and O(restart) allows it.
    type: str
    choices: [auto, exit_code, api]
    default: auto
  hooks:
    description:
      - The task files that the role runs for each host. They must be there, and are returned as absolute paths. None of
        them with O(mode=assess), and not V(before) with O(mode=put_back), for which O(hooks.after) must be given.
    type: dict
    default: {}
    suboptions:
      before:
        description: Tasks before anything is done to a host.
        type: path
      health:
        description: Tasks that say, after it is patched, whether it is well.
        type: path
      after:
        description: Tasks for a host that is well again.
        type: path
  stop:
    description: When the run stops before this batch. Then the batch is not looked at, and RV(stop) says why.
    type: dict
    default: {}
    suboptions:
      failed:
        description: The blame of each host that has failed in the run so far.
        type: list
        elements: str
        default: []
      hosts:
        description: How many hosts the play has, for percentages.
        type: int
      max_errors:
        description:
          - How many hosts may fail in the whole run, as a number or a percentage, or a dictionary of them by blame with
            C(all) for those that have no number of their own. If not set, errors do not stop the run.
        type: raw
      deadline:
        description: When the run is to be over, with a zone, such as C(2026-12-01T04:00:00+08:00).
        type: str
      batch_s:
        description: How many seconds the batch may take; it does not start when they end after the deadline.
        type: int
      after_batch:
        description: The number of the last batch.
        type: int
  max_unavailable:
    description:
      - How many instances of a group may be unavailable at once. Those are the ones that are not running, whose agent
        is not online, that have failed earlier in this run (O(failed_instance_ids)), or that another run works on. If
        not set, nothing is counted.
      - The hosts of the batch that fit are leased, with a tag C(cloudops-lease.RUN_ID) on the instance that says until
        when. Runs of all controllers respect it. The others are denied, and nothing is done to them. In check mode
        nothing is leased and nobody is waited for.
      - Before its first batch, a run is refused when a batch that O(serial) makes can never fit, because it alone has
        more of a group than may be unavailable. Hosts in regions that no host of the first batch is in are not known
        then.
      - M(cloudops.alibaba.ecs_patch_release) gives hosts back.
    type: dict
    suboptions:
      hosts:
        description: A number, or a percentage of the group, which is floored and at least 1.
        type: str
        required: true
      by:
        description:
          - What the instances of a group agree in, V(zone) and C(tag:KEY) with the key of a tag.
        type: list
        elements: str
        default: [zone]
      of:
        description:
          - Which instances make a group. With V(region) all those of the region that agree in O(max_unavailable.by), so
            that runs over different hosts share the budget; also those that nobody patches, of which a stopped one
            counts as unavailable. With V(play), those of O(all_instance_ids) only.
          - If not set, V(region) when O(max_unavailable.by) has a tag, and V(play) with the zone alone.
        type: str
        choices: [play, region]
      wait_s:
        description:
          - How many seconds to wait for what other runs work on, and no longer than the batch can still end before the
            deadline of O(stop).
        type: int
        default: 1800
      lease_s:
        description:
          - For how many seconds hosts are leased, more than hooks, a batch and a restart may take. One that is shorter
            than O(timeout), O(soak_time) and O(restart_timeout) together is refused.
          - If not set, these and 5 minutes.
        type: int
      settle_s:
        description: How many seconds it may take until a tag that was written is read by everybody.
        type: int
        default: 5
  serial:
    description:
      - The sizes of the play's batches, for O(max_unavailable), as C(serial) takes them. The collection's action plugin
        takes them from the play.
    type: list
    elements: raw
  failed_instance_ids:
    description: The instances that have failed earlier in this run, for O(max_unavailable).
    type: list
    elements: str
    default: []
  report_dir:
    description: A folder on the controller that a report is written into in the end. That must be possible.
    type: path
  variables:
    description: The variables of a role by name, so that no misspelt one goes unnoticed. It is refused.
    type: dict
    default: {}
    suboptions:
      given:
        description: Those that are set.
        type: list
        elements: str
        default: []
      known:
        description: Those that there are.
        type: list
        elements: str
        default: []
  plan:
    description:
      - The plan that this run is to follow, as P(cloudops.alibaba.patch_plan#lookup) reads it.
      - The first batch is refused when hosts have come or gone, are other instances or in other zones, are no longer
        fit, would be restarted in another way, have a system event that wants a restart and had none (or the reverse),
        or when the steps or the policy of restarts are others, anywhere in the
        plan. Later batches compare their own hosts once more, and find those unfit that have moved since.
      - The version of an agent alone is nothing that has moved, because agents update themselves.
    type: dict
    default: {}
  members:
    description: The hosts that the targets of the O(plan) stand for now.
    type: list
    elements: str
    default: []
seealso:
  - module: cloudops.alibaba.ecs_patch
  - module: cloudops.alibaba.ecs_patch_release
author:
  - cloudops.alibaba contributors (@cloudops-alibaba)
"""

EXAMPLES = r"""
- name: Look at two instances
  cloudops.alibaba.ecs_patch_info:
    region_id: cn-hangzhou
    instances:
      - instance_id: i-bp1demoweb0000000001
      - instance_id: i-bp1demoweb0000000002
    run_id: CHG-1234
  run_once: true
  register: preflight
"""

RETURN = r"""
run_id:
  description: The name of the run.
  returned: always
  type: str
  sample: CHG-1234
batch:
  description: The number of the batch.
  returned: always
  type: int
  sample: 1
token:
  description: Says that these instances have been looked at; M(cloudops.alibaba.ecs_patch) asks for it.
  returned: when the batch starts
  type: str
hooks:
  description: The task files of O(hooks) that were given, as absolute paths.
  returned: always
  type: dict
deadline:
  description: The deadline in seconds since the epoch, or null.
  returned: when the batch starts
  type: float
stop:
  description: Why the run stops before this batch.
  returned: when the run stops
  type: dict
  contains:
    kind:
      description: One of errors, deadline and after_batch.
      type: str
    reason:
      description: The reason in words.
      type: str
    batch:
      description: The number of the batch that does not start.
      type: int
instances:
  description: The instances by instance id.
  returned: always
  type: dict
  contains:
    region_id:
      description: The instance's region.
      type: str
    instance_name:
      description: The instance's name, or null.
      type: str
    zone_id:
      description: The instance's zone, or null.
      type: str
    platform:
      description: V(linux) or V(windows). Null when there is no such instance.
      type: str
    status:
      description: The instance's status, or null.
      type: str
    agent_version:
      description: The version of its Cloud Assistant Agent, or null.
      type: str
    resumed:
      description: Whether this run has been sent to it before, by an earlier start.
      type: bool
    moved:
      description: Whether it differs from O(plan). Then it counts as unfit.
      type: bool
    tags:
      description: The instance's tags; empty when it was not found.
      type: dict
    returning:
      description:
        - Whether it is away and expected back, because the run has been sent to it before. Then it counts as fit.
      type: bool
    restart_method:
      description: How it would be restarted, V(exit_code) or V(api). Null when its region could not be looked at.
      type: str
    events:
      description:
        - Its pending system events, the next one first. Null when they could not be read; RV(notes) then says why.
      type: list
      elements: dict
      contains:
        event_id:
          description: The event.
          type: str
        type:
          description: What it announces, such as SystemMaintenance.Reboot.
          type: str
        status:
          description: One of Inquiring, Scheduled and Executing.
          type: str
        not_before:
          description: When it is due.
          type: str
        restart_settles:
          description: Whether a restart through the API does away with it.
          type: bool
    leased_until:
      description: Until when it is leased, or null.
      type: str
    ok:
      description: Whether it is fit, and within O(max_unavailable).
      type: bool
    failure:
      description: Null, or one of agent, budget, instance, input, network and lost.
      type: str
    error_code:
      description: The API's error code, or null.
      type: str
    error_info:
      description: Why it is not fit and what to do about it, or null.
      type: str
set_aside:
  description:
    - Hosts that were not looked at, by name, and what to mend in the inventory. M(cloudops.alibaba.ecs_patch) is to be
      called without them. Empty unless O(mode=assess).
  returned: when the batch starts
  type: dict
notes:
  description: What could not be looked at, and is done without.
  returned: always
  type: list
  elements: str
refused:
  description: True when the call was refused before anything was done. It then returns nothing else.
  returned: when refused
  type: bool
"""

from ..module_utils._module import PROGRESS_SPEC, Context, run_module
from ..module_utils._patch.budget import BUDGET_SPEC
from ..module_utils._patch.hooks import HOOKS
from ..module_utils._patch.run import BATCH_SPEC, preflight
from ..module_utils._patch.settings import VARIABLES_SPEC, check_report_dir, check_variables
from ..module_utils._patch.stop import STOP_SPEC
from ..module_utils._patch.work import WORK_SPEC, read_work


def core(context: Context) -> dict:
    params = context.params
    check_variables(params["variables"])
    if params["report_dir"]:
        check_report_dir(params["report_dir"])
    return preflight(
        context.connect,
        params["instances"],
        params["region_id"],
        all_instance_ids=params["all_instance_ids"],
        run_id=params["run_id"],
        batch=params["batch"],
        method=params["restart_method"],
        hooks=params["hooks"],
        stop=params["stop"],
        work=read_work(params),
        runner_dir=params["runner_dir"],
        max_unavailable=params["max_unavailable"],
        serial=params["serial"],
        failed_instance_ids=params["failed_instance_ids"],
        dry=context.check_mode,
        plan=params["plan"],
        members=params["members"],
        clock=context.clock,
        progress=context.progress,
    )


def main() -> None:
    run_module(
        PROGRESS_SPEC
        | BATCH_SPEC
        | WORK_SPEC
        | {
            "all_instance_ids": {"type": "dict", "default": {}},
            "run_id": {"type": "str"},
            "batch": {"type": "int", "default": 1},
            "restart_method": {"type": "str", "choices": ["auto", "exit_code", "api"], "default": "auto"},
            "hooks": {"type": "dict", "default": {}, "options": {moment: {"type": "path"} for moment in HOOKS}},
            "stop": {"type": "dict", "default": {}, "options": STOP_SPEC},
            "max_unavailable": {"type": "dict", "options": BUDGET_SPEC},
            "serial": {"type": "list", "elements": "raw"},
            "failed_instance_ids": {"type": "list", "elements": "str", "default": []},
            "report_dir": {"type": "path"},
            "variables": {"type": "dict", "default": {}, "options": VARIABLES_SPEC},
            "plan": {"type": "dict", "default": {}},
            "members": {"type": "list", "elements": "str", "default": []},
        },
        core,
    )


if __name__ == "__main__":
    main()
