# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  region_id:
    description:
      - The region, such as V(cn-hangzhou).
      - If not set, the environment variable E(ALIBABA_CLOUD_REGION_ID) is used.
    type: str
    aliases: [region]
  endpoint:
    description:
      - Where the ECS API is served, as a host or as a URL whose scheme chooses HTTP or HTTPS.
      - If not set, the environment variable E(ALIBABA_CLOUD_ECS_ENDPOINT) is used, and without that the region's
        public endpoint.
    type: str
  access_key_id:
    description:
      - The access key id. Needs O(access_key_secret).
      - With neither this nor O(profile), the default credential chain of Alibaba Cloud's SDK is used. It looks into
        E(ALIBABA_CLOUD_ACCESS_KEY_ID) and E(ALIBABA_CLOUD_ACCESS_KEY_SECRET), the configuration of the C(aliyun)
        command, and the RAM role of the instance it runs on.
    type: str
  access_key_secret:
    description: The secret of the access key.
    type: str
  security_token:
    description: The token that goes with a temporary access key.
    type: str
  profile:
    description: A profile in the configuration of the C(aliyun) command.
    type: str
  role_arn:
    description: A RAM role to assume with the credentials, such as V(acs:ram::123456789012:role/patching).
    type: str
  role_session_name:
    description: The name of the session when a role is assumed.
    type: str
  connect_timeout:
    description: How many seconds connecting to the API may take.
    type: int
    default: 5
  read_timeout:
    description: How many seconds one answer of the API may take.
    type: int
    default: 30
  http_proxy:
    description: The proxy for an endpoint that is reached by HTTP.
    type: str
  https_proxy:
    description: The proxy for an endpoint that is reached by HTTPS.
    type: str
  ca_path:
    description: A file with the certificates of the authorities to trust instead of the usual ones.
    type: path
requirements:
  - alibabacloud_ecs20140526 >= 7.1.0, in the Python that runs Ansible
  - alibabacloud_tea_openapi >= 0.4.0, in the Python that runs Ansible
notes:
  - This module runs on the controller, in Ansible's own Python, whatever host the task is for. It needs neither
    C(delegate_to) nor an inventory entry for the controller, and neither C(become) nor the host's connection matters
    to it. With C(delegate_to) a host other than C(localhost) it runs there.
"""
