# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading fleet files, and refusing what is wrong in them with one sentence."""

from pathlib import Path
from typing import Any

import pytest
from ecs_simulator.fleet import FleetError, load_fleet, parse_fleet
from hypothesis import given
from hypothesis import strategies as st

FLEET = """
seed: 1
account_id: "1000000000000001"
access_keys:
  - {id: demo, secret: demo-secret}
regions:
  cn-hangzhou:
    instances:
      - {name: "web-{n:02d}", count: 4, zone: cn-hangzhou-h, os: linux, tags: {app: web}, boot_s: 2,
         updates: [{name: kernel, from: 5.10.1, to: 5.10.2, restart: true}, {name: curl, from: "8.1", to: "8.2"}]}
      - {name: db-01, id: i-bp1fleetdb0000000001, zone: cn-hangzhou-i, os: linux,
         agent: {version: 2.2.3.250, state: stopped}}
      - {name: win-01, zone: cn-hangzhou-i, os: windows, machine: scripted}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "fleet.yml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_fleet_is_read(tmp_path: Path) -> None:
    fleet = load_fleet(write(tmp_path, FLEET))
    names = [spec.name for spec in fleet.instances]
    assert names == ["web-01", "web-02", "web-03", "web-04", "db-01", "win-01"]
    assert len({spec.id for spec in fleet.instances}) == 6
    web, db, win = fleet.instances[0], fleet.instances[4], fleet.instances[5]
    assert web.tags == {"app": "web"}
    assert web.updates is not None
    assert [update.restart for update in web.updates] == [True, False]
    assert (db.id, db.agent.version, db.agent.running) == ("i-bp1fleetdb0000000001", "2.2.3.250", False)
    assert (win.os, win.machine) == ("windows", "scripted")


def test_ids_follow_the_seed(tmp_path: Path) -> None:
    first = load_fleet(write(tmp_path, FLEET))
    again = load_fleet(write(tmp_path, FLEET))
    other = load_fleet(write(tmp_path, FLEET.replace("seed: 1", "seed: 2")))
    assert first == again
    assert first.instances[0].id != other.instances[0].id


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("seed: 1", "sed: 1", "the fleet.sed: is not a known key; did you mean 'seed'?"),
        ("tags: {app", "tgas: {app", "instances[0].tgas: is not a known key; did you mean 'tags'?"),
        ("restart: true", "reboot: true", "updates[0].reboot: is not a known key; did you mean 'restart'?"),
        ("os: linux, tags", "os: beos, tags", "instances[0].os: must be one of linux, windows, not 'beos'"),
        ("count: 4", "count: 0", "instances[0].count: must be at least 1"),
        ('from: "8.1"', "from: 8.10", "updates[1].from: 8.1 must be text: put it in quotes"),
        ("i-bp1fleetdb0000000001", "db", "'db' does not look like an instance id"),
        ("name: db-01", "name: web-01", "2 instances have the id"),
        ("machine: scripted", "machine: namespace", "a Windows instance can only be scripted"),
        ("seed: 1", "seed: [", "is not YAML"),
        ("access_keys:\n  - {id: demo, secret: demo-secret}", "", "at least one key is needed"),
        ("seed: 1", "seed: 1\nfaults: [{on: {action: RunCommand}, fault: throttle}]", "has no faults yet"),
        ("web-{n:02d}", "web-{m}", "may only hold {n} or {n:02d}"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in FLEET
    text = FLEET.replace(old, new, 1)
    if new == "name: web-01":
        text = text.replace("id: i-bp1fleetdb0000000001, ", "")
    with pytest.raises(FleetError) as caught:
        load_fleet(write(tmp_path, text))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
KEYS = st.sampled_from(["seed", "account_id", "access_keys", "regions", "settings", "faults", "other"])


@given(st.dictionaries(KEYS, JSON) | JSON)
def test_nonsense_never_ends_in_a_traceback(document: Any) -> None:
    try:
        parse_fleet(document)
    except FleetError as error:
        assert str(error)
