# SPDX-License-Identifier: GPL-3.0-or-later
"""The EXAMPLES of every module and plugin run as they are written, and modules return what RETURN says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from documentation.modules import MODULES, PREFIX, Module
from documentation.permissions import PERMISSIONS
from documentation.returned import Returned
from end_to_end.clouds import ROOT, Cloud, Outcome

RETURNED = Returned({name: module.returns for name, module in MODULES.items()})
ALL_EXAMPLES = [task for module in MODULES.values() for task in module.examples]


def run(cloud: Cloud, tasks: list[dict[str, Any]], *arguments: str, **environment: str) -> Outcome:
    """Run examples as one play; what they return is what is documented."""
    outcome = cloud.play(tasks, *arguments, hosts="localhost", **environment)
    assert len(outcome.results) == len(tasks), outcome.output
    differences = [
        difference
        for task, result in zip(tasks, outcome.results)
        for name in MODULES.keys() & task.keys()
        for difference in RETURNED.differences(name, result)
    ]
    assert not differences, "\n".join(dict.fromkeys(differences))
    return outcome


@pytest.mark.parametrize("module", MODULES.values(), ids=str)
def test_the_examples_of_a_module_work(cloud: Cloud, module: Module) -> None:
    before = len(cloud.audit(kind="api"))
    outcome = run(cloud, module.examples)
    assert [result["msg"] for result in outcome.results if result.get("failed")] == []
    called = {line["action"] for line in cloud.audit(kind="api")[before:]}
    named = [PERMISSIONS.get(name, set()) for task in module.examples for name in MODULES.keys() & task.keys()]
    assert called <= set[str]().union(*named), "the README's table of permissions lacks something"


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


@pytest.mark.parametrize("plugin", sorted(ROOT.glob("plugins/*/*.yml")), ids=lambda plugin: plugin.stem)
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
