# SPDX-License-Identifier: GPL-3.0-or-later
"""cloud_assistant_service on a host with a real systemd; systemctl itself is the witness."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from service_hosts.hosts import ServiceHost, boot_systemd, through_agent, unavailable
from service_hosts.rounds import MODULE, ROUNDS, play_rounds

pytestmark = [pytest.mark.once, pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "")]
SHOW = ["systemctl", "show", "aliyun.service", "--property=ActiveState,UnitFileState,MainPID,InvocationID"]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceHost]:
    host = boot_systemd(tmp_path_factory.mktemp("systemd"))
    yield host
    host.stop()


def properties(output: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", output, re.MULTILINE))


def shown(host: ServiceHost) -> dict[str, str]:
    return properties(host.run(*SHOW).stdout)


def test_everything_twice_in_check_mode_and_for_real(host: ServiceHost) -> None:
    host.run("systemctl", "disable", "aliyun.service")
    host.run("systemctl", "start", "aliyun.service")
    said = play_rounds(host.controller, " ".join(SHOW), "systemd", "aliyun.service", checks=2)
    for (arguments, _changes, runs, enabled), states in zip(ROUNDS, said):
        once, twice = map(properties, states[-2:])
        assert (once["ActiveState"], once["UnitFileState"]) == (
            "active" if runs else "inactive",
            "enabled" if enabled else "disabled",
        ), arguments
        # Only a restart makes another process the second time.
        restarted = arguments.get("state") == "restarted"
        assert (once["InvocationID"], once["MainPID"]) != (twice["InvocationID"], twice["MainPID"]) or not restarted
        assert once == twice or restarted, arguments


def test_a_restart_in_a_command_of_the_agent_waits_for_its_end(host: ServiceHost) -> None:
    host.run("systemctl", "start", "aliyun.service")
    before = shown(host)
    outcome = through_agent(host).play(
        [{MODULE: {"state": "restarted"}, "diff": True}, {"ansible.builtin.raw": " ".join(SHOW)}]
    )
    restart, later = outcome.results
    assert (restart["changed"], restart["in_command"], restart["detached"]) == (True, True, True), outcome.output
    assert "restarted once the command" in restart["msg"]
    assert properties(later["stdout"]) == before
    host.wait_until(lambda: shown(host)["InvocationID"] != before["InvocationID"])
    host.wait_until(lambda: shown(host)["ActiveState"] == "active")


def test_a_stop_in_a_command_of_the_agent_is_refused_unless_forced(host: ServiceHost) -> None:
    host.run("systemctl", "start", "aliyun.service")
    outcome = through_agent(host).play([{MODULE: {"state": "stopped"}}])
    assert outcome.result["failed"] and outcome.result["msg"].startswith("Refused: "), outcome.output
    assert shown(host)["ActiveState"] == "active"
    outcome = through_agent(host).play([{MODULE: {"state": "stopped", "force": True}}])
    assert "The agent has ended: no result." in outcome.output
    host.wait_until(lambda: shown(host)["ActiveState"] == "inactive")


def test_an_agent_that_ends_at_once_is_a_failure(host: ServiceHost) -> None:
    host.run("systemctl", "stop", "aliyun.service")
    (host.tree / "etc" / "agent-ends").touch()
    outcome = host.controller.play([{MODULE: {"state": "started"}}, {MODULE: {"state": "stopped"}}])
    (host.tree / "etc" / "agent-ends").unlink()
    start, stop = outcome.results
    assert start["failed"] and start["changed"] and start["state"] == "failed"
    assert re.search(r"start aliyun.service exited with status 0, and .* is failed \(activating", start["msg"])
    # systemd would try again.
    assert stop["changed"] and stop["state"] == "stopped"
    assert shown(host)["ActiveState"] in ("inactive", "failed")


def test_what_systemd_refuses_is_told_in_its_words(host: ServiceHost) -> None:
    host.run("systemctl", "stop", "aliyun.service")
    drop_in = host.tree / "etc" / "systemd" / "system" / "aliyun.service.d" / "refuse.conf"
    drop_in.parent.mkdir()
    drop_in.write_text("[Unit]\nRefuseManualStart=yes\n")
    host.run("systemctl", "daemon-reload")
    outcome = host.controller.play([{MODULE: {"state": "started"}}])
    drop_in.unlink()
    host.run("systemctl", "daemon-reload")
    assert outcome.result["failed"] and outcome.result["state"] == "stopped"
    assert "Operation refused" in outcome.result["msg"], outcome.output


def test_the_other_name_and_none(host: ServiceHost) -> None:
    units = host.tree / "etc" / "systemd" / "system"
    host.run("systemctl", "disable", "--now", "aliyun.service")
    (units / "aliyun.service").rename(units / "aliyun-service.service")
    host.run("systemctl", "daemon-reload")
    found = host.controller.play([{MODULE: {"state": "started", "enabled": True}}]).result
    assert (found["service"], found["state"], found["enabled"]) == ("aliyun-service.service", "started", True)
    host.run("systemctl", "disable", "--now", "aliyun-service.service")
    (units / "aliyun-service.service").rename(units / "gone")
    host.run("systemctl", "daemon-reload")
    outcome = host.controller.play([{MODULE: {}}, {MODULE: {"state": "started"}}])
    (units / "gone").rename(units / "aliyun.service")
    host.run("systemctl", "daemon-reload")
    query, start = outcome.results
    assert (query["changed"], query["state"], query["service"], query["enabled"]) == (False, "absent", None, None)
    assert start["failed"] and "is not installed on this host" in start["msg"]
