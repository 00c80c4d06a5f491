# SPDX-License-Identifier: GPL-3.0-or-later
"""When a rollout stops, and what hooks do: the role and its playbooks against the simulator."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from end_to_end.clouds import ROOT, UPDATES, Cloud, make_cloud
from end_to_end.test_role import PATCH, commands, nothing_happened, patch, statuses

PUT_BACK = ROOT / "playbooks" / "put_back.yml"
MARK = [{"name": "mark", "script": "echo done >> /root/mark", "restart": "never"}]
FAILS_ON_A = [{"name": "check", "script": "[ $(hostname) != a ]", "restart": "never"}]


@pytest.fixture
def fleet(folder: Path) -> Iterator[Cloud]:
    """Four hosts; the first has an update that needs a restart."""
    cloud = make_cloud(folder, {"name": "a", "updates": UPDATES}, {"name": "b"}, {"name": "c"}, {"name": "d"})
    yield cloud
    cloud.stop()


def hook(cloud: Cloud, name: str, *tasks: dict[str, Any]) -> str:
    """A task file beside the inventory, which is the working directory of nobody."""
    path = cloud.folder / name
    path.write_text(yaml.safe_dump(list(tasks)), encoding="utf-8")
    return str(path)


def note(cloud: Cloud, moment: str) -> dict[str, Any]:
    """A task that writes down that a hook ran, and for whom."""
    line = moment + " {{ inventory_hostname }}"
    return {
        "name": f"Note {moment}",
        "ansible.builtin.shell": f"echo {line} >> {cloud.folder / 'trace'}",
        "delegate_to": "localhost",
        "changed_when": False,
    }


def fails_on(host: str) -> dict[str, Any]:
    return {
        "name": "Ask the load balancer",
        "ansible.builtin.fail": {"msg": "the reason"},
        "when": f"inventory_hostname == '{host}'",
    }


def trace(cloud: Cloud) -> list[str]:
    path = cloud.folder / "trace"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def hooks(cloud: Cloud, **more: dict[str, Any]) -> dict[str, str]:
    """The three hooks, each of which notes that it ran; ``more`` holds tasks that come after that."""
    return {
        moment: hook(cloud, f"{moment}.yml", note(cloud, moment), *([more[moment]] if moment in more else []))
        for moment in ("before", "health", "after")
    }


def own_play(cloud: Cloud, **more: Any) -> Path:
    """A play of the user's own, with Ansible's own rules for failures."""
    play = {"hosts": "all", "gather_facts": False, "roles": ["cloudops.alibaba.patch_hosts"], **more}
    path = cloud.folder / "own.yml"
    path.write_text(yaml.safe_dump([play]), encoding="utf-8")
    return path


def show(word: str) -> list[dict[str, Any]]:
    return [{"ansible.builtin.debug": {"msg": word + " {{ inventory_hostname }}"}}]


def runs_in(cloud: Cloud) -> set[str]:
    """The hosts that any command was sent to."""
    return {host for call in commands(cloud) for host in call}


# --- hooks -----------------------------------------------------------------------------------------------------


def test_hooks_run_around_the_patching_of_each_host(fleet: Cloud) -> None:
    outcome = patch(fleet, patch_hosts_batches=[1, "100%"], patch_hosts_hooks=hooks(fleet))
    assert outcome.status == 0, outcome.output
    assert statuses(outcome) == {"a": "restarted", "b": "unchanged", "c": "unchanged", "d": "unchanged"}
    lines = trace(fleet)
    assert lines[:3] == ["before a", "health a", "after a"]
    assert [line.split()[0] for line in lines[3:]] == ["before"] * 3 + ["health"] * 3 + ["after"] * 3
    assert outcome.result["left_out"] == []


def test_a_host_whose_before_hook_fails_is_not_patched_and_the_others_are(fleet: Cloud) -> None:
    outcome = patch(
        fleet,
        patch_hosts_batches=["100%"],
        patch_hosts_steps=MARK,
        patch_hosts_hooks=hooks(fleet, before=fails_on("b")),
    )
    assert outcome.status != 0
    assert statuses(outcome) == {"a": "patched", "b": "failed", "c": "patched", "d": "patched"}
    assert runs_in(fleet) == {"a", "c", "d"}
    failed = outcome.result["hosts"]["b"]
    assert (failed["failure"], failed["blame"]) == ("hook", "hook")
    assert failed["error_info"] == (
        "It was not patched: the task Ask the load balancer of its hook before failed: the reason"
    )
    assert [line for line in trace(fleet) if line.endswith(" b")] == ["before b"]
    assert outcome.result["left_out"] == ["b"]
    assert "Left out of service: b." in outcome.output


def test_all_before_hooks_may_fail(fleet: Cloud) -> None:
    tasks = {"name": "No", "ansible.builtin.fail": {"msg": "no"}}
    outcome = patch(
        fleet, patch_hosts_batches=["50%", "100%"], patch_hosts_hooks={"before": hook(fleet, "b.yml", tasks)}
    )
    assert outcome.status != 0
    assert statuses(outcome) == {"a": "failed", "b": "failed", "c": "not_reached", "d": "not_reached"}
    assert nothing_happened(fleet)


def test_a_host_that_is_not_well_stays_out_and_counts(fleet: Cloud) -> None:
    outcome = patch(fleet, patch_hosts_batches=[1, "100%"], patch_hosts_hooks=hooks(fleet, health=fails_on("a")))
    assert outcome.status != 0
    assert trace(fleet) == ["before a", "health a"]
    failed = outcome.result["hosts"]["a"]
    assert (failed["status"], failed["failure"]) == ("failed", "health")
    assert failed["receipts"][0]["verdict"] == "restarted"
    assert outcome.result["left_out"] == ["a"]
    assert statuses(outcome)["b"] == "not_reached"
    assert outcome.result["stopped"]["kind"] == "errors"
    assert "The run stopped before batch 2: 1 host failed (health), and none may." in outcome.output


def test_a_host_that_is_not_fit_is_not_drained(folder: Path) -> None:
    cloud = make_cloud(folder, {"name": "a"}, {"name": "off", "status": "Stopped"})
    try:
        outcome = patch(cloud, patch_hosts_batches=["100%"], patch_hosts_hooks=hooks(cloud))
        assert statuses(outcome) == {"a": "unchanged", "off": "failed"}
        assert outcome.result["hosts"]["off"]["blame"] == "offline"
        assert [line for line in trace(cloud) if line.endswith(" off")] == []
        assert outcome.result["left_out"] == []
    finally:
        cloud.stop()


def test_a_host_that_its_hook_takes_out_of_the_play_is_left_alone_and_told(fleet: Cloud) -> None:
    ends = {"name": "Leave", "ansible.builtin.meta": "end_host", "when": "inventory_hostname == 'b'"}
    outcome = patch(fleet, patch_hosts_batches=["100%"], patch_hosts_hooks=hooks(fleet, before=ends))
    assert outcome.status == 0, outcome.output
    assert statuses(outcome)["b"] == "left_by_hook"
    assert runs_in(fleet) == {"a", "c", "d"}


def test_hooks_in_a_play_of_ones_own_fail_their_host_only(fleet: Cloud) -> None:
    path = own_play(
        fleet,
        vars={"patch_hosts_hooks": hooks(fleet, before=fails_on("a"), health=fails_on("b")), "patch_hosts_steps": MARK},
        post_tasks=show("END"),
    )
    outcome = fleet.playbook(path)
    assert outcome.status != 0
    assert runs_in(fleet) == {"b", "c", "d"}
    assert [word in outcome.output for word in ("END a", "END b", "END c", "END d")] == [False, False, True, True]
    assert "after c" in trace(fleet)
    assert "after b" not in trace(fleet)


def test_any_errors_fatal_and_a_hook_that_fails_end_the_play_before_anything_is_patched(fleet: Cloud) -> None:
    path = own_play(fleet, any_errors_fatal=True, vars={"patch_hosts_hooks": hooks(fleet, before=fails_on("b"))})
    outcome = fleet.playbook(path)
    assert outcome.status != 0
    assert nothing_happened(fleet)
    assert "Ask the load balancer" in outcome.output


def test_a_hook_that_is_not_there_is_refused_before_anything(fleet: Cloud) -> None:
    outcome = patch(fleet, patch_hosts_batches=["100%"], patch_hosts_hooks=hooks(fleet) | {"after": "nosuch.yml"})
    assert outcome.status != 0
    assert "patch_hosts_hooks.after: there is no file" in outcome.output
    assert set(statuses(outcome).values()) == {"not_reached"}
    assert trace(fleet) == []
    assert nothing_happened(fleet)


def test_what_is_refused_is_refused_before_hooks_take_a_host_out(fleet: Cloud) -> None:
    steps = {"patch_hosts_steps": [{"name": "x", "script": "true", "timeout_s": 0}]}
    outcome = patch(fleet, patch_hosts_batches=["100%"], patch_hosts_hooks=hooks(fleet), **steps)
    assert outcome.status != 0
    assert outcome.output.count("\nRefused: timeout_s of the step 'x' must be at least 1.") == 1
    assert outcome.result["left_out"] == []
    assert trace(fleet) == []


def test_a_hook_is_found_beside_the_playbook(fleet: Cloud) -> None:
    hook(fleet, "main.yml", note(fleet, "before"))  # called like a file of the role's
    outcome = fleet.playbook(own_play(fleet, vars={"patch_hosts_hooks": {"before": "main.yml"}}))
    assert outcome.status == 0, outcome.output
    assert sorted(trace(fleet)) == ["before a", "before b", "before c", "before d"]


def test_a_host_that_was_left_out_is_put_back(fleet: Cloud) -> None:
    """With the very variables of the run: nothing is patched, whatever they say."""
    variables = {"patch_hosts_steps": MARK, "patch_hosts_run_id": "CHG-1", "patch_hosts_batches": ["100%"]}
    bad = hooks(fleet, health=fails_on("b"))
    assert patch(fleet, patch_hosts_hooks=bad, **variables).result["left_out"] == ["b"]
    # Another start of the run, which does not come to it, forgets nobody.
    limited = patch(fleet, "--limit", "c", patch_hosts_hooks=bad, **variables)
    assert limited.result["left_out"] == ["b"]
    sent = len(commands(fleet))
    variables["patch_hosts_deadline"] = in_(-60)  # of the evening, which is over
    nothing = patch(fleet, playbook=PUT_BACK, patch_hosts_report_dir="")
    assert nothing.status != 0
    assert "patch_hosts_report_dir is not set: give the folder" in " ".join(nothing.output.split())
    nothing = patch(fleet, playbook=PUT_BACK, **variables)
    assert nothing.status != 0
    assert "patch_hosts_hooks.after is not set, and it is what puts a host back" in nothing.output
    still = patch(fleet, playbook=PUT_BACK, patch_hosts_hooks=bad, **variables)
    assert still.status != 0
    assert "after b" not in trace(fleet)
    good = {"patch_hosts_hooks": hooks(fleet), **variables}
    dry = patch(fleet, "--check", playbook=PUT_BACK, **good)
    assert (dry.status, dry.result["left_out"]) == (0, ["b"])
    assert "after b" not in trace(fleet)
    others = patch(fleet, "--limit", "a,c", playbook=PUT_BACK, **good)
    assert (others.status, others.result["left_out"]) == (0, ["b"])
    assert "report.json: b" in others.output
    outcome = patch(fleet, "--limit", "a,b", playbook=PUT_BACK, **good)
    assert outcome.status == 0, outcome.output
    assert "1 put back" in outcome.output
    assert "looking at 1 host" in outcome.output
    assert outcome.result["left_out"] == []
    assert list(outcome.result["put_back"]) == ["b"]
    assert commands(fleet)[sent:] == [["b"], ["b"]]
    assert [line for line in trace(fleet) if line.endswith(" b")] == ["before b", *["health b"] * 3, "after b"]
    again = patch(fleet, playbook=PUT_BACK, **good)
    assert again.status == 0
    assert "report.json: nobody, so there is nothing to put back" in again.output
    assert len(commands(fleet)) == sent + 2
    mark = fleet.folder / "state" / "machines" / fleet.ids()["b"] / "root" / "root" / "mark"
    assert mark.read_text(encoding="utf-8") == "done\n"


# --- stopping --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("most", "reached"),
    [("50%", 4), ("24%", 1), ({"all": 0, "script": 1}, 4), ({"all": 3, "script": 0}, 1)],
)
def test_a_budget_of_errors_by_number_share_and_blame(fleet: Cloud, most: Any, reached: int) -> None:
    outcome = patch(
        fleet, patch_hosts_batches=[1, 1, "100%"], patch_hosts_steps=FAILS_ON_A, patch_hosts_max_errors=most
    )
    assert outcome.status != 0
    assert len(runs_in(fleet)) == reached


def test_hosts_that_were_offline_need_not_count(folder: Path) -> None:
    cloud = make_cloud(folder, {"name": "off", "status": "Stopped"}, {"name": "b"}, {"name": "c"})
    try:
        strict = patch(cloud, patch_hosts_batches=[1, "100%"])
        assert "failed (offline): " in strict.output
        assert statuses(strict) == {"off": "failed", "b": "not_reached", "c": "not_reached"}
        outcome = patch(cloud, patch_hosts_batches=[1, "100%"], patch_hosts_max_errors={"all": 0, "offline": "34%"})
        assert statuses(outcome) == {"off": "failed", "b": "unchanged", "c": "unchanged"}
    finally:
        cloud.stop()


def test_a_run_over_two_evenings(fleet: Cloud) -> None:
    first = patch(fleet, patch_hosts_run_id="CHG-1", patch_hosts_stop_after_batch=1, patch_hosts_steps=MARK)
    assert first.status == 0, first.output
    assert statuses(first) == {"a": "patched", "b": "not_reached", "c": "not_reached", "d": "not_reached"}
    assert "The run stopped before batch 2: it was to stop after batch 1." in first.output
    second = patch(fleet, patch_hosts_run_id="CHG-1", patch_hosts_steps=MARK)
    assert second.status == 0, second.output
    assert set(statuses(second).values()) == {"patched"}
    for instance_id in fleet.ids().values():
        mark = fleet.folder / "state" / "machines" / instance_id / "root" / "root" / "mark"
        assert mark.read_text(encoding="utf-8") == "done\n"


def in_(seconds: float) -> str:
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat()


def test_a_batch_that_would_end_after_the_deadline_does_not_start(fleet: Cloud) -> None:
    outcome = patch(fleet, patch_hosts_deadline=in_(600), patch_hosts_timeouts={"batch": 601})
    assert outcome.status != 0
    assert set(statuses(outcome).values()) == {"not_reached"}
    assert "10 min away, and a batch may take 10 min" in outcome.output
    assert [outcome.recap(host)["failed"] for host in "abcd"] == [1, 1, 1, 1]
    assert nothing_happened(fleet)
    fits = patch(fleet, patch_hosts_deadline=in_(600), patch_hosts_timeouts={"batch": 300})
    assert fits.status == 0, fits.output


def test_in_a_play_of_ones_own_a_deadline_fails_the_hosts_of_the_batch(fleet: Cloud) -> None:
    late = {"patch_hosts_deadline": in_(600), "patch_hosts_timeouts": {"batch": 601}}
    outcome = fleet.playbook(own_play(fleet, vars=late, serial=2))
    assert outcome.status == 2
    assert [outcome.recap(host)["failed"] for host in "ab"] == [1, 1]
    assert "\nc " not in outcome.output
    assert "It was not reached: the deadline " in outcome.output
    assert nothing_happened(fleet)


def test_a_canary_has_to_be_well_after_its_soak(fleet: Cloud) -> None:
    """Its agent goes away while it soaks: the next batch does not start."""
    steps = [{"name": "x", "script": "true", "restart": "never"}]
    first = patch(fleet, patch_hosts_batches=[1, "100%"], patch_hosts_steps=steps, patch_hosts_soak_s=1)
    assert first.status == 0, first.output
    assert "Soaking 1 host for 1 s" in first.output
    assert commands(fleet) == [["a"], ["a"], ["b", "c", "d"]]
    assert first.result["hosts"]["a"]["cycles"] == 2


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {"patch_hosts_max_errors": "a few"},
            "patch_hosts_max_errors is 'a few'; give a number of hosts, or a percentage",
        ),
        (
            {"patch_hosts_max_errors": {"offlin": 1}},
            "patch_hosts_max_errors: 'offlin' is nobody's blame. Give all, or one of script",
        ),
        ({"patch_hosts_deadline": "04:00"}, "patch_hosts_deadline is '04:00'; give date, time and zone, such as 20"),
        ({"patch_hosts_stop_after_batch": -1}, "patch_hosts_stop_after_batch is -1; batches are numbered from 1 on"),
        ({"patch_hosts_soak_s": -1}, "soak_time (patch_hosts_soak_s) is -1 s, and must be at least 0 s"),
        ({"patch_hosts_hooks": {"befor": "x.yml"}}, "patch_hosts_hooks.befor"),
        ({"patch_hosts_health": {"timeout_s": 30}}, "health (patch_hosts_health) has nothing to look at"),
        ({"patch_hosts_max_eror": 1}, "patch_hosts_max_eror (do you mean patch_hosts_max_errors?)"),
        (
            {"patch_hosts_report_dir": "/dev/null/report"},
            "patch_hosts_report_dir: no report can be written into /dev/null",
        ),
    ],
)
def test_bad_conditions_are_refused_with_a_sentence(fleet: Cloud, variables: dict[str, Any], words: str) -> None:
    outcome = patch(fleet, patch_hosts_batches=["100%"], **variables)
    assert outcome.status != 0
    assert words in " ".join(outcome.output.split())
    assert "Traceback" not in outcome.output
    assert nothing_happened(fleet)


# --- Ansible's own ----------------------------------------------------------------------------------------------


def test_max_fail_percentage_keeps_its_meaning(fleet: Cloud) -> None:
    """One of two in the batch is 50 %: more than 49 stops, not more than 50."""
    for most, reached in ((49, {"a", "b"}), (50, {"a", "b", "c", "d"})):
        path = own_play(fleet, serial=2, max_fail_percentage=most, vars={"patch_hosts_steps": FAILS_ON_A})
        before = len(commands(fleet))
        assert fleet.playbook(path).status != 0
        assert {host for call in commands(fleet)[before:] for host in call} == reached


def test_any_errors_fatal_keeps_its_meaning(fleet: Cloud) -> None:
    path = own_play(
        fleet, serial=2, any_errors_fatal=True, vars={"patch_hosts_steps": FAILS_ON_A}, post_tasks=show("END")
    )
    outcome = fleet.playbook(path)
    assert outcome.status != 0
    assert runs_in(fleet) == {"a", "b"}
    assert "END" not in outcome.output.replace("APPEND", "")


def test_rescue_keeps_its_meaning(fleet: Cloud) -> None:
    role = {"ansible.builtin.include_role": {"name": "cloudops.alibaba.patch_hosts"}}
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars": {"patch_hosts_steps": FAILS_ON_A},
        "tasks": [{"block": [role], "rescue": show("RESCUED")}, *show("END")],
    }
    path = fleet.folder / "rescue.yml"
    path.write_text(yaml.safe_dump([play]), encoding="utf-8")
    outcome = fleet.playbook(path)
    assert outcome.status == 0, outcome.output
    assert [f"RESCUED {host}" in outcome.output for host in "abcd"] == [True, False, False, False]
    assert all(f"END {host}" in outcome.output for host in "abcd")


def test_tags_keep_their_meaning(fleet: Cloud) -> None:
    path = own_play(fleet, roles=[{"role": "cloudops.alibaba.patch_hosts", "tags": ["patch"]}], post_tasks=show("END"))
    assert fleet.playbook(path, "--tags", "other").status == 0
    assert nothing_happened(fleet)
    assert fleet.playbook(path, "--tags", "patch").status == 0
    assert runs_in(fleet) == {"a", "b", "c", "d"}
    assert fleet.playbook(path, "--skip-tags", "patch").status == 0


def test_check_mode_runs_hooks_in_check_mode_and_touches_no_host(fleet: Cloud) -> None:
    fleet.environment["ANSIBLE_DEPRECATION_WARNINGS"] = "true"
    outcome = patch(fleet, "--check", patch_hosts_batches=["100%"], patch_hosts_hooks=hooks(fleet))
    assert outcome.status == 0, outcome.output
    assert "WARNING" not in outcome.output
    assert "4 checked" in outcome.output
    assert trace(fleet) == []
    assert commands(fleet) == []


def test_a_misspelt_variable_of_any_host_is_refused(fleet: Cloud) -> None:
    """Also of one that a later batch would come to. What hooks set between batches is theirs."""
    fleet.inventory["all"]["hosts"]["d"]["patch_hosts_step"] = []
    outcome = patch(fleet)
    assert outcome.status != 0
    assert "patch_hosts_step (do you mean patch_hosts_steps?)" in outcome.output
    assert nothing_happened(fleet)
    del fleet.inventory["all"]["hosts"]["d"]["patch_hosts_step"]
    sets = {"name": "Keep something", "ansible.builtin.set_fact": {"patch_hosts_my_pool": "blue"}}
    outcome = patch(fleet, patch_hosts_hooks={"before": hook(fleet, "before.yml", sets)}, patch_hosts_steps=MARK)
    assert outcome.status == 0, outcome.output


def test_the_report_alone_cannot_be_started(fleet: Cloud) -> None:
    variables = {"patch_hosts_steps": MARK, "patch_hosts_batches": ["100%"]}
    before = patch(fleet, **variables)
    outcome = patch(fleet, "--start-at-task", "cloudops.alibaba.patch_hosts : Report", **variables)
    assert outcome.status != 0
    assert "Nothing was done: no host came to its preflight. If the play was started in the middle" in outcome.output
    assert outcome.result == before.result, "the report of what was done stays"


@pytest.mark.parametrize("task", ["Before", "Verdict", "Fail where patching failed"])
def test_starting_in_the_middle_is_refused(fleet: Cloud, task: str) -> None:
    outcome = fleet.playbook(
        PATCH, "--start-at-task", f"cloudops.alibaba.patch_hosts : {task}", "-e", "patch_hosts_batches=100%"
    )
    assert outcome.status != 0
    assert "Traceback" not in outcome.output
    assert nothing_happened(fleet)
    assert "through its preflight" in outcome.output, outcome.output
