# SPDX-License-Identifier: GPL-3.0-or-later
"""The role patch_hosts and the playbooks: batches, failures, refusals, going on after a stop."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from end_to_end.clouds import ROOT, UPDATES, Cloud, Outcome, make_cloud

PATCH = ROOT / "playbooks" / "patch.yml"
REBOOT = ROOT / "playbooks" / "reboot.yml"


@pytest.fixture
def fleet(folder: Path) -> Iterator[Cloud]:
    """Four hosts; the first two have updates, one that needs a restart."""
    cloud = make_cloud(
        folder,
        {"name": "a", "updates": UPDATES},
        {"name": "b", "updates": [{"name": "curl", "from": "1.0", "to": "2.0"}]},
        {"name": "c"},
        {"name": "d"},
    )
    yield cloud
    cloud.stop()


def patch(cloud: Cloud, *arguments: str, playbook: Path = PATCH, **variables: Any) -> Outcome:
    report = cloud.folder / "report"
    extra = json.dumps({"patch_hosts_report_dir": str(report), **variables})
    outcome = cloud.playbook(playbook, "-e", extra, *arguments)
    if (report / "report.json").exists():
        outcome.results = [json.loads((report / "report.json").read_text(encoding="utf-8"))]
    return outcome


def statuses(outcome: Outcome) -> dict[str, str]:
    return {name: result["status"] for name, result in outcome.result["hosts"].items()}


def commands(cloud: Cloud) -> list[list[str]]:
    """The hosts of each RunCommand."""
    names = {value: key for key, value in cloud.ids().items()}
    return [[names[id_] for id_ in line["instance_ids"]] for line in cloud.audit(action="RunCommand")]


def test_batches_restart_and_a_second_run(fleet: Cloud) -> None:
    outcome = patch(fleet, patch_hosts_batches=[1, "100%"], patch_hosts_run_id="CHG-1")
    assert outcome.status == 0, outcome.output
    assert statuses(outcome) == {"a": "restarted", "b": "patched", "c": "unchanged", "d": "unchanged"}
    assert {name: result["batch"] for name, result in outcome.result["hosts"].items()} == {
        "a": 1,
        "b": 2,
        "c": 2,
        "d": 2,
    }
    assert commands(fleet) == [["a"], ["a"], ["b", "c", "d"]]
    assert [outcome.recap(host)["changed"] for host in "abcd"] == [1, 1, 0, 0]
    receipt = outcome.result["hosts"]["a"]["receipts"][0]
    boots = [line["boot_id"] for line in fleet.audit(event="boot", instance_id=fleet.ids()["a"])]
    assert [receipt["boot_id_before"], receipt["boot_id_after"]] == boots
    again = patch(fleet, patch_hosts_run_id="CHG-2")
    assert set(statuses(again).values()) == {"unchanged"}
    assert [again.recap(host)["changed"] for host in "abcd"] == [0, 0, 0, 0]


def test_updates_are_chosen_by_kind_and_by_name(folder: Path) -> None:
    names = ("kernel", "curl", "openssl", "vim")
    updates = [{"name": name, "from": "1.0", "to": "2.0", "security": name != "vim"} for name in names]
    cloud = make_cloud(folder, {"name": "a", "updates": updates})
    try:
        wanted = {"name": "os_updates", "updates": "security", "include": ["*l", "vim"], "exclude": ["kern*"]}
        outcome = patch(cloud, patch_hosts_batches=["100%"], patch_hosts_steps=[wanted])
        assert outcome.status == 0, outcome.output
        packages = outcome.result["hosts"]["a"]["packages"]
        assert {package["name"] for package in packages} == {"curl", "openssl"}
        rest = patch(cloud, patch_hosts_batches=["100%"])
        assert {package["name"] for package in rest.result["hosts"]["a"]["packages"]} == {"kernel", "vim"}
    finally:
        cloud.stop()


def test_batches_may_be_a_text_as_surveys_give_it(fleet: Cloud) -> None:
    outcome = fleet.playbook(PATCH, "-e", "patch_hosts_batches=[2,'50%','100%']")
    assert outcome.status == 0, outcome.output
    assert [call for call in commands(fleet) if len(call) > 1] == [["a", "b"], ["c", "d"]]


def test_the_default_path_is_at_most_six_tasks_per_host(fleet: Cloud) -> None:
    outcome = patch(fleet, patch_hosts_batches=["100%"])
    # Ansible counts a task that runs once for its first host; d only has those of its own.
    recap = outcome.recap("d")
    summary = 2
    assert recap["ok"] + recap["skipped"] - summary <= 6


BAD = [
    {"name": "os_updates"},
    {"name": "check", "script": "[ $(hostname) != a ] || { echo the reason; exit 3; }", "restart": "never"},
]


def test_a_failure_stops_the_next_batch_and_is_told_at_the_end(fleet: Cloud) -> None:
    outcome = patch(fleet, patch_hosts_batches=[1, 1, "100%"], patch_hosts_steps=BAD)
    assert outcome.status != 0
    assert statuses(outcome) == {"a": "failed", "b": "not_reached", "c": "not_reached", "d": "not_reached"}
    failed = outcome.result["hosts"]["a"]
    # The step failed after the restart that the updates needed: what was done is still told.
    assert failed["failure"] == "script"
    assert "step check failed (exit status 3)" in failed["error_info"]
    assert failed["error_info"].endswith("It printed last: the reason")
    assert failed["receipts"][0]["verdict"] == "restarted"
    assert failed["packages_count"] == 1
    assert commands(fleet) == [["a"], ["a"]]
    assert outcome.recap("a")["failed"] == 1
    assert outcome.recap("b")["failed"] == 0


def test_a_budget_of_errors_lets_the_run_go_on(fleet: Cloud) -> None:
    outcome = patch(fleet, patch_hosts_batches=[1, 1, "100%"], patch_hosts_steps=BAD, patch_hosts_max_errors=1)
    assert outcome.status != 0
    assert statuses(outcome) == {"a": "failed", "b": "patched", "c": "patched", "d": "patched"}


def test_a_host_that_is_not_well_fails_and_counts(fleet: Cloud) -> None:
    """Its steps and its restart are done, and are not repeated when it is looked at again."""
    health = {
        "script": "[ $(hostname) != a ] || { echo nobody answers; exit 1; }",
        "timeout_s": 2,
        "pause_s": 1,
        "same": "warn",
    }
    batches = {"patch_hosts_batches": [1, "100%"], "patch_hosts_run_id": "CHG-1"}
    outcome = patch(fleet, **batches, patch_hosts_health=health)
    assert outcome.status != 0
    assert statuses(outcome) == {"a": "failed", "b": "not_reached", "c": "not_reached", "d": "not_reached"}
    failed = outcome.result["hosts"]["a"]
    assert failed["failure"] == "health"
    assert "the health script did not pass" in failed["error_info"]
    assert failed["error_info"].endswith("It printed last: nobody answers")
    assert failed["steps"]["os_updates"]["state"] == "done"
    assert [receipt["verdict"] for receipt in failed["receipts"]] == ["restarted"]
    # A budget for it, and then it is well. YAML takes off for a bool.
    outcome = patch(fleet, **batches, patch_hosts_health=health, patch_hosts_max_errors=1)
    assert statuses(outcome) == {"a": "failed", "b": "patched", "c": "unchanged", "d": "unchanged"}
    outcome = patch(fleet, **batches, patch_hosts_health=health | {"script": "true", "same": False})
    assert outcome.status == 0, outcome.output
    assert statuses(outcome) == {"a": "restarted", "b": "patched", "c": "unchanged", "d": "unchanged"}
    assert len(fleet.audit(event="shutdown")) == 1


def test_in_a_play_of_ones_own_ansibles_rules_hold(fleet: Cloud) -> None:
    """A host that failed takes no part any more; the others do."""
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars": {"patch_hosts_steps": BAD},
        "roles": ["cloudops.alibaba.patch_hosts"],
        "post_tasks": [{"ansible.builtin.debug": {"msg": "after {{ inventory_hostname }}"}}],
    }
    path = fleet.folder / "own.yml"
    path.write_text(yaml.safe_dump([play]), encoding="utf-8")
    outcome = fleet.playbook(path)
    assert outcome.status != 0
    assert "step check failed (exit status 3)" in outcome.output
    assert "after b" in outcome.output
    assert "after a" not in outcome.output


def test_each_play_is_a_run_of_its_own(fleet: Cloud) -> None:
    """What an earlier play has found lends the next one neither its run id nor its batches nor its failures."""
    own = {"hosts": "all", "gather_facts": False, "ignore_errors": True, "roles": ["cloudops.alibaba.patch_hosts"]}
    restart = {"patch_hosts_steps": [], "patch_hosts_restart": "always", "patch_hosts_fail": "at_end"}
    path = fleet.folder / "two.yml"
    bad = {"patch_hosts_steps": BAD, "patch_hosts_restart": "never"}
    plays = [{**own, "name": "Patch", "vars": bad}, {**own, "name": "Restart", "vars": restart}]
    show = {"ansible.builtin.debug": {"msg": "SEEN {{ patch_hosts_result.run_id }} {{ patch_hosts_result.batch }}"}}
    for play in plays:
        play["post_tasks"] = [show]
    path.write_text(yaml.safe_dump(plays), encoding="utf-8")
    outcome = fleet.playbook(path)
    seen = re.findall(r"SEEN (\S+) (\d)", outcome.output)
    assert len(seen) == 8, outcome.output
    assert len(set(seen)) == 2
    assert {batch for _run_id, batch in seen} == {"1"}
    assert {line["cause"] for line in fleet.audit(event="shutdown")} == {"guest"}
    assert len(fleet.audit(event="shutdown")) == 4


def test_a_failed_run_goes_on_with_its_run_id(fleet: Cloud) -> None:
    steps = [
        {"name": "first", "script": "echo first >> /root/trace", "restart": "never"},
        {"name": "second", "script": "exit 1", "restart": "never"},
    ]
    first = patch(fleet, patch_hosts_batches=["100%"], patch_hosts_steps=steps, patch_hosts_run_id="CHG-9")
    assert set(statuses(first).values()) == {"failed"}
    steps[1]["script"] = "echo second >> /root/trace"
    again = patch(fleet, patch_hosts_batches=["100%"], patch_hosts_steps=steps, patch_hosts_run_id="CHG-9")
    assert again.status == 0, again.output
    for instance_id in fleet.ids().values():
        trace = fleet.folder / "state" / "machines" / instance_id / "root" / "root" / "trace"
        assert trace.read_text(encoding="utf-8") == "first\nsecond\n"


def test_unfit_hosts_are_verdicts_of_their_own(folder: Path) -> None:
    cloud = make_cloud(
        folder,
        {"name": "a", "updates": UPDATES},
        {"name": "off", "status": "Stopped"},
        {"name": "deaf", "agent": {"state": "stopped"}},
        {"name": "old", "agent": {"version": "2.2.3.250"}, "updates": UPDATES},
    )
    cloud.inventory["all"]["hosts"]["ghost"] = {"ecs_instance_id": "i-bp1ghost00000001"}
    try:
        outcome = patch(cloud, patch_hosts_batches=["100%"])
        assert statuses(outcome) == {
            "a": "restarted",
            "off": "failed",
            "deaf": "failed",
            "old": "restarted",
            "ghost": "failed",
        }
        hosts = outcome.result["hosts"]
        assert "not Running" in hosts["off"]["error_info"]
        assert "agent is not online" in hosts["deaf"]["error_info"].lower().replace("cloud assistant ", "")
        assert "no such instance" in hosts["ghost"]["error_info"]
        # Too old an agent for exit codes: auto takes the API.
        assert hosts["old"]["receipts"][0]["method"] == "api"
        assert hosts["a"]["receipts"][0]["method"] == "exit_code"
    finally:
        cloud.stop()


def test_the_restart_playbook_restarts_each_host_once(fleet: Cloud) -> None:
    outcome = patch(fleet, playbook=REBOOT, patch_hosts_batches=[2, "100%"])
    assert outcome.status == 0, outcome.output
    assert set(statuses(outcome).values()) == {"restarted"}
    for instance_id in fleet.ids().values():
        assert len(fleet.audit(event="shutdown", instance_id=instance_id)) == 1
        assert len(fleet.audit(event="boot", instance_id=instance_id)) == 2


def test_check_mode_touches_no_host(fleet: Cloud) -> None:
    outcome = patch(fleet, "--check", patch_hosts_batches=["100%"])
    assert outcome.status == 0, outcome.output
    assert commands(fleet) == []
    assert "4 checked" in outcome.output


def test_a_limit_holds(fleet: Cloud) -> None:
    outcome = patch(fleet, "--limit", "b,c", patch_hosts_batches=["100%"])
    assert outcome.status == 0, outcome.output
    assert commands(fleet) == [["b", "c"]]


def nothing_happened(cloud: Cloud) -> bool:
    return commands(cloud) == [] and cloud.audit(event="shutdown") == []


def test_a_strategy_without_batches_is_refused_before_anything(fleet: Cloud) -> None:
    play = {"hosts": "all", "gather_facts": False, "strategy": "free", "roles": ["cloudops.alibaba.patch_hosts"]}
    path = fleet.folder / "free.yml"
    path.write_text(yaml.safe_dump([play]), encoding="utf-8")
    outcome = fleet.playbook(path)
    assert outcome.status != 0
    assert "bypasses the host loop" in outcome.output
    assert nothing_happened(fleet)


def test_starting_in_the_middle_is_refused(fleet: Cloud) -> None:
    outcome = patch(fleet, "--start-at-task", "cloudops.alibaba.patch_hosts : Patch, restart, prove")
    assert outcome.status != 0
    assert "has not been through its preflight" in outcome.output
    assert "Traceback" not in outcome.output
    assert nothing_happened(fleet)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"patch_hosts_run_id": "no good/id"}, "The run id 'no good/id' must be 1 to 64 of the characters"),
        ({"patch_hosts_steps": [{"name": "x"}]}, "neither a script nor the name of a built-in step"),
        ({"patch_hosts_steps": [{"name": "x", "script": "true", "retries": 2}]}, "patch_hosts_steps.retries."),
        ({"patch_hosts_steps": [{"name": "os_updates", "include": ["a;b"]}]}, "'a;b', which is no name of a package"),
        ({"patch_hosts_timeouts": {"settle": 1}}, "settle_time (patch_hosts_timeouts.settle) is 1 s, and must be"),
        ({"patch_hosts_restart": "sometimes"}, "value of patch_hosts_restart must be one of"),
        ({"patch_hosts_restart_method": "hammer"}, "value of patch_hosts_restart_method must be one of"),
        ({"patch_hosts_connection": {"access_key_id": "demo", "access_key_secret": "wrong"}}, "SignatureDoesNotMatch"),
        ({"patch_hosts_connection": {"region_id": "mars-1"}}, "InvalidRegionId.NotFound"),
    ],
)
def test_bad_variables_are_refused_with_a_sentence(fleet: Cloud, variables: dict[str, Any], words: str) -> None:
    outcome = patch(fleet, patch_hosts_batches=["100%"], **variables)
    assert outcome.status != 0
    assert words in " ".join(outcome.output.split())
    assert "Traceback" not in outcome.output
    assert nothing_happened(fleet)
    if outcome.results:
        # What was refused is known not to have happened.
        assert set(statuses(outcome).values()) == {"not_reached"}
        if given := variables.get("patch_hosts_run_id"):
            assert f"Run {given}: 4 not reached" in outcome.output


@pytest.mark.parametrize("batches", ["foo", "", "25 %", "0", "1.5"])
def test_a_mistyped_batch_is_not_all_hosts(fleet: Cloud, batches: str) -> None:
    """Ansible takes an empty serial for one batch of everybody."""
    outcome = fleet.playbook(PATCH, "-e", f"patch_hosts_batches='{batches}'")
    assert outcome.status != 0
    assert "is not the size of a batch" in " ".join(outcome.output.split())
    assert nothing_happened(fleet)


def test_a_missing_file_of_a_step_leaves_every_host_a_verdict(fleet: Cloud) -> None:
    outcome = patch(fleet, patch_hosts_batches=["100%"], patch_hosts_steps=[{"name": "x", "src": "nosuch.sh"}])
    assert outcome.status != 0
    assert set(statuses(outcome).values()) == {"not_reached"}
    assert "there is no file nosuch.sh on the controller" in outcome.output
    assert nothing_happened(fleet)


def test_hosts_that_are_one_instance_are_refused(fleet: Cloud) -> None:
    fleet.inventory["all"]["hosts"]["twin"] = {"ecs_instance_id": fleet.ids()["a"]}
    outcome = patch(fleet)
    assert outcome.status != 0
    assert "The hosts a, twin have the same instance id" in outcome.output
    assert nothing_happened(fleet)


def test_a_host_without_an_instance_id_is_refused(fleet: Cloud) -> None:
    fleet.inventory["all"]["hosts"]["nameless"] = {}
    outcome = patch(fleet)
    assert outcome.status != 0
    assert "The host nameless has no instance id: set ecs_instance_id" in outcome.output
    assert nothing_happened(fleet)


def test_braces_in_a_step_survive(fleet: Cloud) -> None:
    """A step from a file is never templated."""
    (fleet.folder / "files").mkdir()
    script = "echo '{{.Names}} {% raw' > /root/braces\n"
    (fleet.folder / "files" / "braces.sh").write_text(script, encoding="utf-8")
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars": {"patch_hosts_steps": [{"name": "braces", "src": "braces.sh", "restart": "never"}]},
        "roles": ["cloudops.alibaba.patch_hosts"],
    }
    path = fleet.folder / "braces.yml"
    path.write_text(yaml.safe_dump([play]), encoding="utf-8")
    outcome = fleet.playbook(path)
    assert outcome.status == 0, outcome.output
    root = fleet.folder / "state" / "machines" / fleet.ids()["a"] / "root" / "root"
    assert (root / "braces").read_text(encoding="utf-8") == "{{.Names}} {% raw\n"


def test_the_agents_copy_of_the_script_is_emptied_and_stays(fleet: Cloud) -> None:
    patch(fleet, "--limit", "c", patch_hosts_batches=["100%"])
    folder = fleet.folder / "state" / "machines" / fleet.ids()["c"] / "local" / "share" / "aliyun-assist"
    (script,) = (folder / "work" / "script").iterdir()
    assert script.stat().st_size == 0
