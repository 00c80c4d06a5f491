# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight and patch together: regions, unfit hosts, and what is refused before anything is sent."""

from __future__ import annotations

import random
import string
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.run import give_back, patch, preflight
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.work import WORK_SPEC, Work, read_work
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import BadInput, CloudError
from ansible_collections.cloudops.alibaba.tests.unit.fakes import (
    FakeApi,
    FakeClock,
    Lines,
    agent,
    api_error,
    instance,
    task,
)
from ansible_collections.cloudops.alibaba.tests.unit.test_batch import DONE

FILES = Path(__file__).resolve().parents[2] / "roles" / "patch_hosts" / "files"
SCRIPT = {
    "name": "x",
    "script": "true",
    "src": None,
    "unless": None,
    "restart": "never",
    "timeout_s": 60,
    "attempts": 1,
    "rerun": False,
}
HEALTH = {"script": None, "src": None, "timeout_s": 300, "pause_s": 10, "attempt_timeout_s": 60, "same": "off"}


def work(options: dict[str, Any]) -> Work:
    """What the modules make of those of these options that are for the work; they leave the others."""
    given = {key: options.pop(key) for key in list(options) if key in WORK_SPEC and key != "runner_dir"}
    defaults = {key: spec.get("default") for key, spec in WORK_SPEC.items()}
    return read_work(defaults | given)


