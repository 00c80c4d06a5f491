# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches: like Ansible's own, and never too many of a group at once."""

from __future__ import annotations

from collections import Counter

import pytest
from ansible.utils.helpers import pct_to_int
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.plan_batches import plan_batches, share
from hypothesis import given
from hypothesis import strategies as st

sizes = st.lists(
    st.one_of(st.integers(1, 40), st.integers(1, 100).map(lambda percent: f"{percent}%")), min_size=1, max_size=4
)
zones = st.lists(st.sampled_from(["h", "i", "j", None]), max_size=60).map(
    lambda found: {f"web-{number:02d}": zone for number, zone in enumerate(found)}
)
limits = st.dictionaries(st.sampled_from(["h", "i", "j"]), st.integers(0, 5))


def test_six_hosts_by_default() -> None:
    hosts = dict.fromkeys("abcdef")
    assert plan_batches(hosts, [1, "25%", "100%"]) == [["a"], ["b"], ["c", "d", "e", "f"]]


def test_hosts_of_a_full_zone_wait_for_the_next_batch() -> None:
    hosts: dict[str, str | None] = {"a": "h", "b": "h", "c": "h", "d": "i", "e": "i", "f": None}
    assert plan_batches(hosts, [3], {"h": 1, "i": 1}) == [["a", "d", "f"], ["b", "e"], ["c"]]


def test_a_zone_that_may_have_nobody_away_still_comes_to_its_turn() -> None:
    assert plan_batches({"a": "h", "b": "h"}, ["100%"], {"h": 0}) == [["a"], ["b"]]


@pytest.mark.parametrize("percent", range(1, 101))
def test_a_share_is_ansibles(percent: int) -> None:
    for total in (1, 3, 7, 29, 100, 1000):
        assert share(f"{percent}%", total) == pct_to_int(f"{percent}%", total)


@given(zones, sizes)
def test_without_limits_batches_are_ansibles(hosts: dict[str, str | None], sizes: list[int | str]) -> None:
    """Its rule, from PlaybookExecutor: the last size holds on."""
    left, expected, sizes_left = list(hosts), [], list(sizes)
    while left:
        size = pct_to_int(sizes_left[0], len(hosts))
        expected.append(left[:size])
        left = left[size:]
        sizes_left = sizes_left[1:] or sizes_left
    assert plan_batches(hosts, sizes) == expected


@given(zones, sizes, limits)
def test_limits_hold_and_nobody_is_lost(
    hosts: dict[str, str | None], sizes: list[int | str], most: dict[str, int]
) -> None:
    batches = plan_batches(hosts, sizes, most)
    assert Counter(host for batch in batches for host in batch) == Counter(list(hosts))
    for number, batch in enumerate(batches):
        assert 0 < len(batch) <= share(sizes[min(number, len(sizes) - 1)], len(hosts))
        for zone, count in Counter(hosts[host] for host in batch).items():
            assert zone is None or count <= max(most.get(zone, len(batch)), 1)
    # Within a group the order stays.
    for zone in set(hosts.values()):
        planned = [host for batch in batches for host in batch if hosts[host] == zone]
        assert planned == [host for host in hosts if hosts[host] == zone]


@given(zones, sizes, limits)
def test_no_batch_leaves_room_that_a_later_host_could_have_had(
    hosts: dict[str, str | None], sizes: list[int | str], most: dict[str, int]
) -> None:
    batches = plan_batches(hosts, sizes, most)
    for number, batch in enumerate(batches):
        if len(batch) == share(sizes[min(number, len(sizes) - 1)], len(hosts)):
            continue
        count = Counter(hosts[host] for host in batch)
        for later in (host for batch in batches[number + 1 :] for host in batch):
            zone = hosts[later]
            assert zone is not None
            assert count[zone] >= max(most[zone], 1)
