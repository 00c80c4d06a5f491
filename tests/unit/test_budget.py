# SPDX-License-Identifier: GPL-3.0-or-later
"""How many hosts of a group may be unavailable: the decisions, and a batch that books its hosts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.booking import Booked, Booking
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.budget import (
    Budget,
    Group,
    Share,
    fitting,
    read_budget,
    too_large,
)
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.groups import batches_of
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.lease import Lease, leases_of, of_others
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.plan_batches import plan_batches
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import BadInput, CloudError
from ansible_collections.cloudops.alibaba.plugins.module_utils._waiting import Deadline
from ansible_collections.cloudops.alibaba.tests.unit.fakes import (
    START,
    FakeApi,
    FakeClock,
    Lines,
    agent,
    api_error,
    instance,
    task,
)
from hypothesis import given
from hypothesis import strategies as st

GOOD = {"hosts": "2", "by": ["zone"], "of": None, "wait_s": 1800, "lease_s": 8400, "settle_s": 5}
NO_NAMES: dict[str, str] = {}


@pytest.mark.parametrize(
    ("hosts", "size", "most"),
    [("1", 9, 1), ("3", 2, 3), ("25%", 8, 2), ("25%", 7, 1), ("1%", 3, 1), ("100%", 4, 4), ("50%", 1, 1)],
)
def test_a_percentage_is_floored_and_at_least_one(hosts: str, size: int, most: int) -> None:
    assert read_budget(GOOD | {"hosts": hosts}, 0).most_of(size) == most


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hosts": "0"}, "hosts of max_unavailable is '0'"),
        ({"hosts": "101%"}, "'101%'"),
        ({"hosts": "many"}, "'many'"),
        ({"hosts": "-1"}, "'-1'"),
        ({"by": []}, "by of max_unavailable is empty"),
        ({"by": ["rack"]}, "has 'rack'; it takes zone, and tag:KEY"),
        ({"by": ["tag:"]}, "has 'tag:'"),
        ({"wait_s": -1}, "wait_s of max_unavailable is -1"),
        ({"lease_s": 0}, "lease_s of max_unavailable is 0"),
        ({"settle_s": -1}, "settle_s"),
    ],
)
def test_what_is_no_budget_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match="max_unavailable") as caught:
        read_budget(GOOD | change, 0)
    assert words in str(caught.value)


def test_a_lease_is_as_long_as_the_work_and_a_little_more() -> None:
    assert read_budget(GOOD | {"lease_s": None}, 8100).lease_s == 8400
    with pytest.raises(
        BadInput, match="lease_s of max_unavailable is 599, and a batch and a restart may take 600 s: give more"
    ):
        read_budget(GOOD | {"lease_s": 599}, 600)


@pytest.mark.parametrize(
    ("by", "of", "means"),
    [
        (["zone"], None, "play"),
        (["zone"], "region", "region"),
        (["tag:app"], None, "region"),
        (["zone", "tag:app"], None, "region"),
        (["tag:app"], "play", "play"),
    ],
)
def test_what_groups_are_of(by: list[str], of: str | None, means: str) -> None:
    assert read_budget(GOOD | {"by": by, "of": of}, 0).of == means


@given(
    size=st.integers(1, 6),
    most=st.integers(1, 4),
    down=st.sets(st.integers(0, 5)),
    leased=st.sets(st.integers(0, 5)),
    wanted=st.lists(st.integers(0, 5), unique=True),
)
def test_what_fits_is_as_much_as_may_be_and_no_more(
    size: int, most: int, down: set[int], leased: set[int], wanted: list[int]
) -> None:
    members = [str(number) for number in range(size)]
    group = Group("zone z", frozenset(members), most, {key: "Stopped" for key in map(str, down) if key in members})
    held = {key: "leased by run x" for key in map(str, leased) if key in members}
    asked = [key for key in map(str, wanted) if key in members]
    taken, denied = fitting(asked, dict.fromkeys(asked, group), held, NO_NAMES)
    assert sorted([*taken, *denied]) == sorted(asked)
    assert not set(taken) & held.keys()
    gone = {*group.down, *held}
    assert len(gone | set(taken)) <= max(most, len(gone))
    if any(key not in gone for key in denied):
        assert len(gone | set(taken)) >= most


def test_the_sentence_says_who_is_unavailable_and_why() -> None:
    group = Group("zone z", frozenset(["i-1", "i-2", "i-3", "i-4"]), 2, {"i-4": "Stopped"})
    taken, denied = fitting(
        ["i-1", "i-2"], dict.fromkeys(["i-1", "i-2"], group), {"i-3": "leased by run x"}, {"i-4": "db"}
    )
    assert taken == []
    assert denied["i-1"] == (
        "At most 2 of the 4 instances of zone z may be unavailable (max_unavailable): "
        "i-3 is leased by run x, db is Stopped. Start the same command again when they are available."
    )


# --- batches that can never fit -----------------------------------------------------------------------------------

ONE = Share("1", ("zone",))
KEYS = {"i-1": ("a",), "i-2": ("a",), "i-3": ("b",), "i-4": ("b",), "i-5": ("b",)}


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        ([["i-1"], ["i-2"]], None),
        ([["i-1", "i-3"], ["i-2", "i-4"], ["i-5"]], None),
        ([["i-1", "i-elsewhere", "i-3"]], None),
        (
            [["i-1"], ["i-2", "i-3", "i-4"]],
            "Batch 2 has 2 of the 3 instances of zone b, and at most 1 may be unavailable at once (max_unavailable). "
            "Make the batches smaller (serial, patch_hosts_batches; 1 a batch always fit), or follow a plan of the "
            "playbook assess, whose batches fit. Nothing was done.",
        ),
        ([["i-1", "i-2"]], "The batch has 2 of the 2 instances of zone a"),
    ],
)
def test_a_batch_that_alone_is_too_large(batches: list[list[str]], words: str | None) -> None:
    why = too_large(batches, KEYS, ONE)
    assert why == words or str(why).startswith(words or "never")


def test_a_host_without_the_tag_is_no_reason() -> None:
    keys = {"i-1": ("a", ""), "i-2": ("a", "")}
    assert too_large([["i-1", "i-2"]], keys, Share("1", ("zone", "tag:app"))) is None


@given(
    zones=st.lists(st.sampled_from("abc"), min_size=1, max_size=20),
    sizes=st.lists(st.one_of(st.integers(1, 9), st.sampled_from(["10%", "50%", "100%"])), min_size=1, max_size=3),
    hosts=st.one_of(st.integers(1, 9).map(str), st.sampled_from(["1%", "30%", "100%"])),
)
def test_the_batches_of_a_plan_are_never_too_large(zones: list[str], sizes: list[int | str], hosts: str) -> None:
    keys = {f"i-{number}": (zone,) for number, zone in enumerate(zones)}
    share = Share(hosts, ("zone",))
    most = {(zone,): share.most_of(zones.count(zone)) for zone in zones}
    assert too_large(plan_batches(keys, sizes, most), keys, share) is None


@pytest.mark.parametrize(
    ("sizes", "batch", "batches"),
    [
        ([1, "50%"], "a", [["i-a"], ["i-b", "i-c"], ["i-d", "i-e"]]),
        (["2"], "b", [["i-a", "i-b"], ["i-c", "i-d"], ["i-e"]]),
        ([], "abcde", [["i-a", "i-b", "i-c", "i-d", "i-e"]]),
        ([0], "abcde", [["i-a", "i-b", "i-c", "i-d", "i-e"]]),
        # An order of its own, or sizes that nobody knows: then only this batch is known.
        ([1, "50%"], "ad", [["i-a", "i-d"]]),
        (None, "ab", [["i-a", "i-b"]]),
    ],
)
def test_the_batches_of_a_play(sizes: list[int | str] | None, batch: str, batches: list[list[str]]) -> None:
    play = {name: f"i-{name}" for name in "abcde"}
    assert batches_of(play, sizes, {name: play[name] for name in batch}) == batches


@given(
    owner=st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True),
    since=st.integers(0, 4_000_000_000),
    lasts=st.integers(0, 10**6),
)
def test_a_lease_survives_as_a_tag(owner: str, since: int, lasts: int) -> None:
    lease = Lease(owner, float(since), float(since + lasts))
    assert len(lease.key) <= 128
    assert len(lease.value) <= 128
    assert leases_of({lease.key: lease.value, "app": "web"}) == [lease]


@given(st.text())
def test_whatever_stands_in_a_tag_of_ours_is_read(value: str) -> None:
    (lease,) = leases_of({"cloudops-lease.x": value})
    assert lease.owner == "x"
    if lease.until is None:
        # Nobody knows what it means, so it holds, and is nobody's to remove.
        assert of_others([lease], "y", 9e12) == [lease]
        assert "remove the tag" in str(lease)


# --- a batch that books -------------------------------------------------------------------------------------------

IDS = ["i-1", "i-2", "i-3", "i-4"]


class Scene:
    """Four hosts in a zone."""

    def __init__(self, **budget: Any) -> None:
        self.clock = FakeClock()
        self.api = FakeApi.of(self.clock, *IDS)
        self.lines = Lines(self.clock)
        self.budget = read_budget(GOOD | budget, 0)

    def booking(self, wanted: list[str], owner: str = "ours", failed: tuple[str, ...] = ()) -> Booking:
        return Booking(
            self.api,
            wanted,
            budget=self.budget,
            owner=owner,
            play=IDS,
            failed=failed,
            clock=self.clock,
            progress=self.lines,
        )

    def book(self, wanted: list[str], owner: str = "ours", failed: tuple[str, ...] = ()) -> Booked:
        return self.booking(wanted, owner, failed).book(Deadline(self.clock, self.budget.wait_s))

    def tag(self, instance_id: str, **tags: str) -> None:
        row = self.api.instances[instance_id]
        self.api.instances[instance_id] = replace(row, tags={**row.tags, **tags})

    def leases(self, instance_id: str) -> list[str]:
        return [lease.owner for lease in leases_of(self.api.instances[instance_id].tags)]


def test_the_first_hosts_are_leased_and_the_others_denied() -> None:
    scene = Scene()
    booked = scene.book(["i-2", "i-1", "i-3"])
    assert booked.taken == ["i-2", "i-1"]
    assert booked.until == START + 8400
    assert "At most 2 of the 4 instances of zone cn-test-a" in booked.denied["i-3"]
    assert booked.denied["i-3"].endswith("i-1 is in this batch. Smaller batches make room for it.")
    assert [scene.leases(key) for key in IDS] == [["ours"], ["ours"], [], []]
    # It waits for its claim to be read, and for nobody else.
    assert scene.clock.sleeps == [5]
    assert len(scene.api.called("tag_instances")) == 1


@pytest.mark.parametrize("why", ["Stopped", "offline", "failed"])
def test_who_is_unavailable_already_counts(why: str) -> None:
    scene = Scene()
    if why == "Stopped":
        scene.api.instances["i-4"] = replace(scene.api.instances["i-4"], status="Stopped")
    if why == "offline":
        scene.api.agents["i-4"] = agent("i-4", online=False)
    booked = scene.book(["i-1", "i-2"], failed=("i-4",) if why == "failed" else ())
    assert (booked.taken, list(booked.denied)) == (["i-1"], ["i-2"])
    words = {"Stopped": "i-4 is Stopped", "offline": "i-4 is without its agent online", "failed": "failed in this run"}
    assert words[why] in booked.denied["i-2"]


def test_what_is_down_anyway_costs_nothing() -> None:
    scene = Scene(hosts="1")
    scene.api.agents["i-1"] = agent("i-1", online=False)
    assert scene.book(["i-1"]).taken == ["i-1"]


def test_a_batch_waits_for_another_run_and_says_so() -> None:
    scene = Scene(hosts="1")
    assert scene.book(["i-1"], owner="theirs").taken == ["i-1"]
    # It restarts meanwhile.
    scene.api.agents["i-1"] = agent("i-1", online=False)

    def release() -> None:
        if scene.clock.now > START + 300:
            scene.api.agents["i-1"] = agent("i-1")
            scene.api.untag_instances(["i-1"], ["cloudops-lease.theirs"])

    scene.clock.on_sleep = release
    booked = scene.book(["i-2"])
    assert (booked.taken, booked.denied) == (["i-2"], {})
    assert scene.clock.now > START + 300
    assert scene.lines.lines[0].startswith("Waiting for other runs: i-1 is leased by run theirs until 2027-01-15T")


def test_the_wait_ends_and_what_fits_is_taken() -> None:
    scene = Scene(wait_s=60)
    assert scene.book(["i-1"], owner="theirs").taken == ["i-1"]
    booked = scene.book(["i-1", "i-2", "i-3"])
    # Its own batch alone has one too many, for which it does not wait.
    assert booked.taken == ["i-2"]
    assert "leased by run theirs until" in booked.denied["i-1"]
    assert "At most 2" in booked.denied["i-3"]
    assert scene.leases("i-1") == ["theirs"]
    assert scene.leases("i-3") == []


def test_an_expired_lease_is_no_obstacle_and_is_removed() -> None:
    scene = Scene(hosts="1", lease_s=600)
    assert scene.book(["i-1"], owner="dead").taken == ["i-1"]
    booked = scene.book(["i-1"])
    assert booked.taken == ["i-1"]
    assert scene.clock.now >= START + 600
    assert scene.leases("i-1") == ["ours"]
    expired = [(lease.owner, lease.until) for leases in booked.expired.values() for lease in leases]
    assert expired == [("dead", START + 600)]


def test_an_expired_lease_that_cannot_be_removed_is_no_obstacle_either() -> None:
    scene = Scene()
    lease = Lease("dead", START - 600, START - 1)
    scene.tag("i-1", **{lease.key: lease.value})

    def refuse(instance_ids: Sequence[str], keys: Sequence[str]) -> None:
        raise api_error("Forbidden.RAM", status=403)

    scene.api.untag_instances = refuse  # type: ignore[method-assign]
    booked = scene.book(["i-1"])
    assert (booked.taken, booked.expired) == (["i-1"], {})
    assert scene.leases("i-1") == ["dead", "ours"]


def test_an_expired_lease_is_removed_by_who_takes_the_host_only() -> None:
    """Its run may be claiming the host anew."""
    scene = Scene()
    lease = Lease("dead", START - 600, START - 1)
    scene.tag("i-4", **{lease.key: lease.value})
    booked = scene.book(["i-1"])
    assert (booked.taken, booked.expired) == (["i-1"], {})
    assert scene.leases("i-4") == ["dead"]


def test_a_run_that_is_started_again_takes_its_leases_over_at_once() -> None:
    scene = Scene(hosts="1")
    assert scene.book(["i-1"]).taken == ["i-1"]
    again = scene.book(["i-1"])
    assert (again.taken, again.new) == (["i-1"], [])
    assert scene.clock.now - START < 60


@pytest.mark.parametrize(
    ("state", "taken"),
    [
        # Of an earlier start of the run: what it is at work on counts, and what it has long done with does not.
        ({"status": "Running", "exit_code": None, "finished": None}, []),
        ({"status": "Failed", "exit_code": 194, "finished": START + 5}, []),
        ({"status": "Success", "finished": START - 600}, ["i-2"]),
    ],
)
def test_the_runs_own_leases_elsewhere_count_while_it_is_at_work_there(state: dict[str, Any], taken: list[str]) -> None:
    scene = Scene(hosts="1", wait_s=60)
    assert scene.book(["i-1"]).taken == ["i-1"]
    scene.api.tags["t-1"] = {"cloudops-run": "ours"}
    scene.api.rows["t-1"] = {"i-1": task("t-1", "i-1", **state)}
    booked = scene.book(["i-2"])
    assert booked.taken == taken
    if not taken:
        assert "i-1 is at work for an earlier start of this run" in booked.denied["i-2"]


def test_a_claim_over_another_one_is_withdrawn() -> None:
    scene = Scene(hosts="1", wait_s=0)
    theirs = Lease("theirs", START - 1, START + 8400)
    scene.clock.on_sleep = lambda: scene.tag("i-2", **{theirs.key: theirs.value})
    booked = scene.book(["i-1"])
    assert booked.taken == []
    assert "Other runs have claimed" in booked.denied["i-1"]
    assert scene.leases("i-1") == []


def test_tags_that_are_not_ours_stay() -> None:
    scene = Scene(hosts="1", wait_s=0)
    scene.tag("i-1", **{"cloudops-lease.x": "by hand", "app": "web", "cloudops-lease": "since 2020"})
    booked = scene.book(["i-1"])
    assert "whose value is not understood: remove the tag" in booked.denied["i-1"]
    assert scene.api.called("untag_instances") == []


def test_no_room_for_a_lease() -> None:
    scene = Scene()
    scene.tag("i-1", **{f"key-{number}": "" for number in range(20)})
    booked = scene.book(["i-1", "i-2"])
    assert booked.taken == ["i-2"]
    assert booked.denied["i-1"] == "It has 20 tags, the most that it can have, and a lease is another: remove one."


def test_groups_by_tag_are_of_the_whole_region() -> None:
    scene = Scene(hosts="1", by=["tag:app"])
    scene.tag("i-1", app="web")
    scene.tag("i-4", app="web")
    scene.tag("i-2", app="db")
    scene.api.instances["i-9"] = replace(scene.api.instances["i-4"], instance_id="i-9", name="other", status="Stopped")
    booked = scene.book(["i-1", "i-2", "i-3"])
    assert booked.taken == ["i-2"]
    assert booked.denied["i-1"].startswith("At most 1 of the 3 instances of app=web may be unavailable")
    assert "other is Stopped" in booked.denied["i-1"]
    assert booked.denied["i-3"] == "It has no tag app, by which max_unavailable counts: give it one."


def test_a_zone_of_the_region_is_listed_once() -> None:
    scene = Scene(hosts="1", of="region", wait_s=0)
    scene.api = FakeApi.of(scene.clock, *IDS, *(f"i-more-{number}" for number in range(96)))
    scene.tag("i-more-7", **{(lease := Lease("theirs", START, START + 600)).key: lease.value})
    scene.api.instances["i-far"] = instance("i-far", zone_id="cn-test-b", status="Stopped")
    booked = scene.book(["i-1"])
    assert booked.taken == []
    assert booked.denied["i-1"].startswith(
        "At most 1 of the 100 instances of zone cn-test-a may be unavailable (max_unavailable): "
        "i-more-7 is leased by run theirs until"
    )
    assert scene.api.called("describe_instances") == [["i-1"], None]


def test_groups_by_tag_may_be_of_the_play() -> None:
    scene = Scene(hosts="1", by=["tag:app"], of="play")
    for key in IDS:
        scene.tag(key, app="web")
    scene.api.instances["i-9"] = instance("i-9", tags={"app": "web"}, status="Stopped")
    assert scene.book(["i-1"]).taken == ["i-1"]


def test_zones_are_counted_apart() -> None:
    scene = Scene(hosts="1", by=["zone", "tag:app"])
    for key, zone in zip(IDS, "aabb", strict=True):
        scene.tag(key, app="web")
        scene.api.instances[key] = replace(scene.api.instances[key], zone_id=zone)
    booked = scene.book(IDS)
    assert booked.taken == ["i-1", "i-3"]
    assert "zone a and app=web" in booked.denied["i-2"]


def test_without_the_permission_nothing_is_booked() -> None:
    scene = Scene()
    scene.api.refuse_tags = lambda: api_error("Forbidden.RAM", status=403)
    with pytest.raises(CloudError, match=r"Forbidden\.RAM"):
        scene.book(["i-1"])


def test_a_look_changes_nothing_and_waits_for_nobody() -> None:
    scene = Scene(hosts="1")
    assert scene.book(["i-1"], owner="theirs").taken == ["i-1"]
    scene.clock.sleeps.clear()
    booked = scene.booking(["i-2"]).look()
    assert (booked.taken, list(booked.denied)) == ([], ["i-2"])
    assert scene.clock.sleeps == []
    assert len(scene.api.called("tag_instances")) == 1


def test_few_calls_for_many_hosts() -> None:
    clock = FakeClock()
    ids = [f"i-{number}" for number in range(120)]
    api = FakeApi.of(clock, *ids)
    budget = Budget("100%", ("zone",), 0, 600, 1)
    booking = Booking(api, ids, budget=budget, owner="o", play=ids, failed=(), clock=clock, progress=Lines(clock))
    assert booking.book(Deadline(clock, 0)).taken == ids
    # Looked at twice, tagged once: 100, 50 and 50 ids a call.
    assert [len(api.called(name)) for name in ("describe_instances", "describe_cloud_assistant_status")] == [4, 6]
    assert [len(call) for call in api.called("tag_instances")] == [50, 50, 20]
