# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls of the sample on Alibaba's help page about restarting instances, sent in its way.

Ids go as Python prints a list, the command is plain text that begins with an empty line, its output is base64, and the
client has no region.
"""

import base64
import json
import os
import sys
import time
from urllib.parse import urlsplit

from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.models import Config

region_id, instance_ids = os.environ["ALIBABA_CLOUD_REGION_ID"], sys.argv[1:]
endpoint = urlsplit(os.environ["ALIBABA_CLOUD_ECS_ENDPOINT"])
config = Config(
    access_key_id=os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"],
    access_key_secret=os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"],
    endpoint=endpoint.netloc,
)
config.protocol = endpoint.scheme
config.ca = os.environ.get("ALIBABA_CLOUD_CA_BUNDLE")
client = Client(config)


def statuses() -> dict[str, str]:
    request = models.DescribeInstancesRequest(region_id=region_id, instance_ids=str(instance_ids))
    return {row.instance_id: row.status for row in client.describe_instances(request).body.instances.instance}


def results(invoke_id: str) -> dict[str, tuple[str, str]]:
    request = models.DescribeInvocationResultsRequest(region_id=region_id, invoke_id=invoke_id)
    rows = client.describe_invocation_results(request).body.invocation.invocation_results.invocation_result
    return {row.instance_id: (row.invocation_status, base64.b64decode(row.output).decode()) for row in rows}


before = statuses()
command = models.RunCommandRequest(
    region_id=region_id,
    type="RunShellScript",
    command_content="\n#!/bin/bash\necho hello\n",
    instance_id=instance_ids,
    timeout=60,
)
invoke_id = client.run_command(command).body.invoke_id
while {status for status, _output in results(invoke_id).values()} & {"Running", "Pending", "Stopping"}:
    time.sleep(0.1)
client.reboot_instances(
    models.RebootInstancesRequest(region_id=region_id, instance_id=instance_ids, force_reboot=False)
)
while set((after := statuses()).values()) != {"Running"}:
    time.sleep(0.1)
[(status, output)] = results(invoke_id).values()
[id_] = instance_ids
print(json.dumps({"before": before[id_], "command": status, "output": output, "after": after[id_]}))
