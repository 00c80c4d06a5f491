# SPDX-License-Identifier: GPL-3.0-or-later
"""A secret that is put through every option of every module and every variable of the role shows nowhere.

What all modules have in common, the connection, is the same code in each and is tried with the first of them. Two
secrets: the access key secret of the connection, which somebody pastes into a wrong option, too, and one that
stands in a script. Searched are the output at -vvvvvv, Ansible's log, what would go to syslog, every file that is
left on the controller, and the simulator's audit log. They come from a file of variables, because Ansible shows
excerpts of playbooks.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from end_to_end.clouds import BIN, REGION, ROOT, Cloud, make_cloud

SECRET = "canary-key-9f8e7d6c5b4a"
SCRIPT_SECRET = "canary-script-1a2b3c4d5e6f"
SCRIPT = ": {{ script_secret }}"
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("ecs_*.py"))
ROLE = yaml.safe_load((ROOT / "roles" / "patch_hosts" / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
# Ansible itself checks types and choices of a role's variables, and repeats the value that is wrong.
TYPED_BY_ANSIBLE = {
    name
    for name, option in ROLE["argument_specs"]["main"]["options"].items()
    if option["type"] != "str" or "choices" in option
}
LEFT_OUT = {
    "role_arn": "would be asked for at Alibaba's own addresses",
    "role_session_name": "needs role_arn",
    "src": "Ansible shows the paths in which it looks for a file",
    "patch_hosts_report_dir": "the report says where it is",
}

SYSLOG_HOOK = """
import os, syslog
def write(*arguments):
    with open(os.environ["SYSLOG_FILE"], "a") as file:
        file.write(repr(arguments) + "\\n")
syslog.syslog = write
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Two machines, one that is stopped, behind a key whose secret is the canary."""
    folder = tmp_path_factory.mktemp("secrets")
    cloud = make_cloud(
        folder,
        {"name": "a", "boot_s": 0},
        {"name": "off", "status": "Stopped"},
        access_keys=[{"id": "canary", "secret": SECRET}],
    )
    (folder / "hooks").mkdir()
    (folder / "hooks" / "sitecustomize.py").write_text(SYSLOG_HOOK, encoding="utf-8")
    (folder / "temporary").mkdir()
    variables = {"secret": SECRET, "script_secret": SCRIPT_SECRET}
    (folder / "variables.json").write_text(json.dumps(variables), encoding="utf-8")
    cloud.environment |= {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": "canary",
        "ANSIBLE_LOG_PATH": str(folder / "ansible.log"),
        "PYTHONPATH": str(folder / "hooks"),
        "SYSLOG_FILE": str(folder / "syslog"),
        "TMPDIR": str(folder / "temporary"),
    }
    yield cloud
    cloud.stop()


@cache
def options(module: str) -> dict[str, Any]:
    """The documented options of a module, those of its fragments included."""
    environment = {"PATH": str(BIN), "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections")}
    name = f"cloudops.alibaba.{module}"
    done = subprocess.run(
        [BIN / "ansible-doc", "--json", name], env=environment, check=True, capture_output=True, text=True
    )
    documented: dict[str, Any] = json.loads(done.stdout)[name]["doc"]["options"]
    return documented


def own_options(module: str) -> dict[str, Any]:
    """Those that not all modules have; of the first module, all."""
    shared = set.intersection(*(set(options(name)) for name in MODULES)) if module != MODULES[0] else set()
    return {name: option for name, option in options(module).items() if name not in shared | LEFT_OUT.keys()}


def ordinary(module: str, ids: dict[str, str]) -> dict[str, Any]:
    """Arguments with which a module works (or ends soon: nothing is restarted again and again)."""
    return {
        "ecs_cloud_assistant": {"instance_ids": [ids["a"]], "timeout": 10},
        "ecs_command": {"name": "a command", "content": "true"},
        "ecs_command_info": {},
        "ecs_instance_info": {},
        "ecs_invocation_info": {},
        "ecs_instance_state": {"instance_ids": [ids["off"]], "state": "stopped"},
        "ecs_patch": {"instances": [{"instance_id": ids["a"]}], "preflight": "{{ result_0 }}", "steps": []},
        "ecs_patch_info": {"instances": [{"instance_id": ids["a"]}]},
        "ecs_patch_release": {"instances": [{"instance_id": ids["a"]}], "run_id": "CHG-1"},
        "ecs_reboot": {"instance_ids": [ids["off"]], "fail_on_instance_failure": False},
        "ecs_run_command": {"instance_ids": [ids["a"]], "content": "true", "timeout": 30},
        "ecs_send_file": {"instance_ids": [ids["a"]], "dest": "/etc/motd", "content": "x", "timeout": 30},
        "ecs_stop_invocation": {"invoke_id": "t-nope"},
        "ecs_wait_invocation": {"invoke_ids": ["t-nope"]},
    }[module]


def filled(option: dict[str, Any], secret: str) -> Any:
    """A value that holds a secret, of the option's type where that is possible."""
    if option["type"] == "dict":
        return {"key": secret, secret: "value"}
    if "suboptions" in option:
        suboptions = {name: value for name, value in option["suboptions"].items() if name not in LEFT_OUT}
        return [{name: filled(suboption, secret) for name, suboption in suboptions.items()}]
    return [secret] if option["type"] == "list" else secret