class World:
    """Two regions, a host in each."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.apis = {region: self.api(region, instance_id) for region, instance_id in (("r-1", "i-1"), ("r-2", "i-2"))}
        self.instances: list[dict[str, Any]] = [
            {"name": "web-01", "instance_id": "i-1", "region_id": None},
            {"name": "web-02", "instance_id": "i-2", "region_id": "r-2"},
        ]

    def api(self, region: str, instance_id: str) -> FakeApi:
        return FakeApi.of(self.clock, instance_id, region_id=region, run=lambda t, i, _content: task(t, i, **DONE))

    def connect(self, region: str) -> FakeApi:
        return self.apis[region]

    def preflight(self, **more: Any) -> dict[str, Any]:
        options = {"all_instance_ids": {}, "run_id": "r-1", "batch": 2, "method": "auto", "work": work(more)}
        options |= {"hooks": {}, "stop": {}, "clock": self.clock, "progress": Lines(self.clock), "region_id": "r-1"}
        options |= {"max_unavailable": None, "serial": None, "failed_instance_ids": [], "dry": False}
        options |= {"runner_dir": str(FILES), "plan": {}, "members": []}
        return preflight(self.connect, self.instances, **options | more)

    def patch(self, **more: Any) -> dict[str, Any]:
        options = {
            "preflight": more.get("preflight") or self.preflight(),
            "work": work(more),
            "runner_dir": str(FILES),
            "dry": False,
            "clock": self.clock,
            "progress": Lines(self.clock),
        }
        return patch(self.connect, self.instances, "r-1", **options | more)

    def called(self) -> list[str]:
        return [name for api in self.apis.values() for name, _what in api.calls]


def test_each_region_gets_its_own_command() -> None:
    world = World()
    result = world.patch()
    assert [api.called("run_command") for api in world.apis.values()] == [[["i-1"]], [["i-2"]]]
    assert list(result["instances"]) == ["i-1", "i-2"]
    assert {row["status"] for row in result["instances"].values()} == {"patched"}
    assert {row["batch"] for row in result["instances"].values()} == {2}


def test_a_region_that_cannot_be_looked_at_is_its_hosts_failure() -> None:
    world = World()
    world.apis["r-2"].deaf = lambda: api_error("InvalidRegionId.NotFound", status=404)
    report = world.preflight()
    assert report["instances"]["i-1"]["ok"]
    assert (report["instances"]["i-2"]["ok"], report["instances"]["i-2"]["error_code"]) == (
        False,
        "InvalidRegionId.NotFound",
    )
    result = world.patch(preflight=report)
    assert result["instances"]["i-1"]["ok"]
    assert result["instances"]["i-2"]["status"] == "failed"
    assert "InvalidRegionId.NotFound" in result["instances"]["i-2"]["error_info"]


def test_a_run_that_stops_looks_at_nothing() -> None:
    world = World()
    report = world.preflight(stop={"after_batch": 1})
    assert report["stop"] == {"kind": "after_batch", "reason": "it was to stop after batch 1", "batch": 2}
    assert "token" not in report
    assert world.called() == []


def test_a_host_may_leave_its_batch_after_the_preflight() -> None:
    world = World()
    report = world.preflight()
    world.instances.pop()
    result = world.patch(preflight=report)
    assert list(result["instances"]) == ["i-1"]
    assert world.apis["r-2"].called("run_command") == []


def test_no_batch_takes_longer_than_until_the_deadline() -> None:
    world = World()
    report = world.preflight(stop={"deadline": "2100-01-01T00:00:00Z"})
    report["deadline"] = world.clock.time() + 100
    lines = Lines(world.clock)
    world.patch(preflight=report, progress=lines)
    assert lines.lines[0].endswith("at most 100 s")


def test_after_the_soak_the_good_hosts_are_asked_again() -> None:
    world = World()
    world.apis["r-2"].run = lambda t, i, _content: task(t, i, status="Failed", exit_code=126)
    began = world.clock.time()
    result = world.patch(soak_time=300)
    assert world.clock.time() - began >= 300
    assert [len(api.called("run_command")) for api in world.apis.values()] == [2, 1]
    assert [row["ok"] for row in result["instances"].values()] == [True, False]
    assert len(result["instances"]["i-1"]["invoke_ids"]) == 2


def test_a_canary_that_is_not_well_after_its_soak_was_well_before_it() -> None:
    world = World()
    lines = Lines(world.clock)
    exits = iter([0, 1])

    def run(t: str, i: str, _content: str) -> Any:
        return task(t, i, **DONE) if next(exits) == 0 else task(t, i, status="Failed", exit_code=126)

    world.apis["r-1"].run = run
    result = world.patch(soak_time=300, progress=lines)
    assert [row["ok"] for row in result["instances"].values()] == [False, True]
    assert result["instances"]["i-1"]["error_info"].startswith("All was well before its soak. ")
    assert result["instances"]["i-2"]["error_info"] is None
    assert [line for line in lines.lines if line.startswith("Run ")] == [
        "Run r-1: patching 2 hosts, at most 2 h",
        "Run r-1: looking at 2 hosts, at most 2 h",
    ]


def test_the_preflight_says_who_is_fit_and_what_holds_when_a_hook_is_interrupted(tmp_path: Path) -> None:
    """While a hook runs nobody else says with which run id to go on."""
    world = World()
    world.apis["r-1"].agents["i-1"] = agent("i-1", online=False)
    (tmp_path / "before.yml").touch()
    for dry in (False, True):
        lines = Lines(world.clock)
        world.preflight(hooks={"before": str(tmp_path / "before.yml")}, dry=dry, progress=lines)
        assert lines.lines[0] == "Run r-1, batch 2: 1 of 2 hosts fit"
        assert [line for line in lines.lines[1:] if line.endswith("again with the run id r-1.")] == lines.lines[1:]
        assert len(lines.lines) == 1 + (not dry)


def test_what_fails_in_every_region_fails_the_preflight() -> None:
    world = World()
    for api in world.apis.values():
        api.deaf = lambda: api_error("SignatureDoesNotMatch")
    with pytest.raises(CloudError, match="SignatureDoesNotMatch"):
        world.preflight()


def test_what_the_preflight_found_unfit_is_left_alone() -> None:
    world = World()
    world.apis["r-1"].agents["i-1"] = agent("i-1", online=False)
    report = world.preflight()
    # It comes back meanwhile, and stays out all the same: nobody has looked at it since.
    world.apis["r-1"].agents["i-1"] = agent("i-1")
    result = world.patch(preflight=report)
    assert world.apis["r-1"].called("run_command") == []
    row = result["instances"]["i-1"]
    assert (row["status"], row["failure"], row["name"], row["cycles"]) == ("failed", "agent", "web-01", 0)
    assert result["instances"]["i-2"]["ok"]


def test_what_restarts_for_an_earlier_start_of_the_run_is_waited_for() -> None:
    """The controller was killed while a host was away: the same run again does not take it for unfit."""
    world = World()
    world.patch()
    world.apis["r-1"].agents["i-1"] = agent("i-1", online=False)
    report = world.preflight()
    entry = report["instances"]["i-1"]
    assert (entry["ok"], entry["resumed"], entry["returning"]) == (True, True, True)
    world.apis["r-1"].instances["i-1"] = instance("i-1", status="Stopped")
    assert not world.preflight()["instances"]["i-1"]["ok"], "a stopped instance does not come back by itself"
    world.apis["r-1"].instances["i-1"] = instance("i-1")
    # Nothing done is known of it, so it is asked as soon as it is back.
    world.clock.on_sleep = lambda: world.apis["r-1"].agents.update({"i-1": agent("i-1")})
    result = world.patch(preflight=report)
    assert result["instances"]["i-1"]["ok"], result["instances"]["i-1"]


def test_a_new_run_waits_for_nobody() -> None:
    world = World()
    world.apis["r-1"].agents["i-1"] = agent("i-1", online=False)
    assert not world.preflight()["instances"]["i-1"]["returning"]


def test_check_mode_sends_nothing() -> None:
    world = World()
    result = world.patch(dry=True, steps=[SCRIPT])
    assert {row["status"] for row in result["instances"].values()} == {"checked"}
    assert not result["changed"]
    assert "run_command" not in world.called()


def test_an_assessment_is_one_command_that_no_later_run_goes_on_from() -> None:
    world = World()
    result = world.patch(mode="assess", steps=[SCRIPT])
    assert {row["status"] for row in result["instances"].values()} == {"assessed"}
    tags = [tags for api in world.apis.values() for tags in api.tags.values()]
    assert [sent["cloudops-assess"] for sent in tags] == ["r-1", "r-1"]
    assert not world.preflight()["instances"]["i-1"]["resumed"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"settle_time": 9}, "settle_time (patch_hosts_timeouts.settle) is 9 s, and must be at least 10 s"),
        ({"timeout": 0}, "timeout (patch_hosts_timeouts.batch) is 0 s"),
        ({"restart_timeout": 0}, "restart_timeout (patch_hosts_timeouts.restart) is 0 s"),
        ({"soak_time": -1}, "soak_time (patch_hosts_soak_s) is -1 s"),
        ({"max_restarts": -1}, "max_restarts"),
        ({"runner_dir": None}, "runner_dir is not set"),
        ({"runner_dir": "/nowhere"}, "cannot read the step runner"),
        ({"preflight": {"token": "guessed"}}, "has not been through its preflight"),
        ({"steps": [SCRIPT | {"src": "/etc/hosts"}]}, "both script and src"),
        ({"health": HEALTH | {"script": "true", "src": "/etc/hosts"}}, "The health check has both script and src"),
        ({"health": HEALTH | {"src": "/nowhere"}}, "The health check: cannot read /nowhere"),
        ({"steps": [SCRIPT | {"script": None, "src": "/nowhere"}]}, "The step 'x': cannot read /nowhere"),
        ({"steps": [SCRIPT, SCRIPT]}, "Two steps have the name 'x'"),
    ],
)
def test_bad_input_is_refused_before_the_first_request(options: dict[str, Any], words: str) -> None:
    world = World()
    options = {"preflight": world.preflight()} | options
    before = world.called()
    with pytest.raises(BadInput) as caught:
        world.patch(**options)
    assert words in str(caught.value)
    assert world.called() == before


def test_what_does_not_fit_into_a_command_is_refused_by_the_preflight() -> None:
    """Before hooks take a host out of service for it."""
    world = World()
    noise = "".join(random.Random(1).choices(string.ascii_letters, k=40_000))
    with pytest.raises(BadInput, match="ecs_send_file"):
        world.preflight(steps=[SCRIPT | {"script": f"echo {noise}"}])
    assert "run_command" not in world.called()


def test_hosts_with_windows_get_a_command_of_their_own() -> None:
    world = World()
    world.instances[1]["region_id"] = None
    api = world.apis["r-1"]
    api.instances["i-2"], api.agents["i-2"] = instance("i-2", os_type="windows"), agent("i-2", version="2.1.3.317")
    steps = [SCRIPT | {"platform": "windows", "script": "exit 0"}, SCRIPT | {"name": "y", "platform": "linux"}]
    result = world.patch(steps=steps)
    assert api.called("run_command") == [["i-1"], ["i-2"]]
    assert [sent["type"] for sent in api.sent] == ["RunShellScript", "RunPowerShellScript"]
    assert ["runner.ps1" in sent["content"] for sent in api.sent] == [False, True]
    assert len({sent["running"].tags["cloudops-work"] for sent in api.sent}) == 2
    assert {row["status"] for row in result["instances"].values()} == {"patched"}


@pytest.mark.parametrize("step", [SCRIPT, SCRIPT | {"name": "os_updates", "script": None, "unless": "true"}])
def test_a_script_for_sh_comes_to_no_host_with_windows(step: dict[str, Any]) -> None:
    world = World()
    world.apis["r-2"].instances["i-2"] = instance("i-2", os_type="windows")
    world.apis["r-2"].agents["i-2"] = agent("i-2", version="2.1.3.317")
    report = world.preflight()
    for refuses in (lambda: world.preflight(steps=[step]), lambda: world.patch(preflight=report, steps=[step])):
        with pytest.raises(BadInput, match=rf"The step '{step['name']}' has .*, and web-02 runs Windows: set"):
            refuses()
    assert "run_command" not in world.called()
    assert world.patch(preflight=report, steps=[step | {"platform": "linux"}])["instances"]["i-2"]["ok"]


def with_windows() -> World:
    """The second host runs Windows."""
    world = World()
    world.apis["r-2"].instances["i-2"] = instance("i-2", os_type="windows")
    world.apis["r-2"].agents["i-2"] = agent("i-2", version="2.1.3.317")
    return world


def test_health_is_not_there_for_windows_and_refused() -> None:
    world = with_windows()
    with pytest.raises(BadInput, match="cannot be asked for their health yet, and web-02"):
        world.preflight(health=HEALTH | {"script": "true"})
    assert "run_command" not in world.called()


def test_a_host_with_windows_keeps_no_other_from_being_assessed() -> None:
    world = with_windows()
    found = world.patch(preflight=world.preflight(mode="assess"), mode="assess")["instances"]
    assert found["i-1"]["status"] == "assessed"
    assert (found["i-2"]["ok"], found["i-2"]["failure"], found["i-2"]["changed"]) == (False, "input", False)
    assert "Hosts with Windows cannot be assessed yet" in found["i-2"]["error_info"]
    assert world.apis["r-2"].called("run_command") == []


def beside_others(world: World, **host: Any) -> None:
    """A host more in the inventory, that may be anything."""
    world.instances.append({"name": "odd", "instance_id": "i-9", "region_id": "r-2"} | host)


@pytest.mark.parametrize(
    ("host", "region_id", "aside"),
    [
        ({"instance_id": ""}, "r-1", {"odd": "It has no instance id: set ecs_instance_id in the inventory."}),
        (
            {"instance_id": "i-2"},
            "r-1",
            {
                "web-02": "It has the same instance id as odd, i-2: give each its own ecs_instance_id, or take one of "
                "them out of the inventory.",
                "odd": "It has the same instance id as web-02, i-2: give each its own ecs_instance_id, or take one of "
                "them out of the inventory.",
            },
        ),
        (
            {},
            None,
            {"web-01": "Its region is not known: set ecs_region_id, or export ALIBABA_CLOUD_REGION_ID."},
        ),
    ],
)
def test_what_the_inventory_does_not_say_keeps_no_other_host_from_being_assessed(
    host: dict[str, Any], region_id: str | None, aside: dict[str, str]
) -> None:
    world = World()
    beside_others(world, **host)
    ids = {one["name"]: one["instance_id"] for one in world.instances}
    report = world.preflight(mode="assess", all_instance_ids=ids, region_id=region_id)
    assert report["set_aside"] == aside
    assert set(report["instances"]) == {ids[name] for name in ids if name not in aside}
    world.instances = [one for one in world.instances if one["name"] not in aside]
    assert set(world.patch(preflight=report, mode="assess")["instances"]) == set(report["instances"])


@pytest.mark.parametrize("host", [{"instance_id": ""}, {"instance_id": "i-2"}, {"region_id": None}])
def test_a_run_is_refused_for_what_the_inventory_does_not_say(host: dict[str, Any]) -> None:
    world = World()
    world.instances[0]["region_id"] = "r-1"
    beside_others(world, **host)
    with pytest.raises(BadInput):
        world.preflight(region_id=None)
    assert world.called() == []


def test_an_assessment_of_nothing_but_such_hosts_is_refused() -> None:
    world = World()
    for one in world.instances:
        one["instance_id"] = ""
    with pytest.raises(BadInput, match="The hosts web-01, web-02 have no instance id: set ecs_instance_id"):
        world.preflight(mode="assess")


def test_instances_need_a_region_and_names_of_their_own() -> None:
    world = World()
    with pytest.raises(BadInput, match="The region of web-01 is not known"):
        world.preflight(region_id=None)
    world.instances[1]["name"] = "web-01"
    with pytest.raises(BadInput, match="Two instances have the name 'web-01'"):
        world.preflight()
    world.instances.clear()
    with pytest.raises(BadInput, match="instances is empty"):
        world.preflight()


# --- how many may be unavailable ------------------------------------------------------------------------------------

ONE_OF_A_ZONE = {"hosts": "1", "by": ["zone"], "of": None, "wait_s": 1800, "lease_s": 600, "settle_s": 5}
# What a lease of ten minutes is long enough for.
SHORT = {"max_unavailable": ONE_OF_A_ZONE, "timeout": 50, "restart_timeout": 10}


class Zone(World):
    """Four hosts in a zone, and a batch of the first one."""

    def __init__(self) -> None:
        super().__init__()
        self.ids = {f"web-0{number}": f"i-{number}" for number in (1, 2, 3, 4)}
        self.apis = {"r-1": FakeApi.of(self.clock, *self.ids.values(), region_id="r-1")}
        self.take("web-01")

    def take(self, *names: str) -> None:
        """Put these into the batch."""
        self.instances = [{"name": name, "instance_id": self.ids[name], "region_id": None} for name in names]

    def book(self, **more: Any) -> dict[str, Any]:
        options = {"batch": 1, "all_instance_ids": self.ids, "serial": [1], **SHORT}
        return self.preflight(**options | more)


def test_batches_that_can_never_fit_are_refused_before_the_first_one() -> None:
    zone = Zone()
    with pytest.raises(BadInput, match=r"Batch 2 has 3 of the 4 instances of zone cn-test-a.*Nothing was done\.$"):
        zone.book(serial=[1, "75%"])
    assert "tag_instances" not in zone.called()
    assert zone.book(serial=[1])["instances"]["i-1"]["ok"]


def test_a_later_batch_takes_what_fits() -> None:
    zone = Zone()
    zone.take("web-01", "web-02")
    found = zone.book(serial=[1, 2], batch=2)["instances"]
    assert (found["i-1"]["ok"], found["i-2"]["ok"], found["i-2"]["failure"]) == (True, False, "budget")
    assert found["i-2"]["error_info"].startswith(
        "Nothing was done to it. At most 1 of the 4 instances of zone cn-test-a"
    )


def test_nobody_is_waited_for_beyond_the_deadline() -> None:
    zone = Zone()
    assert zone.book(run_id="theirs")["instances"]["i-1"]["ok"]
    zone.take("web-02")
    zone.clock.sleeps.clear()
    # 2027-01-15T08:00:00Z and 5 s are over, and the batch must have ended ten minutes later.
    stop = {"deadline": "2027-01-15T08:10:05Z", "batch_s": 400}
    assert zone.book(stop=stop)["instances"]["i-2"]["failure"] == "budget"
    assert sum(zone.clock.sleeps) == pytest.approx(200)


def test_when_a_region_cannot_be_booked_the_others_are_given_back() -> None:
    world = World()
    first = {key: row.tags for key, row in world.apis["r-1"].instances.items()}
    world.apis["r-2"].refuse_tags = lambda: api_error("Forbidden.RAM", status=403)
    with pytest.raises(CloudError, match=r"Forbidden\.RAM"):
        world.preflight(**SHORT)
    assert {key: row.tags for key, row in world.apis["r-1"].instances.items()} == first
    # What an earlier start of the run has leased it may be at work on.
    world.instances.pop()
    world.preflight(**SHORT)
    world.instances.append({"name": "web-02", "instance_id": "i-2", "region_id": "r-2"})
    with pytest.raises(CloudError, match=r"Forbidden\.RAM"):
        world.preflight(**SHORT)
    assert list(world.apis["r-1"].instances["i-1"].tags) == ["cloudops-lease.r-1"]


def test_hosts_are_given_back_once() -> None:
    world = World()
    world.preflight(**SHORT)

    def give(**more: Any) -> dict[str, Any]:
        return give_back(world.connect, world.instances, "r-1", **{"run_id": "r-1", "dry": False} | more)

    assert not give(run_id="other")["changed"]
    assert [give(dry=True)["changed"], give()["changed"], give()["changed"]] == [True, True, False]
    assert [world.apis[region].instances[key].tags for region, key in (("r-1", "i-1"), ("r-2", "i-2"))] == [{}, {}]


def test_what_cannot_be_given_back_stays_and_is_warned_of() -> None:
    world = World()
    world.preflight(**SHORT)
    world.apis["r-2"].refuse_tags = lambda: api_error("Forbidden.RAM", status=403)
    done = give_back(world.connect, world.instances, "r-1", run_id="r-1", dry=False)
    assert done["released_ids"] == ["i-1"]
    assert done["warnings"][0].startswith(
        "Leases of run r-1 could not be removed from i-2, and other runs leave these alone until they end: the tag "
        "cloudops-lease.r-1 says when. Remove the tag to have it earlier. "
    )
