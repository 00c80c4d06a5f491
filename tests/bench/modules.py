# SPDX-License-Identifier: GPL-3.0-or-later
"""What running a script on many instances costs: ``python tests/bench/modules.py [instances …]``.

Side by side, in one run, against the simulator with scripted instances whose script takes ten seconds:

- ecs_run_command, one task for all instances;
- the functions of the sample in Alibaba's help page on restarting instances in batches (run_command, and ten polls five
  seconds apart), in our own words: RunCommand for 100 instances at a time, and the first page of the results;
- ecs_run_command as a task for each host, measured with at most 50 hosts and extrapolated beyond that.
"""

from __future__ import annotations

import base64
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from end_to_end.clouds import BIN, REGION, Cloud, start

SCRIPT_S = 10
FORKS = 10
HOSTS_MEASURED = 50
TASK = {"cloudops.alibaba.ecs_run_command": {"content": "hostname", "timeout": 60}}
# The sample waits ten times for five seconds.
SAMPLE_POLLS, SAMPLE_PAUSE_S = 10, 5


@dataclass
class Cost:
    """What one way has cost, and what it knows in the end."""

    wall_s: float
    cpu_s: float
    late_s: float
    """From the end of the script on the last instance to the return."""
    known: int
    """Instances whose output is known."""
    calls: Counter[str] = field(default_factory=Counter)
    measured: int = 0
    """Instances that were measured, where the rest is extrapolated."""


def serve(folder: Path, count: int) -> Cloud:
    """A cloud of so many scripted instances."""
    row = {
        "name": "host-{n:04d}",
        "count": count,
        "machine": "scripted",
        "answers": [{"output": "host\n", "seconds": SCRIPT_S}],
    }
    keys = [{"id": "bench", "secret": "bench-secret"}]
    return start(folder, {"access_keys": keys, "regions": {REGION: {"instances": [row]}}})


def ids_of(cloud: Cloud) -> list[str]:
    """The ids of all instances, as `ecs-simulator inventory` tells them."""
    command = [str(BIN / "ecs-simulator"), "inventory", "--fleet", str(cloud.folder / "fleet.yml")]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [value for key, value in _pairs(yaml.safe_load(text)) if key == "ecs_instance_id"]


def _pairs(tree: Any) -> list[tuple[str, Any]]:
    if not isinstance(tree, dict):
        return []
    return [pair for key, value in tree.items() for pair in [(key, value), *_pairs(value)]]


