# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a run, and what makes it a plan no longer: pure decisions."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleLookupError
from ansible_collections.cloudops.alibaba.plugins.lookup.patch_plan import LookupModule
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.drift import (
    Reality,
    check_plan,
    differences,
    moved_entry,
)
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.plan import (
    VERSION,
    Expectation,
    build_plan,
    check_document,
    plan_table,
)
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import BadInput

INPUTS = {"steps": "5um", "restart": "if_required"}


def verdict(number: int, **more: Any) -> dict[str, Any]:
    return {
        "instance_id": f"i-{number}",
        "region_id": "r",
        "zone_id": "h",
        "tags": {},
        "agent_version": "2.2.3.999",
        "restart_method": "exit_code",
        "run_id": "R-1",
        "status": "assessed",
        "ok": True,
        "failure": None,
        "error_info": None,
        "steps": {"os_updates": {"state": "needed", "attempts": 0}},
        "packages": [{"name": "curl", "from": "1", "to": "2"}],
        "packages_count": 1,
        "restart_expected": "no",
        "restart_expected_reason": "needs-restarting",
        "inputs": INPUTS,
    } | more


def plan_of(*verdicts: dict[str, Any], **more: Any) -> dict[str, Any]:
    results = dict(zip("abcdefgh", verdicts, strict=False))
    options: dict[str, Any] = {"sizes": [1, "100%"], "targets": "web", "members": list(results), "made_at": "now"}
    return build_plan(results, **options | more)


def rows(plan: dict[str, Any]) -> list[list[str]]:
    """The table's cells, without its head."""
    return [[cell for cell in line.split("  ") if cell] for line in plan_table(plan)[1:]]


def test_hosts_are_told_batch_after_batch_and_those_left_out_with_how_to_mend_them() -> None:
    kernel = {"restart_expected": "likely", "restart_expected_reason": "update of kernel", "restart_method": "api"}
    script = {"motd": {"state": "needed", "attempts": 0}, "odd": {"state": "unknown", "attempts": 0}}
    plan = plan_of(
        verdict(1, ok=False, status="failed", failure="instance", error_info="It is Stopped. Start it."),
        verdict(2, **kernel),
        verdict(3, steps={}, packages=[], packages_count=0, restart_expected=None),
        verdict(4, steps=script, packages=[], packages_count=0, restart_expected="unknown"),
        verdict(5, restart_expected="now", restart_expected_reason="/run/reboot-required"),
        {},
    )
    assert plan["batches"] == [["b"], ["c", "d", "e"]]
    assert [[cell.strip() for cell in row] for row in rows(plan)] == [
        ["b", "1", "curl 1 -> 2", "probably, through the API: update of kernel", "8 min"],
        ["c", "2", "-", "not known (needs-restarting)", "0 s"],
        ["d", "2", "motd, odd (unknown)", "not known (needs-restarting)", "5 min"],
        ["e", "2", "curl 1 -> 2", "yes, by exit code: /run/reboot-required", "8 min"],
        ["a", "-", "-", "-", "left out (instance): It is Stopped. Start it."],
        ["f", "-", "-", "-", "left out (input): It was not assessed."],
        [],
        ["4 hosts in 2 batches, 2 hosts left out"],
        [
            "Expected: 16 min (8 min, 8 min), from the settings for 4 hosts; a restart of 2 hosts is not known, and "
            "not counted"
        ],
    ]


def test_an_earlier_run_tells_how_long_a_host_takes() -> None:
    times = {"started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:10:00Z"}
    earlier = {
        "a": verdict(1, status="patched", restarted=False, **times),
        "b": verdict(2, status="restarted", restarted=True, **times),
        "c": verdict(3, status="failed", ok=False, **times),
        "d": verdict(4, status="assessed", **times),
    }
    likely = {"restart_expected": "likely"}
    plan = plan_of(
        *[verdict(number, **likely) for number in range(1, 6)],
        expectation=Expectation(patch_s=60, restart_s=30, earlier=earlier),
    )
    assert {name: host["expected_s"] for name, host in plan["hosts"].items()} == {
        "a": 630,
        "b": 600,
        "c": 90,
        "d": 90,
        "e": 90,
    }
    assert plan["expected"] == {"batches_s": [630, 600], "total_s": 1230, "hosts_from": {"report": 2, "settings": 3}}
    assert plan_table(plan)[-1].endswith("from an earlier report for 2 hosts and the settings for 3 hosts")


