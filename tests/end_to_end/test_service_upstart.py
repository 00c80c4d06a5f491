# SPDX-License-Identifier: GPL-3.0-or-later
"""cloud_assistant_service with upstart, for which a stand-in of initctl speaks: the real one is gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from service_hosts.hosts import ServiceHost, boot_upstart, unavailable
from service_hosts.rounds import MODULE, ROUNDS, play_rounds

pytestmark = [pytest.mark.once, pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "")]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceHost]:
    host = boot_upstart(tmp_path_factory.mktemp("upstart"))
    yield host
    host.stop()


def test_everything_in_check_mode_and_twice_for_real_with_a_stand_in_of_initctl(host: ServiceHost) -> None:
    (host.tree / "etc" / "init" / "aliyun-service.override").write_text("manual\n")
    assert "start/running" in host.run("/sbin/initctl", "start", "aliyun-service").stdout
    witness = "/sbin/initctl status aliyun-service; cat /etc/init/aliyun-service.override"
    said = play_rounds(host.controller, witness, "upstart", "aliyun-service")
    for (arguments, _changes, runs, enabled), states in zip(ROUNDS, said):
        assert ("start/running" if runs else "stop/waiting") in states[-2], arguments
        assert ("manual" in states[-2]) is not enabled, arguments
        assert (states[-2] == states[-1]) is (arguments.get("state") != "restarted"), arguments


def test_a_restart_of_a_job_that_does_not_run_starts_it_with_a_stand_in_of_initctl(host: ServiceHost) -> None:
    host.run("/sbin/initctl", "stop", "aliyun-service")
    outcome = host.controller.play([{MODULE: {"state": "restarted"}}])
    assert (outcome.result["changed"], outcome.result["state"]) == (True, "started"), outcome.output
