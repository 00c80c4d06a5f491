// SPDX-License-Identifier: GPL-3.0-or-later
// The SDK for TypeScript and JavaScript, as npm has it.
"use strict";

const { setTimeout: sleep } = require("node:timers/promises");
const { $OpenApiUtil: { Config } } = require("@alicloud/openapi-core");
const { default: Client, ...models } = require("@alicloud/ecs20140526");

const regionId = process.env.ALIBABA_CLOUD_REGION_ID;
const instance = process.argv[2];
const endpoint = new URL(process.env.ALIBABA_CLOUD_ECS_ENDPOINT);
const unfinished = ["Pending", "Scheduled", "Running", "Stopping"];

const client = new Client(new Config({
  accessKeyId: process.env.ALIBABA_CLOUD_ACCESS_KEY_ID,
  accessKeySecret: process.env.ALIBABA_CLOUD_ACCESS_KEY_SECRET,
  endpoint: endpoint.host,
  protocol: endpoint.protocol.slice(0, -1),
}));

async function status() {
  const request = new models.DescribeInstancesRequest({ regionId, instanceIds: JSON.stringify([instance]) });
  return (await client.describeInstances(request)).body.instances.instance[0].status;
}

async function result(invokeId) {
  for (;;) {
    const request = new models.DescribeInvocationResultsRequest({ regionId, invokeId, contentEncoding: "PlainText" });
    const { body } = await client.describeInvocationResults(request);
    const row = body.invocation.invocationResults.invocationResult[0];
    if (!unfinished.includes(row.invocationStatus)) return row;
    await sleep(100);
  }
}

async function main() {
  const before = await status();
  const command = new models.RunCommandRequest({
    regionId,
    type: "RunShellScript",
    commandContent: "echo hello",
    instanceId: [instance],
    timeout: 60,
  });
  const row = await result((await client.runCommand(command)).body.invokeId);
  await client.rebootInstances(new models.RebootInstancesRequest({ regionId, instanceId: [instance] }));
  let after = await status();
  while (after !== "Running") {
    await sleep(100);
    after = await status();
  }
  console.log(JSON.stringify({ before, command: row.invocationStatus, output: row.output, after }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