@pytest.mark.parametrize(
    ("budget", "batches"),
    [
        ({"hosts": 1}, [["a", "c"], ["b", "d"]]),
        ({"hosts": "100%", "by": ["zone"]}, [["a", "b", "c", "d"]]),
        ({"hosts": "1", "by": ["zone", "tag:app"]}, [["a", "b", "c", "d"]]),
        ({"hosts": "1", "by": ["tag:app"]}, [["a", "b"], ["c", "d"]]),
        ({"hosts": "50%", "by": "zone"}, [["a", "c"], ["b", "d"]]),
    ],
)
def test_groups_are_of_zones_and_tags(budget: dict[str, Any], batches: list[list[str]]) -> None:
    zones = [("h", "x"), ("h", "y"), ("i", "x"), ("i", "y")]
    verdicts = [verdict(number, zone_id=zone, tags={"app": app}) for number, (zone, app) in enumerate(zones)]
    assert plan_of(*verdicts, sizes=["100%"], max_unavailable=budget)["batches"] == batches


@pytest.mark.parametrize("budget", [{"hosts": "none"}, {"by": ["zone"]}, {"hosts": 1, "by": ["rack"]}])
def test_a_share_that_is_none_is_refused(budget: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="of max_unavailable"):
        plan_of(verdict(1), max_unavailable=budget)


def test_what_is_not_fit_is_away_already() -> None:
    down = verdict(1, ok=False, status="failed", failure="agent", error_info="x")
    plan = plan_of(down, *[verdict(n) for n in (2, 3, 4)], sizes=["100%"], max_unavailable={"hosts": "2"})
    assert plan["batches"] == [["b"], ["c"], ["d"]]


def test_check_mode_does_not_know_how_long_it_takes() -> None:
    nothing = {"status": "checked", "steps": {}, "packages": [], "packages_count": 0, "restart_expected": None}
    plan = plan_of(verdict(1, **nothing), verdict(2, **nothing))
    assert plan["batches"] == [["a"], ["b"]]
    assert rows(plan)[0][-1] == "not known"
    assert plan_table(plan)[-1] == (
        "Expected: not known, because the hosts were not asked what there is to do (check mode)"
    )


def test_without_an_assessment_there_is_no_plan() -> None:
    with pytest.raises(BadInput, match=r"nothing was assessed\. The run id is bad\."):
        plan_of({"status": "not_reached", "ok": False, "error_info": "The run id is bad."}, {})


# --- whether it is one ---


def test_a_plan_that_was_written_can_be_read() -> None:
    plan = plan_of(verdict(1), verdict(2), verdict(3, ok=False))
    assert check_document(json.loads(json.dumps(plan))) == plan


def damage(plan: dict[str, Any], what: str) -> Any:
    """Something that is not the plan."""
    if what in plan:
        del plan[what]
    elif what == "host":
        del plan["hosts"]["a"]
    elif what == "twice":
        plan["batches"].append(["a"])
    elif what == "empty":
        plan["batches"].append([])
    elif what == "no_id":
        del plan["hosts"]["a"]["instance_id"]
    elif what == "word":
        plan["hosts"] = "a"
    elif what == "number":
        plan["batches"] = [[1]]
    elif what == "list":
        return [plan]
    else:
        plan["version"] = what
    return plan


