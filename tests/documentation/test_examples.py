# SPDX-License-Identifier: GPL-3.0-or-later
"""The EXAMPLES of every module and plugin run as they are written, and modules return what RETURN says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from documentation.modules import MODULES, ON_HOSTS, PREFIX, Module
from documentation.permissions import PERMISSIONS
from documentation.returned import Returned
from end_to_end.clouds import ROOT, Cloud, Controller, Outcome
from service_hosts.hosts import boot_systemd, unavailable

RETURNED = Returned({name: module.returns for name, module in MODULES.items()})
ON_CONTROLLER = [module for name, module in MODULES.items() if name not in ON_HOSTS]
ALL_EXAMPLES = [task for module in ON_CONTROLLER for task in module.examples]


def run(
    controller: Controller, tasks: list[dict[str, Any]], *arguments: str, hosts: str = "localhost", **environment: str
) -> Outcome:
    """Run examples as one play; what they return is what is documented."""
    outcome = controller.play(tasks, *arguments, hosts=hosts, **environment)
    assert len(outcome.results) == len(tasks), outcome.output
    differences = [
        difference
        for task, result in zip(tasks, outcome.results)
        for name in MODULES.keys() & task.keys()
        for difference in RETURNED.differences(name, result)
    ]
    assert not differences, "\n".join(dict.fromkeys(differences))
    return outcome


@pytest.mark.parametrize("module", ON_CONTROLLER, ids=str)
def test_the_examples_of_a_module_work(cloud: Cloud, module: Module) -> None:
    before = len(cloud.audit(kind="api"))
    outcome = run(cloud, module.examples)
    assert [result["msg"] for result in outcome.results if result.get("failed")] == []
    called = {line["action"] for line in cloud.audit(kind="api")[before:]}
    named = [PERMISSIONS.get(name, set()) for task in module.examples for name in MODULES.keys() & task.keys()]
    assert called <= set[str]().union(*named), "the README's table of permissions lacks something"


@pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "")
@pytest.mark.parametrize("name", sorted(ON_HOSTS))
def test_the_examples_of_a_module_for_hosts_work(tmp_path: Path, name: str) -> None:
    host = boot_systemd(tmp_path)
    try:
        run(host.controller, MODULES[name].examples, "--check", hosts="all")
        outcome = run(host.controller, MODULES[name].examples, hosts="all")
        host.run("rm", "/etc/systemd/system/aliyun.service")
        host.run("systemctl", "daemon-reload")
        without = run(host.controller, MODULES[name].examples, hosts="all")
    finally:
        host.stop()
    assert [result["msg"] for result in outcome.results if result.get("failed")] == []
    assert any(result.get("failed") for result in without.results)


@pytest.mark.parametrize("cloud", ["managed"], indirect=True)
@pytest.mark.parametrize("name", [f"{PREFIX}ecs_run_command", f"{PREFIX}ecs_send_file"])
def test_what_managed_instances_need_is_in_the_table_of_permissions(cloud: Cloud, name: str) -> None:
    before = len(cloud.audit(kind="api"))
    example = MODULES[name].examples[0]
    outcome = run(cloud, [example | {name: example[name] | {"instance_ids": ["mi-hz0demo0000000001"]}}])
    assert outcome.result["succeeded_ids"] == ["mi-hz0demo0000000001"]
    called = {line["action"] for line in cloud.audit(kind="api")[before:]}
    assert "DescribeManagedInstances" in called
    assert called <= PERMISSIONS[name]


@pytest.mark.parametrize("plugin", sorted(ROOT.glob("plugins/[!m]*/*.yml")), ids=lambda plugin: plugin.stem)
def test_the_examples_of_a_plugin_work(cloud: Cloud, plugin: Path) -> None:
    """Plugins that are no modules have whole plays as examples."""
    path = cloud.folder / "plugin.yml"
    path.write_text(yaml.safe_load(plugin.read_text(encoding="utf-8"))["EXAMPLES"], encoding="utf-8")
    cloud.inventory = {"all": {"hosts": {"web-01": {"ecs_instance_id": "i-bp1demoweb0000000001"}}}}
    outcome = cloud.playbook(path)
    assert outcome.status == 0, outcome.output


# Whether they then work does not matter: these are for the values that are seldom returned.


def test_check_mode_returns_what_is_documented(cloud: Cloud) -> None:
    run(cloud, ALL_EXAMPLES, "--check")


def test_refused_calls_return_what_is_documented(cloud: Cloud) -> None:
    outcome = run(cloud, ALL_EXAMPLES, ALIBABA_CLOUD_ACCESS_KEY_SECRET="wrong")
    assert any("refused" in result for result in outcome.results), outcome.output


@pytest.mark.parametrize("cloud", ["failing", "unfit"], indirect=True)
def test_failures_return_what_is_documented(cloud: Cloud) -> None:
    outcome = run(cloud, ALL_EXAMPLES)
    assert any(result.get("failed_ids") for result in outcome.results), outcome.output
