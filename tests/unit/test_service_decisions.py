# SPDX-License-Identifier: GPL-3.0-or-later
"""Which init system, what to do, and whether it has come true."""

from __future__ import annotations

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._service.ancestry import (
    Process,
    command_of,
    lineage,
)
from ansible_collections.cloudops.alibaba.plugins.module_utils._service.decide import (
    Plan,
    complaint,
    make_plan,
    predict,
    reached,
)
from ansible_collections.cloudops.alibaba.plugins.module_utils._service.host import Done
from ansible_collections.cloudops.alibaba.plugins.module_utils._service.shapes import Service, ServiceError, Wanted
from ansible_collections.cloudops.alibaba.plugins.module_utils._service.systemd import unit
from ansible_collections.cloudops.alibaba.plugins.module_utils._service.version import agent_version, version_in
from ansible_collections.cloudops.alibaba.plugins.module_utils._service.which import (
    Evidence,
    init_system,
    look_for_evidence,
    word_in,
)
from ansible_collections.cloudops.alibaba.tests.unit.service_host import ToldHost


def service(state: str = "started", *, enabled: bool = True, pid: int | None = 7) -> Service:
    return Service("aliyun.service", state, enabled, state, pid)


@pytest.mark.parametrize(
    ("init", "name"),
    [
        # What `strings /sbin/init | grep …` finds, in the order of Alibaba's page.
        (b"\0/lib/systemd/system\0upstart\0", "systemd"),
        (b"\x7fELF\0/com/ubuntu/Upstart\0upstart\0", "upstart"),
        (b"\0sysvinit-2.88dsf\0", "sysvinit"),
        (b"\0busybox\0", None),
        (b"", None),
    ],
)
def test_the_words_in_the_init_program(init: bytes, name: str | None) -> None:
    assert word_in(init) == name
    assert init_system(Evidence(in_init=name)) == name


@pytest.mark.parametrize(
    ("evidence", "name"),
    [
        (Evidence(systemd_runs=True, upstart_runs=True, in_init="upstart", scripts=True), "systemd"),
        (Evidence(upstart_runs=True, in_init="sysvinit"), "upstart"),
        (Evidence(in_init="systemd", scripts=True), "sysvinit"),
        (Evidence(scripts=True), "sysvinit"),
        (Evidence(), None),
    ],
)
def test_what_runs_goes_before_what_is_installed(evidence: Evidence, name: str | None) -> None:
    assert init_system(evidence) == name


def test_the_evidence_of_a_host() -> None:
    assert look_for_evidence(ToldHost(), ("aliyun-service",)) == Evidence()
    assert look_for_evidence(ToldHost({"/run/systemd/system/x": ""}), ()).systemd_runs
    assert look_for_evidence(ToldHost({"/proc/1/comm": "systemd\n"}), ()).systemd_runs
    assert look_for_evidence(ToldHost({"/etc/init.d/aliyun": ""}), ("aliyun-service", "aliyun")).scripts
    assert look_for_evidence(ToldHost({"/sbin/init": "upstart"}), ()).in_init == "upstart"
    told = ToldHost({"/sbin/initctl": ""}, {"/sbin/initctl --version": Done(0, "initctl (upstart 1.12.1)\n")})
    assert look_for_evidence(told, ()).upstart_runs


@pytest.mark.parametrize(
    ("wanted", "now", "plan"),
    [
        (Wanted(), service(), Plan()),
        (Wanted("started"), service(), Plan()),
        (Wanted("started"), service("stopped"), Plan(verb="start")),
        (Wanted("started"), service("failed"), Plan(verb="start")),
        (Wanted("started"), service("starting"), Plan(verb="start")),
        (Wanted("stopped"), service("stopped"), Plan()),
        (Wanted("stopped"), service("failed"), Plan(verb="stop")),
        (Wanted("restarted"), service(), Plan(verb="restart")),
        (Wanted("restarted"), service("stopped"), Plan(verb="start")),
        (Wanted(enabled=True), service(), Plan()),
        (Wanted(enabled=False), service(), Plan(enable=False)),
        (Wanted("started", True), service("stopped", enabled=False), Plan(enable=True, verb="start")),
    ],
)
def test_only_what_is_not_so_yet_is_done(wanted: Wanted, now: Service, plan: Plan) -> None:
    assert make_plan(wanted, now, in_command=False) == plan
    assert plan.changes is (plan != Plan())


def test_in_a_command_a_restart_is_detached_and_a_stop_refused() -> None:
    assert make_plan(Wanted("restarted"), service(), in_command=True) == Plan(verb="restart", detached=True)
    assert make_plan(Wanted("restarted"), service("stopped"), in_command=True) == Plan(verb="start")
    assert make_plan(Wanted("started"), service("stopped"), in_command=True) == Plan(verb="start")
    assert make_plan(Wanted("stopped"), service("stopped"), in_command=True) == Plan()
    assert make_plan(Wanted("stopped", force=True), service(), in_command=True) == Plan(verb="stop")
    with pytest.raises(ServiceError, match="Refused"):
        make_plan(Wanted("stopped"), service(), in_command=True)


