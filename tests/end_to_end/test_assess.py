# SPDX-License-Identifier: GPL-3.0-or-later
"""Assessing hosts: what is told comes true, and nothing is changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from end_to_end.clouds import ROOT, UPDATES, Cloud, Outcome, make_cloud
from end_to_end.test_role import PATCH, commands, nothing_happened, patch, statuses

pytestmark = pytest.mark.once  # it does not depend on Ansible or Python

STEPS = [
    {"name": "os_updates"},
    {"name": "motd", "unless": "grep -qs ours /root/motd", "script": "echo ours >> /root/motd", "restart": "never"},
]


@pytest.fixture
def fleet(folder: Path) -> Iterator[Cloud]:
    """Hosts with an update that needs a restart, with one that needs none, and with nothing to do."""
    cloud = make_cloud(
        folder,
        {"name": "a", "updates": UPDATES},
        {"name": "b", "updates": [{"name": "curl", "from": "1.0", "to": "2.0"}]},
        {"name": "c"},
    )
    yield cloud
    cloud.stop()


def files(cloud: Cloud, name: str) -> dict[str, str]:
    """The files of a host with a sum of each, but for what an assessment leaves, and scratch of the stand-ins."""
    root = cloud.folder / "state" / "machines" / cloud.ids()[name] / "root"
    paths = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file() and not path.is_symlink()}
    ours = ("var/lib/cloudops.alibaba/assess/", "var/lib/cloudops.alibaba/lock", "var/lib/updates/wanted")
    return {
        key: hashlib.sha256(path.read_bytes()).hexdigest()
        for key, path in paths.items()
        if not key.startswith(ours) and "/aliyun" not in key
    }


def test_what_is_told_comes_true_and_nothing_is_changed(fleet: Cloud) -> None:
    # The stand-ins' own files come with their first use.
    patch(fleet, patch_hosts_batches=["100%"], patch_hosts_mode="assess")
    before = {name: files(fleet, name) for name in fleet.ids()}
    steps = {"patch_hosts_batches": ["100%"], "patch_hosts_steps": STEPS, "patch_hosts_run_id": "CHG-1"}
    outcome = patch(fleet, **steps, patch_hosts_mode="assess")
    assert outcome.status == 0, outcome.output
    assert {name: files(fleet, name) for name in fleet.ids()} == before
    assert fleet.audit(event="shutdown") == []
    assert set(statuses(outcome).values()) == {"assessed"}
    assert [outcome.recap(name)["changed"] for name in "abc"] == [0, 0, 0]
    told = outcome.result["hosts"]
    assert {name: host["restart_expected"] for name, host in told.items()} == {"a": "likely", "b": "no", "c": "no"}
    assert told["a"]["restart_expected_reason"] == "update of kernel"
    # The same run id: it has not begun.
    done = patch(fleet, **steps).result["hosts"]
    assert {name: host["status"] for name, host in done.items()} == {"a": "restarted", "b": "patched", "c": "patched"}
    assert {name: host["packages"] for name, host in told.items()} == {
        name: host["packages"] for name, host in done.items()
    }
    assert told["c"]["steps"] == {
        "os_updates": {"state": "done", "attempts": 0},
        "motd": {"state": "needed", "attempts": 0},
    }


ASSESS = ROOT / "playbooks" / "assess.yml"


def assess(cloud: Cloud, *arguments: str, **variables: Any) -> tuple[Outcome, dict[str, Any]]:
    """Make a plan; what it says."""
    extra = {"patch_hosts_report_dir": str(cloud.folder / "planned"), "patch_hosts_steps": STEPS, **variables}
    outcome = cloud.playbook(ASSESS, "-e", json.dumps(extra), *arguments)
    path = cloud.folder / "planned" / "plan.json"
    return outcome, json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def follow(cloud: Cloud, *arguments: str, **variables: Any) -> Outcome:
    plan = str(cloud.folder / "planned" / "plan.json")
    return patch(cloud, *arguments, patch_hosts_steps=STEPS, patch_hosts_plan=plan, **variables)


def test_a_plan_is_what_is_done(folder: Path) -> None:
    cloud = make_cloud(
        folder,
        {"name": "a", "updates": UPDATES},
        {"name": "off", "status": "Stopped"},
        {"name": "b", "updates": [{"name": "curl", "from": "1.0", "to": "2.0"}]},
        {"name": "c"},
        {"name": "old", "agent": {"version": "2.2.3.250"}, "updates": UPDATES},
        {"name": "win", "os": "windows"},
    )
    cloud.inventory["all"]["hosts"]["nameless"] = {}
    cloud.inventory["all"]["hosts"]["far"] = {"ecs_instance_id": "i-bp1far", "ecs_region_id": "cn-nowhere"}
    try:
        outcome, plan = assess(cloud, patch_hosts_batches=[1, "50%"])
        assert outcome.status == 0, outcome.output
        assert plan["batches"] == [["a"], ["b", "c"], ["old"]]
        assert not plan["hosts"]["off"]["fit"]
        assert "not Running" in plan["hosts"]["off"]["why_unfit"]
        left_out = {
            "nameless": "It has no instance id: set ecs_instance_id in the inventory.",
            "far": "Check region_id: the service has no region of that name.",
            "win": "Hosts with Windows cannot be assessed yet. A run that follows the plan leaves it out: ",
        }
        for name, words in left_out.items():
            assert words in plan["hosts"][name]["why_unfit"]
        assert {name: plan["hosts"][name]["restart"] for name in ("a", "b", "c", "old")} == {
            "a": "likely",
            "b": "no",
            "c": "no",
            "old": "likely",
        }
        assert plan["expected"]["batches_s"] == [480, 300, 480]
        lines = " ".join(outcome.output.split())
        assert "a 1 kernel 1.0 -> 2.0, motd probably, by exit code: update of kernel 8 min" in lines
        assert "old 3 kernel 1.0 -> 2.0, motd probably, through the API: update of kernel 8 min" in lines
        assert "off - - - left out (instance): " in lines
        assert "4 hosts in 3 batches, 4 hosts left out" in lines
        assert cloud.audit(event="shutdown") == []
        sent = len(commands(cloud))
        done = follow(cloud)
        assert done.status == 0, done.output
        assert statuses(done) == {"a": "restarted", "b": "patched", "c": "patched", "old": "restarted"}
        assert [set(hosts) for hosts in commands(cloud)[sent:]] == [{"a"}, {"a"}, {"b", "c"}, {"old"}, {"old"}]
        assert done.result["hosts"]["old"]["receipts"][0]["method"] == "api"
        for name, host in done.result["hosts"].items():
            assert host["packages"] == plan["hosts"][name]["packages"]
        # An earlier run tells how long it takes: nothing is left to do but for who has been stopped.
        report = str(cloud.folder / "report" / "report.json")
        outcome, plan = assess(cloud, patch_hosts_expected={"report": report})
        assert plan["expected"]["hosts_from"] == {"report": 4}
        assert "from an earlier report for 4 hosts" in outcome.output
    finally:
        cloud.stop()


def test_no_batch_takes_too_much_of_a_zone(folder: Path) -> None:
    zones = {"a": "h", "b": "h", "c": "h", "d": "i", "e": "i"}
    cloud = make_cloud(folder, *[{"name": name, "zone": f"cn-hangzhou-{zone}"} for name, zone in zones.items()])
    try:
        _outcome, plan = assess(cloud, patch_hosts_batches=["100%"], patch_hosts_max_unavailable={"hosts": "40%"})
        assert plan["batches"] == [["a", "d"], ["b", "e"], ["c"]]
        done = follow(cloud)
        assert done.status == 0, done.output
        assert commands(cloud)[1:] == [["a", "d"], ["b", "e"], ["c"]]
    finally:
        cloud.stop()


def change_inventory(cloud: Cloud, **hosts: dict[str, Any] | None) -> None:
    for name, values in hosts.items():
        if values is None:
            del cloud.inventory["all"]["hosts"][name]
        else:
            cloud.inventory["all"]["hosts"][name] = values


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Four hosts in two zones, and a plan for the first three."""
    cloud = make_cloud(
        tmp_path_factory.mktemp("planned"),
        {"name": "a"},
        {"name": "b"},
        {"name": "c"},
        {"name": "d", "zone": "cn-hangzhou-i"},
    )
    spare = cloud.inventory["all"]["hosts"].pop("d")
    assess(cloud)
    cloud.inventory["all"]["hosts"]["spare"] = spare
    yield cloud
    cloud.stop()


