# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks against the simulator, through the same commands that users type."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.models import Config

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
REGION = "cn-hangzhou"
# Machines that boot on a loaded machine take their time.
READY_S = 300
# Only ends what would wait for ever.
PLAYBOOK_S = 900
KEPT = ("PATH", "LANG", "TMPDIR")
UPDATES = [{"name": "kernel", "from": "1.0", "to": "2.0", "restart": True}]


@dataclass
class Outcome:
    """How a playbook ended."""

    status: int
    output: str
    results: list[dict[str, Any]]

    @property
    def result(self) -> dict[str, Any]:
        """The registered result of the last task."""
        return self.results[-1]

    def recap(self, host: str) -> dict[str, int]:
        """A host's line of the recap."""
        line = next(line for line in self.output.splitlines() if line.startswith(f"{host} ") and " ok=" in line)
        return {key: int(value) for key, value in (word.split("=") for word in line.split() if "=" in word)}


@dataclass(kw_only=True)
class Controller:
    """Where playbooks run, and the hosts that they are for."""

    folder: Path
    environment: dict[str, str]
    inventory: dict[str, Any] = field(default_factory=dict)

    def command(self, path: Path, *arguments: str) -> list[str]:
        """ansible-playbook with the inventory as it is now."""
        inventory = self.folder / "inventory.json"
        inventory.write_text(json.dumps(self.inventory), encoding="utf-8")
        return [str(BIN / "ansible-playbook"), "-i", str(inventory), str(path), *arguments]

    def playbook(self, path: Path, *arguments: str, **environment: str) -> Outcome:
        """Run ansible-playbook."""
        done = subprocess.run(
            self.command(path, *arguments),
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=PLAYBOOK_S,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, [])

    def play(self, tasks: list[dict[str, Any]], *arguments: str, hosts: str = "all", **more: Any) -> Outcome:
        """Run tasks on hosts, once each; capital letters are environment variables.

        What has no ``register`` of its own is registered as ``result_0`` and so on.
        """
        environment = {key: more.pop(key) for key in list(more) if key.isupper()}
        whole: list[dict[str, Any]] = []
        for number, task in enumerate(tasks):
            name = task.get("register", f"result_{number}")
            whole.append({"run_once": True, "ignore_errors": True, **task, "register": name})
            # debug needs no connection, and Base64 survives the output.
            message = f"RESULT:{{{{ {name} | to_json | b64encode }}}}:RESULT"
            whole.append({"ansible.builtin.debug": {"msg": message}, "run_once": True})
        play = {"hosts": hosts, "gather_facts": False, "tasks": whole, **more}
        path = self.folder / "play.yml"
        path.write_text(yaml.safe_dump([play]), encoding="utf-8")
        outcome = self.playbook(path, *arguments, **environment)
        texts = re.findall(r'"RESULT:([A-Za-z0-9+/=]*):RESULT"', outcome.output)
        outcome.results = [json.loads(base64.b64decode(text)) for text in texts]
        return outcome


@dataclass(kw_only=True)
class Cloud(Controller):
    """A simulator in the background, and playbooks against it."""

    audit_log: Path
    process: subprocess.Popen[bytes]

    def ids(self) -> dict[str, str]:
        """Instance ids by host."""
        hosts = self.inventory["all"]["hosts"]
        return {name: values["ecs_instance_id"] for name, values in hosts.items() if "ecs_instance_id" in values}

    def stop(self) -> None:
        """End the simulator, and with it all machines."""
        self.process.terminate()
        self.process.wait()

    def audit(self, **wanted: str) -> list[dict[str, Any]]:
        """The audit log's lines with these values."""
        lines = [json.loads(line) for line in self.audit_log.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if wanted.items() <= line.items()]


def client_of(cloud: Cloud) -> Client:
    """Alibaba's SDK against a cloud."""
    endpoint = cloud.environment["ALIBABA_CLOUD_ECS_ENDPOINT"].removeprefix("http://")
    keys = {"access_key_id": "demo", "access_key_secret": "demo-secret"}
    return Client(Config(**keys, endpoint=endpoint, protocol="http", region_id=REGION))


def _await_ready(process: subprocess.Popen[bytes], ready_file: Path) -> None:
    end = time.monotonic() + READY_S
    while not ready_file.exists():
        assert process.poll() is None, "the simulator ended"
        assert time.monotonic() < end, f"the simulator is not ready after {READY_S} s"
        time.sleep(0.05)


def ansible_environment(folder: Path) -> dict[str, str]:
    """An environment in which Ansible finds the collection, and no settings of whoever runs the tests."""
    home = folder / "home"
    home.mkdir()
    kept = {name: os.environ[name] for name in os.environ if name in KEPT or name.startswith("COVERAGE_")}
    return kept | {
        "HOME": str(home),
        "ANSIBLE_HOME": str(home / ".ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections"),
        "ANSIBLE_DEPRECATION_WARNINGS": "false",
    }


def start(folder: Path, fleet: dict[str, Any]) -> Cloud:
    """Serve a fleet and wait until it is up."""
    (folder / "fleet.yml").write_text(yaml.safe_dump(fleet), encoding="utf-8")
    ready_file, audit_log = folder / "ready.json", folder / "audit.jsonl"
    process = subprocess.Popen(
        [
            str(BIN / "ecs-simulator"),
            "serve",
            f"--fleet={folder / 'fleet.yml'}",
            f"--ready-file={ready_file}",
            f"--audit-log={audit_log}",
            f"--state-dir={folder / 'state'}",
        ]
    )
    try:
        _await_ready(process, ready_file)
    except BaseException:
        process.kill()
        process.wait()
        raise
    ready = json.loads(ready_file.read_text(encoding="utf-8"))
    environment = ansible_environment(folder) | {
        "ALIBABA_CLOUD_ECS_ENDPOINT": ready["ecs_endpoint"],
        "ALIBABA_CLOUD_REGION_ID": ready["region_id"],
        "ALIBABA_CLOUD_ACCESS_KEY_ID": ready["access_key_id"],
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": ready["access_key_secret"],
        "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true",
    }
    return Cloud(folder=folder, environment=environment, audit_log=audit_log, process=process)


def make_cloud(folder: Path, *instances: dict[str, Any], **more: Any) -> Cloud:
    """A cloud with these instances, and an inventory that has them as hosts."""
    rows = []
    for number, instance in enumerate(instances, start=1):
        defaults: dict[str, Any] = {"id": f"i-bp1endtoend{number:08d}", "boot_s": 1}
        if instance.get("os") != "windows":
            defaults["updates"] = []
        rows.append(defaults | instance)
    cloud = start(
        folder,
        {
            "access_keys": [{"id": "demo", "secret": "demo-secret"}],
            "regions": {REGION: {"instances": rows}},
            **more,
        },
    )
    hosts = {row["name"]: {"ecs_instance_id": row["id"]} for row in rows}
    cloud.inventory = {"all": {"hosts": hosts}}
    return cloud
