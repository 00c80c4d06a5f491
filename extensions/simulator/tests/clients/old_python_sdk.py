# SPDX-License-Identifier: GPL-3.0-or-later
"""The old SDK for Python: signature version 1.0, GET and POST."""

import json
import os
import sys
import time
from urllib.parse import urlsplit

from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.http.protocol_type import HTTP, HTTPS
from aliyunsdkecs.request.v20140526.DescribeInstancesRequest import DescribeInstancesRequest
from aliyunsdkecs.request.v20140526.DescribeInvocationResultsRequest import DescribeInvocationResultsRequest
from aliyunsdkecs.request.v20140526.RebootInstancesRequest import RebootInstancesRequest
from aliyunsdkecs.request.v20140526.RunCommandRequest import RunCommandRequest

INSTANCE = sys.argv[1]
# The SDK asks whether the protocol is its own text, not whether it reads the same.
PROTOCOLS = {"http": HTTP, "https": HTTPS}
UNFINISHED = ("Pending", "Scheduled", "Running", "Stopping")

endpoint = urlsplit(os.environ["ALIBABA_CLOUD_ECS_ENDPOINT"])
client = AcsClient(
    os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"],
    os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"],
    os.environ["ALIBABA_CLOUD_REGION_ID"],
    port=endpoint.port,
)


def ask(request):
    request.set_endpoint(endpoint.hostname)
    request.set_protocol_type(PROTOCOLS[endpoint.scheme])
    return json.loads(client.do_action_with_exception(request))


def status():
    request = DescribeInstancesRequest()
    request.set_InstanceIds(json.dumps([INSTANCE]))
    return ask(request)["Instances"]["Instance"][0]["Status"]


before = status()
command = RunCommandRequest()
command.set_Type("RunShellScript")
command.set_CommandContent("echo hello")
command.set_InstanceIds([INSTANCE])
command.set_Timeout(60)
invoke_id = ask(command)["InvokeId"]
while True:
    asked = DescribeInvocationResultsRequest()
    asked.set_InvokeId(invoke_id)
    asked.set_ContentEncoding("PlainText")
    row = ask(asked)["Invocation"]["InvocationResults"]["InvocationResult"][0]
    if row["InvocationStatus"] not in UNFINISHED:
        break
    time.sleep(0.1)
restart = RebootInstancesRequest()
restart.set_InstanceIds([INSTANCE])
ask(restart)
while (after := status()) != "Running":
    time.sleep(0.1)
print(json.dumps({"before": before, "command": row["InvocationStatus"], "output": row["Output"], "after": after}))