def test_what_would_be() -> None:
    stopped = service("stopped", enabled=False)
    assert predict(Plan(), stopped) == stopped
    assert predict(Plan(verb="start"), stopped).state == "started"
    assert predict(Plan(verb="restart"), stopped).state == "started"
    assert predict(Plan(verb="stop"), service()).state == "stopped"
    assert predict(Plan(enable=True), stopped).enabled


@pytest.mark.parametrize(
    ("verb", "now", "there"),
    [
        ("start", service(), True),
        ("start", service("starting"), False),
        ("stop", service("stopped"), True),
        ("stop", service("failed"), False),
        ("restart", service(pid=8), True),
        ("restart", service(pid=7), False),
        ("restart", service(pid=None), True),
        ("restart", service("stopped", pid=None), False),
    ],
)
def test_whether_it_has_come_true(verb: str, now: Service, there: bool) -> None:
    assert reached(verb, service(pid=7), now) is there


def test_a_complaint_tells_the_command_its_status_and_its_words() -> None:
    assert complaint(["a", "b"], Done(0, ""), "it is not") == "a b exited with status 0, and it is not."
    assert complaint(["a"], Done(3, "0\n1\n 2\nWhy. \n"), "no") == "a exited with status 3, and no. It said: 1 2 Why."


@pytest.mark.parametrize(
    ("active", "sub", "state"),
    [
        ("active", "running", "started"),
        ("reloading", "reload", "started"),
        ("inactive", "dead", "stopped"),
        ("failed", "failed", "stopped"),
        ("activating", "start", "starting"),
        ("activating", "auto-restart", "failed"),
        ("deactivating", "stop-sigterm", "stopping"),
    ],
)
def test_a_unit_of_systemd(active: str, sub: str, state: str) -> None:
    shown = f"MainPID=0\nLoadState=loaded\nActiveState={active}\nSubState={sub}\n"
    found = unit("aliyun.service", shown, "disabled\n")
    assert found == Service("aliyun.service", state, False, f"{active} ({sub})")


def test_more_of_a_unit() -> None:
    shown = (
        "MainPID=7\nExecStart={ path=/a/aliyun-service ; argv[]=/a/aliyun-service ; ignore_errors=no }\n"
        "LoadState=loaded\nActiveState=active\nSubState=running\n"
    )
    redirected = "aliyun.service is not a native service, redirecting to systemd-sysv-install.\nenabled\n"
    found = unit("aliyun.service", shown, redirected)
    assert found == Service("aliyun.service", "started", True, "active (running)", 7, "/a/aliyun-service")
    assert unit("aliyun.service", "LoadState=not-found\nActiveState=inactive\n", "") is None
    assert unit("aliyun.service", "Running in chroot, ignoring request: show\n", "") is None
    for word in ("enabled-runtime", "static", "masked", ""):
        assert unit("aliyun.service", shown, word).enabled is False  # type: ignore[union-attr]


def test_the_processes_that_we_come_from() -> None:
    host = ToldHost(
        {
            "/proc/100/stat": "100 (python3) S 90 100",
            "/proc/90/stat": "90 (a) (b) S 80 90",
            "/proc/80/stat": "80 (aliyun-service) S 1 80",
            "/proc/1/stat": "1 (init) S 0 1",
        }
    )
    processes = lineage(host)
    assert [process.name for process in processes] == ["python3", "a) (b", "aliyun-service", "init"]
    assert command_of(processes, 80) == command_of(processes, None) == 90
    # An agent by another name, which its service knows.
    assert command_of([Process(100, "python3"), Process(81, "agent")], 81) == 100
    assert command_of([Process(100, "aliyun-service"), Process(1, "init")], None) is None
    assert command_of(lineage(ToldHost()), None) is None


def test_the_version_is_that_of_the_agent_that_runs() -> None:
    old, new = (f"/usr/local/share/aliyun-assist/2.2.3.{build}/aliyun-service" for build in (99, 317))
    programs = {f"{old} --version": Done(0, "2.2.3.99\n"), f"{new} --version": Done(0, "2.2.3.317\n")}
    host = ToldHost({old: "", new: ""}, programs)
    assert agent_version(host, None) == "2.2.3.317"
    assert agent_version(host, service("stopped", pid=None)) == "2.2.3.317"
    assert agent_version(host, Service("aliyun.service", "stopped", True, "", None, old)) == "2.2.3.99"
    host.links["/proc/7/exe"] = old
    assert agent_version(host, service()) == "2.2.3.99"
    host.programs[f"{old} --version"] = Done(1, "2.2.3.99\n")
    assert agent_version(host, service()) == "2.2.3.317"


def test_no_other_program_is_asked_for_a_version() -> None:
    host = ToldHost({"/bin/sh": ""})
    host.links["/proc/7/exe"] = "/bin/sh"
    assert agent_version(host, service()) is None
    assert host.ran == []
    assert version_in("Aliyun Assist\n2.2.3.578\n") == "2.2.3.578"
    assert version_in("usage: 1.2.3 things") is None