def run(cloud: Cloud, tasks: list[dict[str, Any]], **more: Any) -> str:
    """Run tasks; what people see of it."""
    verbose = ["-vvvvvv", "-e", f"@{cloud.folder / 'variables.json'}"]
    return cloud.play(tasks, *verbose, hosts="a", **more).output


def assert_nowhere(cloud: Cloud, output: str) -> None:
    """Neither secret is in the output or in a file that is left, but for those that brought them."""
    given = {cloud.folder / name for name in ("variables.json", "fleet.yml", "ready.json")}
    texts = {"the output": output}
    for path in cloud.folder.rglob("*"):
        # What a host keeps of its own steps is for its root only.
        if path.is_file() and path not in given and cloud.folder / "state" not in path.parents:
            texts[str(path)] = path.read_bytes().decode("utf-8", "replace")
    audit_log = cloud.folder / "audit.jsonl"
    # Whatever was given as an instance id is an instance id to the cloud, which logs it.
    texts[str(audit_log)] = re.sub(r'"instance_ids": \[.*?\]', "", texts[str(audit_log)])
    for where, text in texts.items():
        for secret in (SECRET, SCRIPT_SECRET):
            lines = [line for line in text.splitlines() if secret in line]
            assert not lines, f"{secret} is in {where}: {lines[0][:2000]}"


@pytest.mark.parametrize("module", MODULES)
def test_the_access_key_secret_in_any_option(cloud: Cloud, module: str) -> None:
    plain = ordinary(module, cloud.ids())
    tasks: list[dict[str, Any]] = []
    if module == "ecs_patch":
        tasks.append({"cloudops.alibaba.ecs_patch_info": ordinary("ecs_patch_info", cloud.ids())})
    connection = {"access_key_id": "canary", "access_key_secret": "{{ secret }}"}
    for name, option in own_options(module).items():
        arguments = connection | plain | {name: filled(option, "{{ secret }}")}
        if name == "profile":
            arguments.pop("access_key_id")
        tasks.append({f"cloudops.alibaba.{module}": arguments})
    output = run(cloud, tasks)
    assert output.count("TASK [cloudops.alibaba.") == len(tasks), output
    assert_nowhere(cloud, output)


def test_a_secret_in_a_script(cloud: Cloud) -> None:
    ids = cloud.ids()
    source = cloud.folder / "variables.json"
    steps = [
        {"name": "given", "script": SCRIPT, "unless": f"{SCRIPT}; false", "restart": "never"},
        {"name": "read", "src": str(source), "unless": "true", "restart": "never"},
    ]
    batch = [{"instance_id": ids["a"]}]
    run_command = {"instance_ids": [ids["a"]], "content": SCRIPT, "timeout": 30}
    patch = {"instances": batch, "preflight": "{{ result_0 }}", "steps": steps, "health": {"script": SCRIPT}}
    output = run(
        cloud,
        [
            {"cloudops.alibaba.ecs_patch_info": {"instances": batch}},
            {"cloudops.alibaba.ecs_patch": patch},
            {"cloudops.alibaba.ecs_run_command": run_command},
            {"cloudops.alibaba.ecs_run_command": run_command, "async": 60, "poll": 0},
            {"cloudops.alibaba.ecs_run_command": run_command, "async": 60, "poll": 1},
            {"cloudops.alibaba.ecs_run_command": run_command, "check_mode": True},
            {"cloudops.alibaba.ecs_run_command": run_command | {"timeout": "no number"}},
            {"cloudops.alibaba.ecs_run_command": run_command | {"type": "NoScript"}},
            {"cloudops.alibaba.ecs_run_command": run_command | {"instance_ids": [ids["off"]]}},
        ],
    )
    assert output.count("TASK [cloudops.alibaba.") == 9, output
    assert_nowhere(cloud, output)


def test_secrets_in_the_variables_of_the_role(cloud: Cloud) -> None:
    specification = ROLE["argument_specs"]["main"]["options"]
    ordinary_variables = {
        "patch_hosts_steps": [{"name": "one", "script": SCRIPT, "unless": "false", "restart": "never"}],
        "patch_hosts_connection": {
            "region_id": REGION,
            "access_key_id": "canary",
            "access_key_secret": "{{ secret }}",
        },
    }
    plays = []
    for name in [None, *specification.keys() - TYPED_BY_ANSIBLE - LEFT_OUT.keys()]:
        variables = ordinary_variables | ({name: "{{ secret }}"} if name else {})
        tasks = [
            {"ansible.builtin.include_role": {"name": "cloudops.alibaba.patch_hosts", "tasks_from": tasks_from}}
            for tasks_from in ("main", "summary")
        ]
        block = {"block": tasks, "rescue": [{"ansible.builtin.meta": "clear_host_errors"}]}
        plays.append({"name": f"With {name}", "hosts": "a", "gather_facts": False, "vars": variables, "tasks": [block]})
    path = cloud.folder / "role.yml"
    path.write_text(yaml.safe_dump(plays), encoding="utf-8")
    outcome = cloud.playbook(path, "-vvvvvv", "-e", f"@{cloud.folder / 'variables.json'}")
    assert f"Run {'*' * 8}" in outcome.output or "1 patched" in outcome.output, outcome.output
    assert_nowhere(cloud, outcome.output)
