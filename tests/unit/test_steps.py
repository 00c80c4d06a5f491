# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps, run ids and the preflight: what is refused before anything is sent, and what is packed."""

from __future__ import annotations

import base64
import io
import random
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._cloud_assistant.command import Command
from ansible_collections.cloudops.alibaba.plugins.module_utils._instances.agent_version import agent_version
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.delivery import Courier, read_runner
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.health import Health, read_health
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.preflight import (
    check_token,
    check_unique,
    examine,
    new_run_id,
    settle_method,
    token_of,
)
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.steps import (
    Policy,
    Updates,
    check_run_id,
    needs_platform,
    read_steps,
    steps_for,
    work_of,
)
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import BadInput
from ansible_collections.cloudops.alibaba.tests.unit.fakes import START, FakeApi, FakeClock, agent, instance

FILES = Path(__file__).resolve().parents[2] / "roles" / "patch_hosts" / "files"


def step(**more: Any) -> dict[str, Any]:
    values = {"restart": "if_required", "timeout_s": 60, "attempts": 1, "rerun": False, "unless": None, "script": None}
    return values | more


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([step(name="x")], "neither a script nor the name of a built-in step"),
        ([step(name="a b", script="true")], "'a b'"),
        ([step(name="x" * 41, script="true")], "1 to 40"),
        ([step(name=".hidden", script="true")], "begin with a dot"),
        ([step(name="x", script="true"), step(name="x", script="false")], "Two steps have the name 'x'"),
        ([step(name="x", script="true", timeout_s=0)], "timeout_s of the step 'x'"),
        ([step(name="x", script="true", attempts=0)], "attempts of the step 'x'"),
        ([step(name=f"x{n}", script="true") for n in range(21)], "at most 20"),
        ([step(name="x", script="true", updates="all")], "updates of the step 'x' is for os_updates"),
        ([step(name="os_updates", script="true", include=["a"])], "include of the step 'os_updates' is for os_updates"),
        ([step(name="os_updates", include=["a"] * 101)], "include of the step 'os_updates' has 101 names"),
        *[
            ([step(name="os_updates", exclude=[bad])], f"exclude of the step 'os_updates' has {bad!r}")
            for bad in ("", "a b", "a;b", "$(a)", "-y", "--installroot=/", "a\n", "a,b", "a/b", "[a]", "a?", "x" * 101)
        ],
    ],
)
def test_bad_steps_are_refused(values: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_steps(values)
    assert words in str(caught.value)


def test_scripts_get_unix_lines_and_built_in_steps_may_run_again() -> None:
    script, builtin = read_steps([step(name="x", script="a\r\nb", unless="c"), step(name="os_updates")])
    assert (script.script, script.unless, script.rerun) == ("a\nb\n", "c\n", False)
    assert (builtin.builtin, builtin.script, builtin.rerun) == ("os_updates", "", True)
    assert (script.updates, builtin.updates) == (None, Updates("all", (), ()))


def test_what_os_updates_is_to_do_reaches_the_host() -> None:
    steps = read_steps([step(name="os_updates", updates="security", include=["kernel*"], exclude=["a", "libstdc++6"])])
    script = Courier(FILES).script(Policy("r", "never", 10, 3), steps, method="api", sent_at=0, not_after=1)
    lines = unpack(script)["steps/01/step"].decode().splitlines()
    assert lines[-3:] == ["updates=security", "include=kernel*", "exclude=a libstdc++6"]


def test_the_runner_is_sent_without_its_comments() -> None:
    lines = read_runner(FILES).splitlines()
    assert [line for line in lines if not line or line.lstrip().startswith("#")] == ["#!/bin/sh"]
    assert lines[-1] == 'main "$@"; exit $?'


@pytest.mark.parametrize("run_id", ["CHG-1234", "a", "x" * 64, "2026.11.22_a"])
def test_good_run_ids(run_id: str) -> None:
    assert check_run_id(run_id) == run_id


@pytest.mark.parametrize("run_id", ["", "x" * 65, "a b", "a/b", "..", ".", "ä", "a\n"])
def test_bad_run_ids(run_id: str) -> None:
    with pytest.raises(BadInput):
        check_run_id(run_id)


def test_made_run_ids_are_good_and_differ() -> None:
    clock = FakeClock()
    made = {check_run_id(new_run_id(clock)) for _number in range(20)}
    assert len(made) == 20


def test_the_token_belongs_to_a_run_and_its_instances() -> None:
    token = token_of("r", ["i-1", "i-2"])
    check_token(token, "r", ["i-2", "i-1"], ["i-1", "i-2"])
    check_token(token, "r", ["i-2", "i-1"], ["i-2"])  # one has left the batch
    two, three = ["i-1", "i-2"], ["i-1", "i-2", "i-3"]
    for run_id, examined, ids in (("s", two, two), ("r", two, three), ("r", three, two), ("r", ["i-1"], ["i-1"])):
        with pytest.raises(BadInput, match="has not been through its preflight"):
            check_token(token, run_id, examined, ids)


def test_two_hosts_are_not_one_instance() -> None:
    check_unique({"a": "i-1", "b": "i-2"})
    with pytest.raises(BadInput, match="The hosts a, b have the same instance id, i-1"):
        check_unique({"a": "i-1", "b": "i-1"})
    with pytest.raises(BadInput, match="The host b has no instance id"):
        check_unique({"a": "i-1", "b": ""})


@pytest.mark.parametrize(
    ("version", "method"),
    [("2.2.3.317", "exit_code"), ("2.2.4.1", "exit_code"), ("2.2.3.316", "api"), ("2.2.3.99", "api"), ("", "api")],
)
def test_auto_is_the_api_for_old_agents(version: str, method: str) -> None:
    assert settle_method("auto", agent("i", version=version)) == method
    assert settle_method("exit_code", agent("i", version=version)) == "exit_code"
    assert settle_method("auto", None) == "api"


@pytest.mark.parametrize(("version", "method"), [("2.1.3.317", "exit_code"), ("2.1.3.316", "api"), ("", "api")])
def test_agents_for_windows_have_numbers_of_their_own(version: str, method: str) -> None:
    assert settle_method("auto", agent("i", version=version), "windows") == method
    assert settle_method("auto", agent("i", version="2.1.3.317")) == "api"


def test_steps_are_for_the_hosts_that_they_say() -> None:
    steps = read_steps([step(name="a", script="a", platform="windows"), step(name="b", script="b", platform="linux")])
    both = read_steps([step(name="os_updates"), step(name="c", script="c"), step(name="os_updates2", script="x")])
    assert [one.name for one in steps_for("windows", [*steps, *both])] == ["a", "os_updates", "c", "os_updates2"]
    assert [one.name for one in steps_for("linux", [*steps, *both])] == ["b", "os_updates", "c", "os_updates2"]
    assert [needs_platform(one) for one in (*steps, *both)] == [False, False, False, True, True]
    (guarded,) = read_steps([step(name="os_updates", unless="true")])
    assert needs_platform(guarded)


def test_versions_are_numbers() -> None:
    assert agent_version("2.2.3.1065") > agent_version("2.2.3.317")
    assert agent_version("unknown") == ()


def test_the_preflight_says_who_is_unfit_and_why() -> None:
    api = FakeApi.of(FakeClock(), "i-1", "i-2", "i-3", "i-4", "i-6", "i-7")
    api.instances["i-2"] = instance("i-2", status="Stopped")
    for instance_id, build in (("i-6", "2.1.3.317"), ("i-7", "2.1.3.316")):
        api.instances[instance_id] = instance(instance_id, os_type="windows")
        api.agents[instance_id] = agent(instance_id, version=build)
    api.agents["i-3"] = agent("i-3", version="2.2.3.250")
    api.agents["i-4"] = agent("i-4", online=False)
    report = examine(api, ["i-1", "i-2", "i-3", "i-4", "i-5", "i-6", "i-7"], "exit_code", now=START)
    assert {key: (row["ok"], row["failure"]) for key, row in report.items()} == {
        "i-1": (True, None),
        "i-2": (False, "instance"),
        "i-3": (False, "agent"),
        "i-4": (False, "agent"),
        "i-5": (False, "instance"),
        "i-6": (True, None),
        "i-7": (False, "agent"),
    }
    assert [row["platform"] for row in report.values()] == ["linux"] * 4 + [None, "windows", "windows"]
    assert "2.1.3.316 cannot restart by exit code, 2.1.3.317 and later can" in report["i-7"]["error_info"]
    assert "2.2.3.250 cannot restart by exit code, 2.2.3.317 and later can" in report["i-3"]["error_info"]
    old = examine(api, ["i-3"], "auto", now=START)["i-3"]
    assert (old["ok"], old["restart_method"]) == (True, "api")


@pytest.mark.parametrize(
    ("status", "silent_s", "restarting"),
    [
        ("Running", 60, True),
        ("Running", 900, False),
        ("Running", None, False),
        ("Stopping", 60, True),
        ("Stopping", 900, False),
        ("Starting", None, True),
        ("Stopped", 60, False),
    ],
)
def test_the_preflight_tells_a_restart_from_a_missing_agent(
    status: str, silent_s: float | None, restarting: bool
) -> None:
    api = FakeApi.of(FakeClock(), "i-1")
    api.instances["i-1"] = instance("i-1", status=status)
    heartbeat = None if silent_s is None else START - silent_s
    api.agents["i-1"] = agent("i-1", online=False, last_heartbeat=heartbeat)
    row = examine(api, ["i-1"], "auto", now=START)["i-1"]
    assert row["failure"] == ("agent" if status == "Running" else "instance")
    assert row["error_info"].startswith("It may be restarting, for another run perhaps") is restarting


def unpack(script: str) -> dict[str, bytes]:
    payload = script.split("<<'PAYLOAD'", 1)[1].split("\n", 1)[1].split("\nPAYLOAD\n", 1)[0]
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(payload))) as archive:
        return {name: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]


