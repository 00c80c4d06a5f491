# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  state:
    description:
      - What the service is to be. V(started) and V(stopped) do nothing where it is so already; V(restarted) restarts it
        each time, and starts it where it does not run.
      - An agent that is stopped takes no command of Cloud Assistant. The instance goes on running.
    type: str
    choices: [started, stopped, restarted]
  enabled:
    description: Whether the service is to start with the host.
    type: bool
  force:
    description:
      - Whether to stop the agent from within one of its own commands, whose result is then lost.
    type: bool
    default: false
  timeout:
    description: How many seconds the service may take to start, stop or restart.
    type: int
    default: 120
attributes:
  action_group:
    support: none
    membership: []
  async:
    support: full
  check_mode:
    support: full
    details:
      - Returns the state that the service would have.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - A restart is a change each time.
notes:
  - A task can run in a command of Cloud Assistant itself, when Ansible was started by one, for instance. The agent
    then is an ancestor of the task, and its end cuts off the result of the command. There a restart waits, detached,
    until the command has ended and its result is reported, and RV(detached) is true. Whether it succeeded only another
    task can tell. To stop the agent is refused there unless O(force) is set.
  - Needs the rights of an administrator, so C(become) where the connection does not have them.
"""
