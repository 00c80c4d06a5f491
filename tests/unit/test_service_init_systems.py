# SPDX-License-Identifier: GPL-3.0-or-later
"""What upstart and scripts say, and how a service comes to start with the host there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._service.host import Done
from ansible_collections.cloudops.alibaba.plugins.module_utils._service.shapes import Service, ServiceError
from ansible_collections.cloudops.alibaba.plugins.module_utils._service.systemd import Systemd
from ansible_collections.cloudops.alibaba.plugins.module_utils._service.sysvinit import Sysvinit, state_in
from ansible_collections.cloudops.alibaba.plugins.module_utils._service.upstart import Upstart, starts_by_itself
from ansible_collections.cloudops.alibaba.tests.unit.service_host import ToldHost

NAME = "aliyun-service"
CONF, OVERRIDE = f"/etc/init/{NAME}.conf", f"/etc/init/{NAME}.override"
STATUS = f"/sbin/initctl status {NAME}"
SCRIPT = f"/etc/init.d/{NAME}"


@pytest.mark.parametrize(
    ("says", "state", "pid"),
    [
        ("start/running, process 812", "started", 812),
        ("start/running", "started", None),
        ("stop/waiting", "stopped", None),
        ("start/post-stop, process 9", "starting", 9),
        ("stop/killed, process 9", "stopping", 9),
    ],
)
def test_a_job_of_upstart(says: str, state: str, pid: int | None) -> None:
    host = ToldHost({CONF: "start on filesystem\n"}, {STATUS: Done(0, f"{NAME} {says}\n")})
    assert Upstart().look(host, NAME) == Service(NAME, state, True, says.partition(",")[0], pid)


def test_no_job_and_no_upstart() -> None:
    unknown = ToldHost({}, {STATUS: Done(1, f"initctl: Unknown job: {NAME}\n")})
    assert Upstart().look(unknown, NAME) is None
    silent = ToldHost({}, {STATUS: Done(1, "initctl: Unable to connect to Upstart: refused\n")})
    with pytest.raises(ServiceError, match="Unable to connect"):
        Upstart().look(silent, NAME)


@pytest.mark.parametrize(
    ("stanzas", "starts"),
    [
        ("start on runlevel [2345]\nexec x\n", True),
        ("# start on boot\nexec x\n", False),
        ("start on filesystem\nmanual\n", False),
        ("manual\n  start on filesystem\n", True),
        ("", False),
    ],
)
def test_whether_a_job_starts_with_the_host(stanzas: str, starts: bool) -> None:
    assert starts_by_itself(stanzas) is starts


def test_an_override_says_that_a_job_does_not_start_with_the_host() -> None:
    # Neither file ends with its last line's end.
    host = ToldHost({CONF: "start on filesystem", OVERRIDE: "nice 5"}, {STATUS: Done(0, f"{NAME} stop/waiting\n")})

    def enabled() -> bool:
        found = Upstart().look(host, NAME)
        assert found
        return found.enabled

    assert enabled()
    Upstart().enable(host, NAME, False)
    assert not enabled()
    assert host.files[OVERRIDE] == "nice 5\nmanual\n"
    Upstart().enable(host, NAME, True)
    assert enabled()
    assert host.files[OVERRIDE] == "nice 5\n"


def test_an_override_that_cannot_be_written() -> None:
    class ReadOnlyHost(ToldHost):
        def write(self, path: str, text: str) -> None:
            raise PermissionError(13, "Permission denied")

    with pytest.raises(ServiceError, match="override cannot be written: Permission denied"):
        Upstart().enable(ReadOnlyHost(), NAME, False)


@pytest.mark.parametrize(
    ("done", "alive", "state"),
    [
        (Done(0, "Running"), True, "started"),
        (Done(0, "aliyun-service (pid 7) is running..."), False, "started"),
        (Done(0, ""), False, "started"),
        (Done(3, ""), False, "stopped"),
        (Done(1, "Stopped"), False, "stopped"),
        (Done(1, "dead, but its pid file is there"), False, "stopped"),
        # Scripts that exit 0 whatever they say, and those that know no status.
        (Done(0, "aliyun-service is stopped"), False, "stopped"),
        (Done(0, "Not running"), False, "stopped"),
        (Done(1, "Usage: aliyun-service {start|stop}"), True, "started"),
        (Done(0, "usage: aliyun-service {start|stop}"), False, "stopped"),
        (Done(126, "Permission denied"), False, "stopped"),
    ],
)
def test_what_a_script_says(done: Done, alive: bool, state: str) -> None:
    assert state_in(done, alive=alive) == state


def test_a_script_with_its_links_and_its_pid_file() -> None:
    files = {SCRIPT: "", "/var/run/aliyun-service.pid": "7\n", "/proc/7/stat": "", f"/etc/rc3.d/S50{NAME}": ""}
    host = ToldHost(files, {f"{SCRIPT} status": Done(0, "Running\n")})
    assert Sysvinit().look(host, NAME) == Service(NAME, "started", True, "Running", 7)
    assert Sysvinit().look(host, "aliyun") is None
    # A pid of a process that has ended, and Red Hat's folder.
    del host.files["/proc/7/stat"], host.files[f"/etc/rc3.d/S50{NAME}"]
    host.files[f"/etc/rc.d/rc5.d/S50{NAME}"] = ""
    assert Sysvinit().look(host, NAME) == Service(NAME, "started", True, "Running")
    host.files = {SCRIPT: "", f"/etc/rc3.d/K02{NAME}": "", "/etc/rc3.d/S50aliyun-service-other": ""}
    host.programs[f"{SCRIPT} status"] = Done(3, "Stopped\n")
    assert Sysvinit().look(host, NAME) == Service(NAME, "stopped", False, "Stopped")


@pytest.mark.parametrize(
    ("program", "enabled", "ran"),
    [
        ("/usr/sbin/update-rc.d", True, [f"{NAME} defaults", f"{NAME} enable"]),
        ("/usr/sbin/update-rc.d", False, [f"{NAME} defaults", f"{NAME} disable"]),
        ("/sbin/chkconfig", True, [f"--add {NAME}", f"{NAME} on"]),
        ("/usr/sbin/chkconfig", False, [f"--add {NAME}", f"{NAME} off"]),
    ],
)
def test_links_are_made_by_the_program_that_is_there(program: str, enabled: bool, ran: list[str]) -> None:
    host = ToldHost({program: ""}, {f"{program} {ran[1]}": Done(0, "")})
    command, done = Sysvinit().enable(host, NAME, enabled)
    assert (" ".join(command), done) == (f"{program} {ran[1]}", Done(0, ""))
    assert host.ran == [f"{program} {words}" for words in ran]


def test_no_program_makes_links() -> None:
    with pytest.raises(ServiceError, match=r"Neither update-rc\.d nor chkconfig"):
        Sysvinit().enable(ToldHost(), NAME, True)


def test_systemd_that_does_not_answer() -> None:
    with pytest.raises(ServiceError, match=r"systemd does not tell about .*: systemctl: No such file"):
        Systemd().look(ToldHost(), "aliyun.service")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (lambda: Systemd().command("stop", "aliyun.service"), "systemctl stop aliyun.service"),
        (lambda: Upstart().command("stop", NAME), "/sbin/initctl stop aliyun-service"),
        (lambda: Sysvinit().command("stop", NAME), "/etc/init.d/aliyun-service stop"),
    ],
)
def test_the_commands_are_those_of_the_page_of_alibaba(command: Callable[[], list[str]], words: str) -> None:
    assert " ".join(command()) == words
