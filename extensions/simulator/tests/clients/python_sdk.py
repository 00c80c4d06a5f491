# SPDX-License-Identifier: GPL-3.0-or-later
"""Today's SDK for Python: signature version 3, parameters in the query."""

import json
import os
import sys
import time
from urllib.parse import urlsplit

from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.models import Config

REGION = os.environ["ALIBABA_CLOUD_REGION_ID"]
INSTANCE = sys.argv[1]
UNFINISHED = ("Pending", "Scheduled", "Running", "Stopping")

endpoint = urlsplit(os.environ["ALIBABA_CLOUD_ECS_ENDPOINT"])
ecs = Client(
    Config(
        access_key_id=os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"],
        access_key_secret=os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"],
        endpoint=endpoint.netloc,
        protocol=endpoint.scheme,
        ca=os.environ.get("ALIBABA_CLOUD_CA_BUNDLE"),
    )
)


def status() -> str:
    request = models.DescribeInstancesRequest(region_id=REGION, instance_ids=json.dumps([INSTANCE]))
    return ecs.describe_instances(request).body.instances.instance[0].status


before = status()
command = models.RunCommandRequest(
    region_id=REGION, type="RunShellScript", command_content="echo hello", instance_id=[INSTANCE], timeout=60
)
invoke_id = ecs.run_command(command).body.invoke_id
while True:
    asked = models.DescribeInvocationResultsRequest(region_id=REGION, invoke_id=invoke_id, content_encoding="PlainText")
    row = ecs.describe_invocation_results(asked).body.invocation.invocation_results.invocation_result[0]
    if row.invocation_status not in UNFINISHED:
        break
    time.sleep(0.1)
ecs.reboot_instances(models.RebootInstancesRequest(region_id=REGION, instance_id=[INSTANCE]))
while (after := status()) != "Running":
    time.sleep(0.1)
print(json.dumps({"before": before, "command": row.invocation_status, "output": row.output, "after": after}))