def test_a_delivery_carries_the_runner_the_request_and_the_steps() -> None:
    steps = read_steps([step(name="os_updates"), step(name="x", script="echo {{ braces }}", unless="false")])
    policy = Policy("CHG-1", "if_required", settle_s=120, most_restarts=3)
    courier = Courier(FILES)
    script = courier.script(policy, steps, method="exit_code", sent_at=100, not_after=200)
    assert courier.script(policy, steps, method="exit_code", sent_at=100, not_after=200) == script
    files = unpack(script)
    assert files["runner.sh"].decode() == read_runner(FILES, without={"assess", "health", "same"})
    assert files["request"].decode().splitlines() == [
        "run_id=CHG-1",
        "mode=patch",
        f"work={work_of(policy, steps, 'exit_code')}",
        "restart=if_required",
        "method=exit_code",
        "event=no",
        "settle_s=120",
        "most_restarts=3",
        "sent_at=100",
        "not_after=200",
        "steps=2",
    ]
    assert files["steps/02/script"] == b"echo {{ braces }}\n"
    assert files["steps/02/unless"] == b"false\n"
    assert b"builtin=os_updates" in files["steps/01/step"]
    Command(script).check()


def health(**more: Any) -> dict[str, Any]:
    return {"timeout_s": 300, "pause_s": 10, "attempt_timeout_s": 60, "same": "off"} | more


