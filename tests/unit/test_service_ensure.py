# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking, acting and looking again, on hosts that are only told of; what commands do there is up to each test."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._service.ensure import ensure_service
from ansible_collections.cloudops.alibaba.plugins.module_utils._service.host import Done
from ansible_collections.cloudops.alibaba.plugins.module_utils._service.shapes import Wanted
from ansible_collections.cloudops.alibaba.tests.unit.fakes import FakeClock
from ansible_collections.cloudops.alibaba.tests.unit.service_host import ToldHost

UNIT = "aliyun.service"
ACTIVE, DEAD = ("active", "running"), ("inactive", "dead")
CRASHED, GOING = ("activating", "auto-restart"), ("deactivating", "stop-sigterm")
SHOW = "--property=LoadState,ActiveState,SubState,MainPID,ExecStart"


class SystemdHost(ToldHost):
    """A host with systemd and one unit; ``effects`` are the states that a verb brings, ``statuses`` how it exits."""

    def __init__(self, now: tuple[str, str] = ACTIVE, *, name: str = UNIT) -> None:
        super().__init__({"/run/systemd/system/x": ""})
        self.now, self.pid_of_service, self.enabled = [now], 7, False
        self.effects: dict[str, list[tuple[str, str]]] = {"start": [ACTIVE], "stop": [DEAD], "restart": [ACTIVE]}
        self.statuses: dict[str, int] = {}
        self.new_process = True
        for other in ("aliyun.service", "aliyun-service.service"):
            self.programs[f"systemctl show {other} {SHOW}"] = Done(0, "LoadState=not-found\nActiveState=inactive\n")
            self.programs[f"systemctl is-enabled {other}"] = Done(1, "")
        self.programs[f"systemctl show {name} {SHOW}"] = self._show
        self.programs[f"systemctl is-enabled {name}"] = lambda: Done(0, "enabled" if self.enabled else "disabled")
        for verb in self.effects:
            self.programs[f"systemctl {verb} {name}"] = lambda verb=verb: self._act(verb)
        self.programs[f"systemctl enable {name}"] = lambda: self._enable(True)
        self.programs[f"systemctl disable {name}"] = lambda: self._enable(False)

    @property
    def acted(self) -> list[str]:
        return [line for line in self.ran if line.split()[1] not in ("show", "is-enabled")]

    def _show(self) -> Done:
        active, sub = self.now[0]
        del self.now[: len(self.now) > 1]
        pid = self.pid_of_service if active == "active" else 0
        return Done(0, f"LoadState=loaded\nActiveState={active}\nSubState={sub}\nMainPID={pid}\n")

    def _act(self, verb: str) -> Done:
        self.now = list(self.effects[verb])
        if verb != "stop" and self.new_process:
            self.pid_of_service += 1
        return Done(self.statuses.get(verb, 0), "It said something.\n")

    def _enable(self, enabled: bool) -> Done:
        if "enable" not in self.statuses:
            self.enabled = enabled
        return Done(0, "")


def ensure(host: ToldHost, *wanted: Any, dry: bool = False, timeout_s: float = 60, **more: Any) -> dict[str, Any]:
    return ensure_service(host, FakeClock(), Wanted(*wanted, **more), timeout_s=timeout_s, dry=dry)


def test_a_query_only_looks() -> None:
    host = SystemdHost()
    assert ensure(host) == {
        "changed": False,
        "init_system": "systemd",
        "service": UNIT,
        "state": "started",
        "status": "active (running)",
        "enabled": False,
        "agent_version": None,
        "in_command": False,
        "detached": False,
    }
    assert host.acted == []


@pytest.mark.parametrize("dry", [True, False])
def test_what_is_not_so_is_done_and_what_would_be_is_told(dry: bool) -> None:
    host = SystemdHost(DEAD)
    result = ensure(host, "started", True, dry=dry)
    assert (result["changed"], result["state"], result["enabled"]) == (True, "started", True)
    assert result["diff"] == {
        "before": {"state": "stopped", "enabled": False},
        "after": {"state": "started", "enabled": True},
    }
    assert host.acted == ([] if dry else [f"systemctl enable {UNIT}", f"systemctl start {UNIT}"])


def test_what_is_so_already_is_left_alone() -> None:
    host = SystemdHost()
    result = ensure(host, "started", False)
    assert (result["changed"], host.acted) == (False, [])
    assert result["diff"]["before"] == result["diff"]["after"]


def test_a_restart_is_one_each_time() -> None:
    host = SystemdHost()
    for _time in range(2):
        result = ensure(host, "restarted")
        assert (result["changed"], result["state"]) == (True, "started")
        assert result["diff"]["after"]["state"] == "restarted"
    assert host.acted == [f"systemctl restart {UNIT}"] * 2


def test_what_takes_its_time_is_waited_for() -> None:
    host = SystemdHost()
    host.effects["stop"] = [*[GOING] * 9, DEAD]
    assert ensure(host, "stopped")["state"] == "stopped"


