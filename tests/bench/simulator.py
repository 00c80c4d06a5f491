# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a simulator of 10,000 scripted instances costs: one RunCommand for each, and every result read.

The simulator is a process of its own, so its CPU time and its memory are its own; the calls are the real SDK's.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.models import Config

IDS_OF_A_CALL = 100
PAGE = 50
FLEET = """
access_keys: [{{id: demo, secret: demo-secret}}]
clock: virtual
regions:
  cn-hangzhou:
    instances:
      - name: "web-{{n:05d}}"
        count: {count}
        machine: scripted
        answers: [{{match: hour, output: "done\\n", seconds: 3590}}]
"""


@dataclass
class Served:
    """A simulator in a process of its own."""

    pid: int
    ready: dict[str, Any]

    def client(self) -> Client:
        endpoint = urlsplit(self.ready["ecs_endpoint"])
        key = {name: self.ready[name] for name in ("access_key_id", "access_key_secret")}
        return Client(Config(**key, endpoint=endpoint.netloc, protocol=endpoint.scheme))

    def advance(self, seconds: float) -> None:
        body = json.dumps({"advance": seconds}).encode()
        urllib.request.urlopen(f"{self.ready['ecs_endpoint']}/_simulator/clock", body).close()

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mib(self) -> float:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

    @contextmanager
    def measured(self, what: str) -> Iterator[None]:
        """Print what a part of the work costs."""
        wall, cpu = time.monotonic(), self.cpu_s()
        yield
        wall, cpu = time.monotonic() - wall, self.cpu_s() - cpu
        print(f"{what:44} {cpu:7.2f} s of CPU {wall:8.2f} s in all {self.peak_mib():7.0f} MiB at most", flush=True)


@contextmanager
def serving(count: int) -> Iterator[Served]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fleet, ready = folder / "fleet.yml", folder / "ready.json"
        fleet.write_text(FLEET.format(count=count), encoding="utf-8")
        command = [sys.executable, "-m", "ecs_simulator", "serve", "--fleet", fleet, "--ready-file", ready]
        with subprocess.Popen([*command, "--audit-log", folder / "audit.jsonl"], stderr=subprocess.DEVNULL) as process:
            try:
                while not ready.exists():
                    if process.poll() is not None:
                        raise SystemExit(f"the simulator has ended with status {process.returncode}")
                    time.sleep(0.05)
                yield Served(process.pid, json.loads(ready.read_text(encoding="utf-8")))
            finally:
                process.terminate()


def instance_ids(ecs: Client) -> list[str]:
    ids: list[str] = []
    token = ""
    while not ids or token:
        request = models.DescribeInstancesRequest(region_id="cn-hangzhou", max_results=100, next_token=token)
        body = ecs.describe_instances(request).body
        ids += [row.instance_id for row in body.instances.instance]
        token = body.next_token
    return ids


def run(ecs: Client, ids: list[str]) -> str:
    request = models.RunCommandRequest(
        region_id="cn-hangzhou", type="RunShellScript", command_content="an hour", timeout=7200, instance_id=ids
    )
    invoke_id: str = ecs.run_command(request).body.invoke_id
    return invoke_id


def results(ecs: Client, invoke_id: str) -> list[tuple[str, str]]:
    """Status and output of each instance."""
    found: list[tuple[str, str]] = []
    token = ""
    while not found or token:
        request = models.DescribeInvocationResultsRequest(
            region_id="cn-hangzhou",
            invoke_id=invoke_id,
            max_results=PAGE,
            next_token=token,
            content_encoding="PlainText",
        )
        body = ecs.describe_invocation_results(request).body.invocation
        found += [(row.invocation_status, row.output) for row in body.invocation_results.invocation_result]
        token = body.next_token
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=10_000)
    count = parser.parse_args().instances
    with serving(count) as simulator:
        print(f"{'start':44} {simulator.cpu_s():7.2f} s of CPU")
        ecs = simulator.client()
        with simulator.measured(f"DescribeInstances, pages of 100: {count}"):
            ids = instance_ids(ecs)
        batches = [ids[start : start + IDS_OF_A_CALL] for start in range(0, len(ids), IDS_OF_A_CALL)]
        with simulator.measured(f"RunCommand accepted: {len(batches)} calls of {IDS_OF_A_CALL}"):
            invocations = [run(ecs, batch) for batch in batches]
        with simulator.measured("an hour of fleet time"):
            simulator.advance(3600)
        with simulator.measured(f"DescribeInvocationResults, pages of {PAGE}: {count}"):
            read = [result for invoke_id in invocations for result in results(ecs, invoke_id)]
    assert read == [("Success", "done\n")] * count, f"{len(read)} results, not all of them Success"
    print(f"all {len(read)} results read")


if __name__ == "__main__":
    main()
