# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading fleet files, and refusing what is wrong in them with one sentence."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ecs_simulator.errors import FleetError
from ecs_simulator.fleet import load_fleet, parse_fleet
from ecs_simulator.fleet_callers import Throttle
from ecs_simulator.fleet_faults import After, Fault
from hypothesis import given
from hypothesis import strategies as st

FLEET = """
seed: 1
account_id: "1000000000000001"
access_keys:
  - {id: demo, secret: demo-secret, allow: ["ecs:Describe*"]}
roles: [{name: patcher}]
throttling: {RunCommand: {per_second: 5}}
regions:
  cn-hangzhou:
    instances:
      - {name: "web-{n:02d}", count: 4, zone: cn-hangzhou-h, os: linux, tags: {app: web}, boot_s: 2,
         updates: [{name: kernel, from: 5.10.1, to: 5.10.2, restart: true}, {name: curl, from: "8.1", to: "8.2"}]}
      - {name: db-01, id: i-bp1fleetdb0000000001, zone: cn-hangzhou-i, os: linux,
         agent: {version: 2.2.3.250, state: stopped}}
      - {name: win-01, zone: cn-hangzhou-i, os: windows, machine: scripted}
faults:
  - {on: {instance: web-03}, fault: agent_offline, after: command_start, times: 1, seconds: 3}
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
    assert [update.restart for update in web.updates] == [True, False]
    assert (db.id, db.agent.version, db.agent.running) == ("i-bp1fleetdb0000000001", "2.2.3.250", False)
    assert (win.os, win.machine) == ("windows", "scripted")
    assert [key.allow for key in fleet.access_keys] == [("ecs:Describe*",)]
    assert [role.allow for role in fleet.roles] == [("*",)]
    assert fleet.throttling == {"RunCommand": Throttle(per_second=5.0)}
    assert fleet.faults == (Fault(fleet.instances[2].id, "agent_offline", After("command_start"), 1, 3.0),)


def test_ids_follow_the_seed(tmp_path: Path) -> None:
    first = load_fleet(write(tmp_path, FLEET))
    again = load_fleet(write(tmp_path, FLEET))
    other = load_fleet(write(tmp_path, FLEET.replace("seed: 1", "seed: 2")))
    assert first == again
    assert first.instances[0].id != other.instances[0].id


REBOOT = "{type: SystemMaintenance.Reboot"
FIRST = "regions.cn-hangzhou.instances[0]"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("seed: 1", "sed: 1", "fleet.yml: sed is not a known key; did you mean 'seed'?"),
        ("tags: {app", "tgas: {app", f"fleet.yml: {FIRST}.tgas is not a known key; did you mean 'tags'?"),
        ("restart: true", "reboot: true", f"{FIRST}.updates[0].reboot is not a known key; did you mean 'restart'?"),
        ("os: linux, tags", "os: beos, tags", f"{FIRST}.os must be one of linux, windows, not 'beos'"),
        (
            "os: linux, tags",
            "status: Off, tags",
            f"{FIRST}.status must be one of Running, Stopped, and YAML reads it as true or false: put it in quotes",
        ),
        ("count: 4", "count: 0", f"{FIRST}.count must be at least 1"),
        ("count: 4", "count: many", f"{FIRST}.count must be a whole number, and is text"),
        ("count: 4", "count: 4, id: i-bp1fleetdb0000000002", f"{FIRST}.id names one instance: leave it out"),
        (
            'from: "8.1"',
            "from: 8.10",
            f"{FIRST}.updates[1].from must be text, and YAML reads it as a number: put it in",
        ),
        ('from: "8.1"', "from: 2026-01-01", f"{FIRST}.updates[1].from must be text, and YAML reads it as a date: put"),
        ('from: "8.1"', 'from: "8 1"', f"{FIRST}.updates[1].from must be a package name or version, not '8 1'"),
        ("name: curl", "name: kernel", f"{FIRST}.updates name kernel 2 times: a package has one update"),
        ("boot_s: 2", "dnf: false", f"{FIRST}.updates need the stand-in package manager: leave dnf out"),
        (
            "i-bp1fleetdb0000000001",
            "db",
            "instances[1].id must be i- and 8 to 30 lower case letters or digits, not 'db'",
        ),
        ("name: db-01", "name: web-01", "regions.cn-hangzhou holds 2 instances with the name 'web-01': names must dif"),
        (
            "name: win-01",
            "name: win-01, id: i-bp1fleetdb0000000001",
            "regions holds 2 instances with the id i-bp1fleetdb0000000001: ids must differ",
        ),
        ("web-{n:02d}", "web", f"{FIRST}.name must hold {{n}} or {{n:02d}}, which counts: 4 instances cannot share"),
        (
            "- {id: demo,",
            "- {id: demo, secret: x}\n  - {id: demo,",
            "access_keys holds 2 keys with the id 'demo': each must have its own",
        ),
        ("[{name: patcher}]", "[{name: a}, {name: a}]", "roles holds 2 roles with the name 'a': each must"),
        ("  cn-hangzhou:", '  "":', "fleet.yml: regions holds a region without a name"),
        (
            "machine: scripted",
            "machine: scripted}\n      - {name: web, machine: namespace, answers: [{output: x}]",
            "instances[3].answers are those of a scripted machine: on a namespace machine commands really run",
        ),
        ("machine: scripted", "machine: namespace", "instances[2].machine must be scripted for a Windows instance"),
        (FLEET, "- a list", "fleet.yml: the fleet file must be a mapping, and is a list"),
        (FLEET, "", "fleet.yml: the fleet file must be a mapping, and is empty"),
        (FLEET, "access_keys: [{id: demo, secret: demo-secret}]", "regions must hold at least one region"),
        ("seed: 1", "seed: [", "is not YAML"),
        (
            'access_keys:\n  - {id: demo, secret: demo-secret, allow: ["ecs:Describe*"]}',
            "",
            "access_keys must hold at least one key",
        ),
        ("ecs:Describe*", "Describe", "access_keys[0].allow must hold actions such as ecs:RunCommand, ecs:Describe*"),
        ("allow: [", "alow: [", "access_keys[0].alow is not a known key; did you mean 'allow'?"),
        ("{name: patcher}", "{name: a/b}", "roles[0].name must be 1 to 64 letters, digits, dots or hyphens, not 'a/b'"),
        ("per_second: 5", "per_secnd: 5", "throttling.RunCommand.per_secnd is not a known key; did you mean"),
        ("per_second: 5", "per_second: 0", "throttling.RunCommand needs per_second or api_per_second, above 0"),
        ("per_second: 5", "per_second: -1", "throttling.RunCommand.per_second must be above 0"),
        ("RunCommand: {", "Run*: {", "throttling.Run* must be the name of an action, or *"),
        ("agent_offline", "agent_offlin", "not 'agent_offlin'; did you mean 'agent_offline'?"),
        ("after: command_start", "after: comand_start", "not 'comand_start'; did you mean 'command_start'?"),
        ("after: command_start", "after: {sylog: x}", "faults[0].after.syslog is needed and missing"),
        ("after: command_start", "afer: command_start", "faults[0].afer is not a known key; did you mean 'after'?"),
        (
            "after: command_start, times: 1",
            "times: 2",
            "faults[0].times needs after: without it the fault comes once, at once",
        ),
        ("times: 1", "times: 0", "faults[0].times must be at least 1"),
        ("seconds: 3", "seconds: -1", "faults[0].seconds must be at least 0"),
        (
            "fault: agent_offline",
            "fault: power_loss",
            "faults[0].seconds goes with agent_killed, agent_offline, boot_slow, boot_twice, clock_skew, "
            "disk_full and heartbeat_slow, not with",
        ),
        (
            "agent_offline, after: command_start, times: 1, seconds: 3",
            "boot_slow",
            "faults[0].seconds is needed for boot",
        ),
        (
            "agent_offline, after: command_start, times: 1, seconds: 3",
            "heartbeat_slow, seconds: 0",
            "must be more than 0",
        ),
        ("{instance: web-03}", "{instance: web-3}", "is 'web-3', and no instance has that name or id; did you mean"),
        ("{instance: web-03}", "{instance: web-03, zone: x}", "faults[0].on.zone is not a known key"),
        ("{instance: web-03}", "web-03", "faults[0].on must be a mapping, and is text"),
        ("boot_s: 2", "events: [{type: Nap}]", f"{FIRST}.events[0].type must be one of SystemMaintenance.Reboot"),
        ("boot_s: 2", f"events: [{REBOOT}, status: Due}}]", "events[0].status must be one of Inquiring, Scheduled"),
        ("boot_s: 2", f"events: [{REBOOT}, in_s: -1}}]", f"{FIRST}.events[0].in_s must be at least 0"),
        ("boot_s: 2", f"events: [{REBOOT}, in_s: 1, not_before: x}}]", "in_s and not_before say the same thing"),
        ("boot_s: 2", f"events: [{REBOOT}, not_before: noon}}]", "not_before must be a time such as 2026-12-01T02:00"),
        ("boot_s: 2", f"events: [{REBOOT}, not_before: 7}}]", "not_before must be a time, and YAML reads it as a"),
        ("boot_s: 2", "lock: rusty", f"{FIRST}.lock must be one of none, security, financial, not 'rusty'"),
        ("count: 4", "id: mi-hz0testmanaged1", f"{FIRST}.id must be i- and 8 to 30 lower case letters or digits"),
        ("count: 4", "id: i-bp1testmanaged1, managed: true", f"{FIRST}.id must be mi- and 8 to 30 lower case"),
        ("count: 4", "managed: true, status: Stopped", f"{FIRST}.status is that of an ECS instance: a managed"),
        *(
            ("count: 4", f"managed: true, {key}: {value}", f"{FIRST}.{key} is that of an ECS instance: a managed")
            for key, value in {
                "deletion_protection": "true",
                "lock": "security",
                "events": f"[{REBOOT}}}]",
                "image_id": "x",
                "instance_type": "x",
                "vpc_id": "x",
            }.items()
        ),
        *(
            ("web-{n:02d}", f"web-{braces}", f"{FIRST}.name may only hold {{n}} or {{n:02d}}")
            for braces in ("{m}", "{n.__class__}", "{n!r}", "{}", "{", "}", "{n:999999999d}", "{n:{n}}")
        ),
        *(
            ("agent_offline, after: command_start, times: 1, seconds: 3", f"clock_skew, seconds: {seconds}", said)
            for seconds in ("1.0e+308", "-1000000001", ".nan")
            for said in ("faults[0].seconds must be from -1,000,000,000 to 1,000,000,000",)
        ),
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


def test_names_may_hold_braces_and_counted_ones_a_width(tmp_path: Path) -> None:
    text = FLEET.replace("web-{n:02d}", "{{a}}-{n:3d}").replace("{instance: web-03}", "{instance: db-01}")
    assert [spec.name for spec in load_fleet(write(tmp_path, text)).instances][:2] == ["{a}-  1", "{a}-  2"]


def test_a_clock_may_be_wrong_by_years(tmp_path: Path) -> None:
    text = FLEET.replace(
        "agent_offline, after: command_start, times: 1, seconds: 3", "clock_skew, seconds: -1000000000"
    )
    [fault] = load_fleet(write(tmp_path, text)).faults
    assert isinstance(fault, Fault)
    assert fault.seconds == -1_000_000_000


@pytest.mark.parametrize("when", ["2026-12-01T02:00:00Z", "'2026-12-01T02:00:00Z'", "2026-12-01 02:00:00"])
def test_a_time_may_be_quoted_or_not(tmp_path: Path, when: str) -> None:
    text = FLEET.replace("boot_s: 2", f"events: [{REBOOT}, not_before: {when}}}]")
    event = load_fleet(write(tmp_path, text)).instances[0].events[0]
    assert event.not_before == datetime(2026, 12, 1, 2, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("updates", ["", "updates: , ", "updates: [], "])
def test_a_machine_has_a_package_manager_unless_told_otherwise(tmp_path: Path, updates: str) -> None:
    text = "{access_keys: [{id: demo, secret: x}], regions: {here: {instances: [{%sname: a}, {name: b, dnf: false}]}}}"
    fleet = load_fleet(write(tmp_path, text % updates))
    assert [(spec.name, spec.dnf, spec.updates) for spec in fleet.instances] == [("a", True, ()), ("b", False, ())]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
KEYS = st.sampled_from(
    ["seed", "account_id", "access_keys", "roles", "throttling", "regions", "settings", "faults", "other"]
)


@given(st.dictionaries(KEYS, JSON) | JSON)
def test_nonsense_never_ends_in_a_traceback(document: Any) -> None:
    try:
        parse_fleet(document)
    except FleetError as error:
        assert str(error)
