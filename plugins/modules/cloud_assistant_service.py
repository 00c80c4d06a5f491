#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cloud_assistant_service
short_description: Start, stop, restart, enable and query the Cloud Assistant Agent's service on its own host
description:
  - Has the service of the Cloud Assistant Agent started, stopped or restarted, and starting with the host or not, on
    the host that the task is for. Without O(state) and O(enabled) it only looks.
  - It makes no API call. It reaches the host the way that Ansible does, such as SSH or WinRM, so it also brings back
    an agent that Cloud Assistant no longer reaches.
  - It finds the init system and the name of the service itself. With systemd it is C(aliyun.service), with upstart
    C(aliyun-service) through C(initctl), with sysvinit C(/etc/init.d/aliyun-service), and
    on Windows C(AliyunService). On Linux it knows the other one of the two names as well, since the agent's installer
    may have mixed them up.
  - After every command it looks again. A command that exits with status 0 and has no effect is a failure, and so is an
    agent that ends as soon as it has started.
extends_documentation_fragment:
  - cloudops.alibaba._service
  - cloudops.alibaba._attributes
notes:
  - On Windows M(cloudops.alibaba.win_cloud_assistant_service) does the work, under this name.
  - Hosts with upstart or sysvinit are old. They need a Python that Ansible supports, C(ansible_python_interpreter).
seealso:
  - module: cloudops.alibaba.win_cloud_assistant_service
  - module: cloudops.alibaba.ecs_cloud_assistant
    description: Whether Cloud Assistant reaches the agent, and to install it.
author:
  - cloudops.alibaba contributors (@cloudops-alibaba)
"""

EXAMPLES = r"""
- name: Look at the agent
  cloudops.alibaba.cloud_assistant_service:
  register: agent

- name: Have the agent run, now and after each boot
  cloudops.alibaba.cloud_assistant_service:
    state: started
    enabled: true

- name: Restart the agent
  cloudops.alibaba.cloud_assistant_service:
    state: restarted

- name: Stop the agent while nothing may reach the host
  cloudops.alibaba.cloud_assistant_service:
    state: stopped
"""

RETURN = r"""
init_system:
  description:
    - What starts services on the host, one of V(systemd), V(upstart), V(sysvinit) and V(windows). It is null where
      nothing tells.
  returned: always
  type: str
  sample: systemd
service:
  description: The name of the service; null if the agent is not installed.
  returned: always
  type: str
  sample: aliyun.service
state:
  description:
    - The state of the service, one of V(started), V(stopped), V(starting), V(stopping), V(failed) and V(absent).
    - It is V(failed) when it has ended by itself and waits to be started again, and V(absent) when the agent is not
      installed.
  returned: always
  type: str
  sample: started
status:
  description:
    - The state in the words of the init system; null if the agent is not installed. Check mode leaves it as it is.
  returned: always
  type: str
  sample: active (running)
enabled:
  description: Whether the service starts with the host; null if the agent is not installed.
  returned: always
  type: bool
  sample: true
agent_version:
  description: The agent's version, or null if it cannot be found out.
  returned: always
  type: str
  sample: 2.2.3.578
in_command:
  description: Whether the task runs in a command of Cloud Assistant.
  returned: always
  type: bool
detached:
  description:
    - Whether the restart comes after the command of Cloud Assistant in which the task runs. RV(state) is then the one
      before it.
  returned: always
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._service.ensure import ensure_service
from ..module_utils._service.host import RealHost
from ..module_utils._service.shapes import Wanted
from ..module_utils._waiting import RealClock


def main() -> None:
    module = AnsibleModule(
        {
            "state": {"type": "str", "choices": ["started", "stopped", "restarted"]},
            "enabled": {"type": "bool"},
            "force": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    params = module.params
    result = ensure_service(
        RealHost(),
        RealClock(),
        Wanted(params["state"], params["enabled"], params["force"]),
        timeout_s=params["timeout"],
        dry=module.check_mode,
    )
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
