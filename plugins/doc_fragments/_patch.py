# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    # What a batch is to do, for the preflight and for the work itself: WORK_SPEC in module_utils/_patch/work.py.
    WORK = r"""
options:
  mode:
    description:
      - V(assess) changes nothing on the hosts, and tells what V(patch) would find to do. No step runs. The guards of
        steps (O(steps[].unless)) do run, repositories are read, and V(os_updates) lists the updates that it would make.
      - A later run with the same run id does not mind that its hosts have been assessed.
      - V(put_back) only looks whether hosts are fit and well. O(steps) and O(restart) are not regarded.
    type: str
    choices: [patch, assess, put_back]
    default: patch
  steps:
    description:
      - What to do, in this order. A run without steps only restarts, as O(restart) says.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - The name of the step, 1 to 40 of the characters A-Z, a-z, 0-9, C(.), C(_) and C(-).
          - A step without a script is built in. V(os_updates) updates packages with dnf, yum, apt or zypper,
            whichever is the host's own, and on Windows what Windows Update has for the host.
        type: str
        required: true
      script:
        description:
          - The script. Without a C(#!) line it is run by C(sh). With O(steps[].platform=windows) it is run by Windows
            PowerShell 5.1, and should end with C(exit) and its exit code.
        type: str
      src:
        description: A file with the script, on the controller. It is never templated.
        type: path
      unless:
        description: A script that ends with 0 when there is nothing to do. The step is then skipped.
        type: str
      platform:
        description:
          - For which hosts the step is. If not set, for all. A step with a script or with O(steps[].unless) has to say
            it as soon as there is a host with Windows in the batch.
        type: str
        choices: [linux, windows]
      restart:
        description:
          - Whether the host restarts after the step. With V(if_required), when the host's own evidence asks for it, or
            when the script ends with 194, on Windows with 3010.
        type: str
        choices: [never, if_required, always]
        default: if_required
      timeout_s:
        description:
          - How many seconds one attempt may take. Then the step and all that is left in its session is ended. What it
            has started in a session of its own (with C(setsid), or a daemon) lives on.
        type: int
        default: 3600
      attempts:
        description: How many attempts the step gets, one after the other.
        type: int
        default: 1
      rerun:
        description:
          - Whether the step may start again after it was interrupted, by a power cut, say. A step with
            O(steps[].unless) may, when that says that it is not done.
        type: bool
        default: false
      updates:
        description:
          - For V(os_updates), which updates are made. If not set, all of them. V(security) are those that a repository
            declares as such, with apt those of a suite whose name ends with C(-security), on Windows the category
            Security Updates.
        type: str
        choices: [all, security]
      include:
        description:
          - For V(os_updates), the packages that are updated, by name. A C(*) stands for any characters. If not set, all
            packages. Those that are not installed are left out.
          - Not with zypper and V(security), whose patches are whole.
          - On Windows, the updates by their number, such as C(KB5031364), or by their title.
        type: list
        elements: str
      exclude:
        description:
          - For V(os_updates), the packages that are not updated, as in O(steps[].include). What a host itself holds
            back is not updated either.
        type: list
        elements: str
  restart:
    description:
      - Whether the run restarts hosts. V(if_required) restarts when a step, the host's own evidence or a system event
        asks for it, V(always) at least once, V(never) not at all.
      - A system event asks for a restart when the preflight has found it, its type is C(SystemMaintenance.Reboot), its
        status C(Scheduled), and the host is restarted through the API. One restart serves the updates and the event.
    type: str
    choices: [never, if_required, always]
    default: if_required
  settle_time:
    description:
      - How many seconds a requested restart may take to begin before it is asked for again, at least 10. A restart
        through the API has twice as many.
      - Give more than the slowest host takes to go down. A slower one may be restarted through the API a second time,
        if the first call has crashed, or several work on the run.
    type: int
    default: 120
  restart_timeout:
    description: How many seconds a host may take to come back from a restart.
    type: int
    default: 900
  max_restarts:
    description: How many restarts a host may have in a run.
    type: int
    default: 3
  health:
    description:
      - What a host must show after its last step and restart, by a script, by O(health.same), or both. If not set,
        nothing.
      - What comes of it is never kept. A run that is started again looks again, and repeats neither steps nor restarts
        for that.
    type: dict
    suboptions:
      script:
        description:
          - A script that ends with 0 when the host is well. It is run again and again until it does. It runs as steps
            do, and changes nothing.
        type: str
      src:
        description: A file with the script, on the controller. It is never templated.
        type: path
      timeout_s:
        description:
          - For how many seconds it is looked at, in vain, before the host fails with the failure health. When the time
            of the batch is over before that, it is timeout.
        type: int
        default: 300
      pause_s:
        description: How many seconds pass between two attempts.
        type: int
        default: 10
      attempt_timeout_s:
        description: How many seconds one attempt may take. Then the script is ended, as steps are.
        type: int
        default: 60
      same:
        description:
          - Whether the host is compared with how it was before the first step of the run. Lost is a systemd unit that
            has failed and had not, a port below the kernel's range for clients on which nobody listens any more, and
            a mount that is gone. What is new is no loss.
          - With V(warn) the verdict has what is lost when O(health.timeout_s) is over, with V(fail) the host fails.
          - Ports of DHCP clients do not count, nor do mounts below C(/dev), C(/proc), C(/run), C(/snap), C(/sys) and
            the folders of container engines, overlays, and what is mounted on demand.
        type: str
        choices: ['off', warn, fail]
        default: 'off'
  timeout:
    description: How many seconds the batch may take. After that no host begins a step or a restart any more.
    type: int
    default: 7200
  soak_time:
    description:
      - How many seconds after the end the hosts that went well are asked the same again. Their verdict is the second
        one. It is time on top of O(timeout).
    type: int
    default: 0
  runner_dir:
    description: The folder with the step runner, on the controller. If not set, the collection's own.
    type: path
"""