@pytest.mark.parametrize(
    ("what", "words"),
    [
        *[(key, "is a plan that is damaged") for key in ("batches", "hosts", "inputs", "members", "targets")],
        *[(key, "is a plan that is damaged") for key in ("host", "twice", "empty", "no_id", "word", "number")],
        ("list", "is no plan"),
        ("version", "is no plan"),
        ("1", "is no plan"),
        (2, "is a plan of newer version, 2, and this collection reads version 1"),
        (0, "is a plan of older version, 0, and this collection reads version 1"),
    ],
)
def test_what_is_no_plan_is_called_what_it_is(what: Any, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        check_document(damage(plan_of(verdict(1), verdict(2)), what))
    assert str(caught.value) == words


# --- whether it still holds ----------------------------------------------------------------------------------------


class World:
    """A plan of three hosts, the first one alone, and reality as it was then."""

    def __init__(self) -> None:
        self.plan = plan_of(verdict(1), verdict(2), verdict(3))
        self.ids = {"a": "i-1", "b": "i-2", "c": "i-3"}
        self.members = ["a", "b", "c"]
        self.inputs = dict(INPUTS)
        entry = {"ok": True, "error_info": None, "zone_id": "h", "agent_version": "2.2.3.999"}
        entry |= {"events": [], "resumed": False}
        self.reports = {id_: entry | {"restart_method": "exit_code"} for id_ in ("i-1", "i-2", "i-3", "i-9")}
        self.batch = ["a"]

    @property
    def reality(self) -> Reality:
        return Reality(self.ids, self.members, self.inputs, self.reports)

    def told(self) -> list[str]:
        return list(differences(self.plan, self.batch, self.reality))


def test_a_plan_holds_while_nothing_moves() -> None:
    world = World()
    assert world.told() == []
    check_plan(world.plan, world.batch, world.reality)
    # An agent that has updated itself is no reason.
    world.reports["i-2"]["agent_version"] = "2.2.4.1"
    assert world.told() == []


EVENT = {"event_id": "e-1", "restart_settles": True}


def moves(world: World, kind: str) -> str:
    """Let something happen; the sentence on it."""
    if kind == "gone":
        del world.ids["c"]
        return "c: in the plan, and not in this play (gone from the inventory, or left out by --limit)."
    if kind == "added":
        world.members.append("new")
        return "new: new among the targets (web)."
    if kind == "strange":
        world.ids["new"] = "i-9"
        return "new: in this play, and in no batch of the plan."
    if kind == "serial":
        world.batch = ["a", "b"]
        return "a, b: no batch of the plan (serial has to be that of the plan)."
    if kind == "steps":
        world.inputs["steps"] = "0ther"
        return "The steps are not those of the plan."
    if kind == "policy":
        world.inputs["restart"] = "always"
        return "The run would restart hosts in any case, and the plan does where it is required."
    if kind == "instance":
        world.ids["b"] = "i-9"
        return "Other instances: b was i-2 and is i-9."
    if kind == "zone":
        world.reports["i-2"]["zone_id"] = "j"
        return "Other zones: b was in h and is in j."
    if kind == "method":
        world.reports["i-3"] |= {"restart_method": "api", "agent_version": "2.2.3.1"}
        agent = "its agent was 2.2.3.999 and is 2.2.3.1"
        return f"Another way to restart: c restarts through the API and not by exit code ({agent})."
    if kind == "option":
        world.reports["i-3"]["restart_method"] = "api"
        return "Another way to restart: c restarts through the API and not by exit code."
    if kind == "event":
        world.reports["i-3"] |= {"restart_method": "api", "events": [EVENT]}
        return "A restart that the plan does not have: c (a system event wants it, through the API)."
    if kind == "event_gone":
        world.plan["hosts"]["c"] |= {"restart": "now", "restart_reason": "system_event", "restart_method": "api"}
        return "A restart that nothing asks for any more: c (its system event is gone)."
    if kind == "event_besides":
        world.plan["hosts"]["c"] |= {"restart": "likely", "restart_reason": "update of kernel"}
        world.reports["i-3"] |= {"restart_method": "api", "events": [EVENT]}
        return "Another way to restart: c restarts through the API and not by exit code (for a system event)."
    for id_ in ("i-1", "i-2"):
        world.reports[id_] |= {"ok": False, "error_info": f"{id_} is Stopped."}
    return "No longer fit: a (i-1 is Stopped), b (i-2 is Stopped)."


KINDS = ["gone", "added", "strange", "serial", "steps", "policy", "instance", "zone", "method", "unfit"]
KINDS += ["option", "event", "event_gone", "event_besides"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_moved_is_told_in_one_sentence(kind: str) -> None:
    world = World()
    sentence = moves(world, kind)
    untouched = copy.deepcopy(world.plan)
    assert world.told() == [sentence]
    with pytest.raises(BadInput) as caught:
        check_plan(world.plan, world.batch, world.reality)
    assert str(caught.value) == (
        f"Nothing was done, because the plan no longer holds: make a new plan with the playbook assess. {sentence}"
    )
    assert world.plan == untouched


@pytest.mark.parametrize("kind", ["method", "event", "event_gone", "event_besides"])
def test_what_the_run_itself_may_have_moved_does_not_keep_it_from_going_on(kind: str) -> None:
    world = World()
    moves(world, kind)
    world.reports["i-3"]["resumed"] = True
    assert world.told() == []


def test_events_that_could_not_be_read_have_not_gone() -> None:
    world = World()
    moves(world, "event_gone")
    world.reports["i-3"] |= {"events": None, "restart_method": "api"}
    assert world.told() == []


def test_all_kinds_are_told_at_once() -> None:
    world = World()
    sentences = [moves(world, kind) for kind in ("added", "gone", "steps", "zone")]
    assert sorted(world.told()) == sorted(sentences)


def test_of_a_later_batch_only_the_host_that_has_moved_is_left_alone() -> None:
    world = World()
    moves(world, "zone")
    moved = moved_entry(world.plan, "b", world.reality)
    assert (moved["ok"], moved["moved"], moved["failure"]) == (False, True, "input")
    assert moved["error_info"].startswith("The plan no longer holds for it (other zones: b was in h and is in j).")
    assert moved_entry(world.plan, "c", world.reality) == {}


def test_what_is_not_fit_any_more_keeps_its_own_reason() -> None:
    world = World()
    moves(world, "unfit")
    assert moved_entry(world.plan, "b", world.reality) == {}


# --- the lookup: a file in, the hosts and batches of a play out ------------------------------------------------------


def look_up(path: Path, text: str) -> dict[str, Any]:
    path.write_text(text, encoding="utf-8")
    (found,) = LookupModule().run([str(path)])
    return found


def test_the_lookup_gives_the_hosts_and_the_sizes_of_the_batches(tmp_path: Path) -> None:
    plan = plan_of(verdict(1), verdict(2), verdict(3, ok=False))
    found = look_up(tmp_path / "plan.json", json.dumps(plan))
    assert (found.pop("order"), found.pop("sizes"), found) == (["a", "b"], [1, 1], plan)


@pytest.mark.parametrize("terms", [[], [""]])
def test_without_a_plan_there_are_no_hosts(terms: list[str]) -> None:
    assert LookupModule().run(terms) == [{"order": [], "sizes": []}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no plan, or only a part of one; make one with the playbook assess. Nothing was done."),
        ('{"version": 99}', f"is a plan of newer version, 99, and this collection reads version {VERSION}; make one"),
        (json.dumps(plan_of(verdict(1, ok=False))), "is fit to be patched. Nothing was done."),
    ],
)
def test_the_lookup_refuses_what_cannot_be_followed(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(AnsibleLookupError, match=r"^patch_hosts_plan: .*plan\.json") as caught:
        look_up(tmp_path / "plan.json", text)
    assert words in str(caught.value)


def test_the_lookup_says_which_plan_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "nosuch.json"
    with pytest.raises(AnsibleLookupError) as caught:
        LookupModule().run([str(path)])
    assert str(caught.value) == f"patch_hosts_plan: cannot read {path}: No such file or directory. Nothing was done."