def measure(cloud: Cloud, command: list[str], known: str) -> Cost:
    """Run a command; ``known`` begins the lines that each stand for an instance whose output is known."""
    before = len(cloud.audit())
    began = time.monotonic()
    environment = cloud.environment | {"PYTHONUNBUFFERED": "1"}  # lines then come when they are written
    process = subprocess.Popen(command, cwd=cloud.folder, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    returned, lines = time.time(), []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(("changed: ", "RETURNED")):
            returned = time.time()
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, "".join(lines)
    wall_s = time.monotonic() - began
    audit = cloud.audit()[before:]
    ends = [_seconds(line["time"]) for line in audit if line.get("event") == "command_end"]
    return Cost(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        late_s=returned - max(ends),
        known=sum(line.strip().startswith(known) for line in lines),
        calls=Counter(line["action"] for line in audit if line["kind"] == "api"),
    )


def _seconds(moment: Any) -> float:
    if isinstance(moment, (int, float)):
        return float(moment)
    return datetime.fromisoformat(moment).timestamp()


def playbook(cloud: Cloud, hosts: dict[str, Any], tasks: list[dict[str, Any]]) -> list[str]:
    """The command that runs tasks on hosts."""
    play = {"hosts": "all", "gather_facts": False, "tasks": tasks}
    (cloud.folder / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    cloud.inventory = {"all": {"hosts": hosts}}
    return cloud.command(cloud.folder / "play.yml", "--forks", str(FORKS))


def for_all(cloud: Cloud, ids: list[str]) -> Cost:
    """One task for all instances."""
    (name,) = TASK
    task = {name: TASK[name] | {"instance_ids": ids}, "register": "ran"}
    output = "{{ ran.instances.values() | map(attribute='output') | map('trim') }}"
    return measure(
        cloud, playbook(cloud, {"localhost": {}}, [task, {"ansible.builtin.debug": {"msg": output}}]), '"host'
    )


def for_each(cloud: Cloud, ids: list[str]) -> Cost:
    """A task for each host, with some of the instances; extrapolated to all."""
    (name,) = TASK
    some = ids[:HOSTS_MEASURED]
    task = {name: TASK[name] | {"instance_ids": ["{{ id }}"]}}
    cost = measure(cloud, playbook(cloud, {id_: {"id": id_} for id_ in some}, [task]), "changed: ")
    factor = len(ids) / len(some)
    cost.measured = len(some)
    cost.wall_s, cost.cpu_s = cost.wall_s * factor, cost.cpu_s * factor
    cost.known = round(cost.known * factor)
    cost.calls = Counter({action: round(times * factor) for action, times in cost.calls.items()})
    return cost


def for_sample(cloud: Cloud, ids: list[str]) -> Cost:
    """The sample's functions, in a process of their own."""
    (cloud.folder / "ids.json").write_text(json.dumps(ids), encoding="utf-8")
    command = [sys.executable, str(Path(__file__).resolve()), "--sample", str(cloud.folder / "ids.json")]
    return measure(cloud, command, "KNOWN")


def sample(ids: list[str]) -> None:
    """RunCommand for 100 instances at a time, then the polls of the sample, one invocation after the other."""
    from urllib.parse import urlsplit

    from alibabacloud_ecs20140526 import models
    from alibabacloud_ecs20140526.client import Client
    from alibabacloud_tea_openapi.models import Config

    endpoint = urlsplit(os.environ["ALIBABA_CLOUD_ECS_ENDPOINT"])
    key, secret = os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"], os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"]
    client = Client(
        Config(access_key_id=key, access_key_secret=secret, endpoint=endpoint.netloc, protocol=endpoint.scheme)
    )
    invocations = []
    for begin in range(0, len(ids), 100):
        request = models.RunCommandRequest(
            region_id=REGION,
            type="RunShellScript",
            command_content="hostname",
            instance_id=ids[begin : begin + 100],
            timeout=60,
        )
        invocations.append(client.run_command(request).body.invoke_id)
    for invoke_id in invocations:
        rows: list[Any] = []
        for _poll in range(SAMPLE_POLLS):
            query = models.DescribeInvocationResultsRequest(region_id=REGION, invoke_id=invoke_id)
            rows = client.describe_invocation_results(query).body.invocation.invocation_results.invocation_result
            if not {row.invocation_status for row in rows} & {"Running", "Pending", "Stopping"}:
                break
            time.sleep(SAMPLE_PAUSE_S)
        for row in rows:
            base64.b64decode(row.output)
            print("KNOWN")
    print("RETURNED", flush=True)


def poll_limit(instances: int, run_s: float) -> int:
    """A poll of each of n invocations a round, and pauses between rounds of max(0.5 s, n * 0.08 s, 5% of the time)."""
    invocations = math.ceil(instances / 100)
    first_s = max(0.5, 0.08 * invocations)
    rounds = min(run_s, first_s / 0.05) / first_s + math.log(max(1.0, 0.05 * run_s / first_s), 1.05) + run_s / 10 + 2
    return invocations * math.ceil(rounds)


def verdicts(instances: int, batch: Cost, each: Cost) -> list[str]:
    """A line for each target."""
    pages = batch.calls["DescribeInvocationResults"]
    polls, most = batch.calls["DescribeInvocations"], poll_limit(instances, batch.wall_s)
    calls, most_calls = batch.calls["RunCommand"], math.ceil(instances / 100)
    less = each.cpu_s / batch.cpu_s
    late, most_late = batch.late_s, max(2.0, 0.1 * SCRIPT_S)
    lines = [
        (calls <= most_calls, f"RunCommand calls: {calls}, at most {most_calls}"),
        (pages <= math.ceil(instances / 50), f"result pages: {pages}, at most {math.ceil(instances / 50)}"),
        (polls <= most, f"polls: {polls}, at most {most} ({poll_limit.__doc__})"),
        (late <= most_late, f"from the last instance's end to the return: {late:.1f} s, at most {most_late:.1f} s"),
        (batch.known == instances, f"instances whose output is known: {batch.known} of {instances}"),
    ]
    if instances >= 1000:
        lines.append((less >= 50, f"CPU: {less:.0f} times less than one task for each host, at least 50"))
    return [f"  {'met   ' if met else 'MISSED'} {text}" for met, text in lines]


def main(sizes: list[int]) -> int:
    """Measure all sizes and print a table; 1 when a target is missed."""
    missed = False
    for count in sizes:
        with tempfile.TemporaryDirectory(prefix="cloudops-bench-") as folder:
            cloud = serve(Path(folder), count)
            try:
                ids = ids_of(cloud)
                ways = {way.__name__: way(cloud, ids) for way in (for_all, for_sample, for_each)}
            finally:
                cloud.stop()
        print(f"\n{count} instances, a script of {SCRIPT_S} s, --forks {FORKS}")
        print(f"  {'':34}{'API calls':>10}{'wall s':>9}{'CPU s':>9}{'late s':>8}{'known':>7}")
        for name, title in (
            ("for_all", "ecs_run_command, one task"),
            ("for_sample", "the help page's sample"),
            ("for_each", "ecs_run_command, a task each"),
        ):
            cost = ways[name]
            if cost.measured not in (0, count):
                title += f" ({cost.measured} ×{count // cost.measured})"
            print(
                f"  {title:34}{sum(cost.calls.values()):>10}{cost.wall_s:>9.1f}{cost.cpu_s:>9.2f}{cost.late_s:>8.1f}"
                f"{cost.known:>7}"
            )
        results = verdicts(count, ways["for_all"], ways["for_each"])
        missed = missed or any("MISSED" in line for line in results)
        print("\n".join(results), flush=True)
    return int(missed)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--sample"]:
        sample(json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))
    else:
        sys.exit(main([int(word) for word in sys.argv[1:]] or [1, 100, 1000]))