@pytest.mark.parametrize(
    ("wanted", "now", "effects", "status", "words"),
    [
        ("stopped", ACTIVE, [ACTIVE], 0, "exited with status 0, and aliyun.service is started (active (running))"),
        ("started", DEAD, [DEAD], 4, "exited with status 4, and aliyun.service is stopped (inactive (dead))"),
        ("started", DEAD, [CRASHED], 0, "is failed (activating (auto-restart))"),
        ("started", DEAD, [ACTIVE, CRASHED], 0, "it has ended as soon as it had started"),
        ("stopped", ACTIVE, [GOING], 0, "is stopping (deactivating (stop-sigterm))"),
    ],
)
def test_a_command_without_its_effect_is_a_failure(
    wanted: str, now: tuple[str, str], effects: list[tuple[str, str]], status: int, words: str
) -> None:
    host = SystemdHost(now)
    verb = {"started": "start", "stopped": "stop"}[wanted]
    host.effects[verb], host.statuses[verb] = effects, status
    result = ensure(host, wanted)
    assert result["failed"] and result["changed"]
    assert words in result["msg"] and "It said something." in result["msg"]


def test_a_restart_that_leaves_the_process_is_a_failure() -> None:
    host = SystemdHost()
    host.new_process = False
    result = ensure(host, "restarted")
    assert result["failed"] and "still the same process" in result["msg"]


def test_what_is_done_all_the_same_is_no_failure() -> None:
    host = SystemdHost(DEAD)
    host.statuses["start"] = 1
    assert ensure(host, "started")["state"] == "started"


def test_enabling_without_effect_is_a_failure() -> None:
    host = SystemdHost()
    host.statuses["enable"] = 0
    result = ensure(host, None, True)
    assert result["failed"] and result["msg"].startswith("systemctl enable aliyun.service exited with status 0, and")
    assert "does not start with the host" in result["msg"]
    host = SystemdHost()
    host.enabled, host.statuses["enable"] = True, 0
    assert "aliyun.service does start with the host" in ensure(host, None, False)["msg"]


def test_a_service_that_vanishes() -> None:
    host = SystemdHost()
    host.programs[f"systemctl stop {UNIT}"] = lambda: host.programs.pop(f"systemctl show {UNIT} {SHOW}") and Done(0, "")
    result = ensure(host, "stopped")
    assert result["failed"] and "systemd does not tell" in result["msg"]
    host = SystemdHost()
    gone = {f"systemctl show {UNIT} {SHOW}": Done(0, "LoadState=not-found\n")}
    host.programs[f"systemctl stop {UNIT}"] = lambda: host.programs.update(gone) or Done(0, "")
    assert ensure(host, "stopped")["msg"] == "aliyun.service was there and is gone."


def test_the_other_name_and_of_two_the_one_that_runs() -> None:
    assert ensure(SystemdHost(name="aliyun-service.service"))["service"] == "aliyun-service.service"
    both = SystemdHost(name="aliyun-service.service")
    both.programs[f"systemctl show aliyun.service {SHOW}"] = Done(
        0, "LoadState=loaded\nActiveState=failed\nSubState=failed\n"
    )
    assert ensure(both)["service"] == "aliyun-service.service"
    both.now = [DEAD]
    assert ensure(both)["service"] == "aliyun.service"


def test_a_host_without_the_agent_or_without_an_init_system() -> None:
    bare = ToldHost()
    result = ensure(bare)
    assert (result["init_system"], result["state"], result["service"]) == (None, "absent", None)
    assert not result["changed"]
    assert "Nothing tells" in ensure(bare, "started")["msg"]
    without = SystemdHost(name="other")
    assert ensure(without)["state"] == "absent"
    result = ensure(without, None, True)
    assert result["failed"] and "systemd has neither aliyun.service nor aliyun-service.service" in result["msg"]


def in_command(host: SystemdHost) -> SystemdHost:
    """We were started by a shell that the service's process has started."""
    host.files["/proc/100/stat"] = "100 (python3) S 50 1"
    host.files["/proc/50/stat"] = "50 (sh) S 7 1"
    host.files["/proc/7/stat"] = "7 (x) S 1 1"
    return host


@pytest.mark.parametrize("dry", [True, False])
def test_in_a_command_a_restart_comes_after_it(dry: bool) -> None:
    host = in_command(SystemdHost())
    result = ensure(host, "restarted", dry=dry)
    assert (result["changed"], result["in_command"], result["detached"]) == (True, True, True)
    assert "once the command that this task runs in has ended" in result["msg"]
    assert host.acted == []
    assert host.later == ([] if dry else [(50, 30, f"systemctl restart {UNIT}")])


def test_in_a_command_a_stop_is_refused_unless_forced() -> None:
    for dry in (True, False):
        host = in_command(SystemdHost())
        result = ensure(host, "stopped", dry=dry)
        assert result["failed"] and result["msg"].startswith("Refused: ") and not result["changed"]
        assert host.acted == []
    result = ensure(host, "stopped", force=True)
    assert (result["changed"], result["state"], host.acted) == (True, "stopped", [f"systemctl stop {UNIT}"])