@pytest.fixture
def settled(planned: Cloud) -> Iterator[Cloud]:
    """The same, with its inventory as it was when the plan was made, before and after."""
    hosts = planned.inventory["all"]["hosts"]
    kept = dict(hosts)
    hosts.pop("spare")
    yield planned
    hosts.clear()
    hosts.update(kept)


def sent(cloud: Cloud) -> int:
    return len(cloud.audit(action="RunCommand"))


def refused(outcome: Outcome, *words: str) -> bool:
    said = " ".join(outcome.output.split())
    assert outcome.status != 0
    assert "the plan no longer holds: make a new plan with the playbook assess" in said
    for sentence in words:
        assert sentence in said
    return "Traceback" not in said


def test_hosts_that_are_gone_or_added_are_refused(settled: Cloud) -> None:
    before = sent(settled)
    ghost = {"ecs_instance_id": "i-bp1endtoend00000004"}
    change_inventory(settled, c=None, new=ghost)
    assert refused(
        follow(settled),
        "c: in the plan, and not in this play (gone from the inventory, or left out by --limit).",
        "new: new among the targets (all).",
    )
    assert sent(settled) == before


def test_a_limit_that_the_plan_has_not_is_refused(settled: Cloud) -> None:
    before = sent(settled)
    outcome = follow(settled, "--limit", "a,b")
    assert refused(outcome, "c: in the plan, and not in this play")
    assert (
        "The run stopped before batch 1: its first hosts were refused, for the reason in their rows." in outcome.output
    )
    assert "No run began: 2 not reached" in outcome.output
    assert sent(settled) == before