def test_a_delivery_carries_what_the_host_must_show() -> None:
    assert read_health(None, "") == Health()
    for empty in ("", " \n"):
        with pytest.raises(BadInput, match="has nothing to look at"):
            read_health(health(), empty)
    policies = [
        Policy("r", "never", 10, 3, health=read_health(*value))
        for value in ((None, ""), (health(same="warn"), ""), (health(timeout_s=9), "curl -f localhost\n"))
    ]
    nothing, same, script = (
        unpack(Courier(FILES).script(policy, [], method="api", sent_at=0, not_after=1)) for policy in policies
    )
    assert nothing["request"].decode().splitlines()[-1] == "steps=0"
    assert same["request"].decode().splitlines()[-4:] == [
        "same=warn",
        "health_timeout_s=300",
        "health_pause_s=10",
        "health_attempt_timeout_s=60",
    ]
    assert "health_timeout_s=9" in script["request"].decode().splitlines()
    assert script["health"] == b"curl -f localhost\n"
    assert "health" not in nothing.keys() | same.keys()
    # An answer to one of them is none to the others.
    assert len({work_of(policy, [], "api") for policy in policies}) == 3


@pytest.mark.parametrize("what", ["timeout_s", "pause_s", "attempt_timeout_s"])
def test_times_of_health_are_positive(what: str) -> None:
    with pytest.raises(BadInput, match=rf"{what} of health \(patch_hosts_health\) is 0, and must be at least 1"):
        read_health(health(**{what: 0}), "true")


def test_a_delivery_that_is_too_long_is_refused() -> None:
    noise = random.Random(1).randbytes(20_000).hex()
    steps = read_steps([step(name="x", script=f"# {noise}")])
    script = Courier(FILES).script(Policy("r", "never", 10, 3), steps, method="api", sent_at=0, not_after=1)
    with pytest.raises(BadInput, match="The script is too long"):
        Command(script).check()


def test_a_missing_runner_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot read the step runner"):
        Courier(tmp_path)
