# SPDX-License-Identifier: GPL-3.0-or-later
"""cloud_assistant_service with a real script of sysvinit, whose work start-stop-daemon and update-rc.d do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from service_hosts.hosts import ServiceHost, boot_sysvinit, unavailable
from service_hosts.rounds import MODULE, ROUNDS, play_rounds

pytestmark = [pytest.mark.once, pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "")]
SCRIPT = "/etc/init.d/aliyun-service"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceHost]:
    host = boot_sysvinit(tmp_path_factory.mktemp("sysvinit"))
    yield host
    host.stop()


def pid(host: ServiceHost) -> str:
    """The process of the agent, whatever the script says."""
    return host.run("pgrep", "-x", "aliyun-service").stdout.strip()


def test_everything_in_check_mode_and_twice_for_real(host: ServiceHost) -> None:
    host.run("update-rc.d", "aliyun-service", "defaults")
    host.run("update-rc.d", "aliyun-service", "disable")
    host.run(SCRIPT, "start")
    host.wait_until(lambda: pid(host))
    witness = "pgrep -x aliyun-service || true; ls /etc/rc2.d /etc/rc3.d /etc/rc5.d"
    said = play_rounds(host.controller, witness, "sysvinit", "aliyun-service")
    for (arguments, _changes, runs, enabled), states in zip(ROUNDS, said):
        once, twice = (state.split() for state in states[-2:])
        assert once[0].isdigit() is runs, arguments
        assert sum(word.startswith("S") for word in once) == (3 if enabled else 0), arguments
        assert (once == twice) is (arguments.get("state") != "restarted"), arguments


def test_a_script_that_exits_0_and_does_nothing_is_a_failure(host: ServiceHost) -> None:
    host.run(SCRIPT, "start")
    host.wait_until(lambda: pid(host))
    (host.tree / "etc" / "script-does-nothing").touch()
    outcome = host.controller.play([{MODULE: {"state": "stopped"}}, {MODULE: {"state": "restarted"}}])
    (host.tree / "etc" / "script-does-nothing").unlink()
    stop, restart = outcome.results
    assert stop["failed"] and "stop exited with status 0, and aliyun-service is started" in stop["msg"], outcome.output
    assert restart["failed"] and "still the same process" in restart["msg"], outcome.output


def test_without_links_it_does_not_start_with_the_host(host: ServiceHost) -> None:
    host.run("update-rc.d", "-f", "aliyun-service", "remove")
    outcome = host.controller.play([{MODULE: {}}, {MODULE: {"enabled": True}}, {MODULE: {"enabled": False}}])
    assert [result["enabled"] for result in outcome.results] == [False, True, False], outcome.output