def test_another_instance_is_refused(settled: Cloud) -> None:
    before = sent(settled)
    change_inventory(settled, c={"ecs_instance_id": "i-bp1endtoend00000004"})
    was, now = "i-bp1endtoend00000003", "i-bp1endtoend00000004"
    assert refused(follow(settled), f"Other instances: c was {was} and is {now}.")
    assert sent(settled) == before


def test_other_steps_and_another_policy_are_refused(settled: Cloud) -> None:
    before = sent(settled)
    outcome = patch(
        settled,
        patch_hosts_plan=str(settled.folder / "planned" / "plan.json"),
        patch_hosts_steps=[*STEPS, {"name": "more", "script": "true"}],
        patch_hosts_restart="never",
        patch_hosts_restart_method="api",
    )
    assert refused(
        outcome,
        "The steps are not those of the plan.",
        "The run would restart hosts never, and the plan does where it is required.",
        "Another way to restart: a restarts through the API and not by exit code, b restarts",
    )
    assert sent(settled) == before
    assert set(statuses(outcome).values()) == {"not_reached"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "other.json: No such file or directory. Nothing was done."),
        ("{", "is no plan, or only a part of one; make one with the playbook assess. Nothing was done."),
        ('{"version": 99}', "is a plan of newer version, 99, and this collection reads version 1; make one"),
        ('{"version": 1, "batches": [["a"]]}', "is a plan that is damaged; make one"),
    ],
)
def test_what_is_no_plan_is_not_all_hosts(settled: Cloud, content: str | None, words: str) -> None:
    before = sent(settled)
    path = settled.folder / "other.json"
    path.unlink(missing_ok=True)
    if content:
        path.write_text(content, encoding="utf-8")
    outcome = settled.playbook(PATCH, "-e", f"patch_hosts_plan={path}")
    assert outcome.status != 0
    said = " ".join(outcome.output.split())
    assert said.count(words) == 1
    assert "Traceback" not in said
    assert sent(settled) == before


def test_check_mode_plans_batches_without_a_word_to_the_hosts(fleet: Cloud) -> None:
    outcome, plan = assess(fleet, "--check")
    assert outcome.status == 0, outcome.output
    assert plan == {}
    assert "3 hosts in 3 batches" in outcome.output
    assert nothing_happened(fleet)


def test_a_host_that_moves_while_the_run_is_under_way_is_not_reached(folder: Path) -> None:
    """The first batch makes a host of the second one another instance."""
    cloud = make_cloud(folder, {"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "spare"})
    spare = cloud.inventory["all"]["hosts"].pop("spare")
    try:
        _outcome, plan = assess(cloud, patch_hosts_batches=[1, "100%"])
        assert plan["batches"] == [["a"], ["b", "c"]]
        becomes = {"ansible.builtin.set_fact": spare, "delegate_to": "b", "delegate_facts": True, "run_once": True}
        play = {
            "hosts": "{{ lookup('cloudops.alibaba.patch_plan', patch_hosts_plan).order }}",
            "serial": "{{ lookup('cloudops.alibaba.patch_plan', patch_hosts_plan).sizes }}",
            "gather_facts": False,
            "roles": ["cloudops.alibaba.patch_hosts"],
            "post_tasks": [becomes, {"ansible.builtin.debug": {"msg": "SEEN {{ patch_hosts_result.status }}"}}],
        }
        path = cloud.folder / "own.yml"
        path.write_text(json.dumps([play]), encoding="utf-8")
        extra = {"patch_hosts_plan": str(cloud.folder / "planned" / "plan.json"), "patch_hosts_steps": STEPS}
        outcome = cloud.playbook(path, "-e", json.dumps(extra))
        assert outcome.status != 0
        was, now = "i-bp1endtoend00000002", "i-bp1endtoend00000004"
        said = " ".join(outcome.output.split())
        assert f"The plan no longer holds for it (other instances: b was {was} and is {now}). Nothing was done" in said
        assert commands(cloud)[-1] == ["c"]
        assert not any(now in line["instance_ids"] for line in cloud.audit(action="RunCommand"))
    finally:
        cloud.stop()
