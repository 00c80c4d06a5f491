# SPDX-License-Identifier: GPL-3.0-or-later
"""The step runner at the end of its steps: the host's health, and whether it came back the same."""

from __future__ import annotations

import random
import socket
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.tests.unit.host_under_test import (
    Answer,
    HostUnderTest,
    kill,
    processes_with,
    session_of,
    step,
    until,
)

pytestmark = pytest.mark.once

LOOK = {"health_timeout_s": 30, "health_pause_s": 0, "health_attempt_timeout_s": 20}
BRIEFLY = LOOK | {"health_timeout_s": 1}
THIRD = "echo look >> $TRACE; [ $(grep -c look $TRACE) -ge 3 ]"


def test_health_is_looked_at_until_it_passes(host: HostUnderTest) -> None:
    answer = host.continue_(step("one"), health=THIRD, **LOOK)
    assert answer.said == (0, "done")
    assert host.traced == ["one", "look", "look", "look"]
    assert "health: passed, attempt 3" in answer.output


def test_health_that_never_passes_fails_the_host(host: HostUnderTest) -> None:
    sick = "echo look >> $TRACE; echo the database is away; exit 7"
    answer = host.continue_(step("one"), health=sick, **BRIEFLY | {"health_pause_s": 1})
    assert (answer.said, answer.trailer.blame) == ((1, "failed"), "health")
    assert answer.trailer.steps["one"] == {"state": "done", "attempts": 1}
    assert answer.trailer.reason == "the health script did not pass (attempt 1: exit status 7)"
    assert answer.output.splitlines()[-2] == "the database is away"
    assert "the database is away" in (host.run / "log").read_text(encoding="utf-8")


def test_health_that_says_nothing_is_not_given_an_old_word(host: HostUnderTest) -> None:
    host.continue_(step("one"), health="echo an old word; exit 1", **BRIEFLY)
    answer = host.continue_(step("one"), health="exit 1", **BRIEFLY)
    assert answer.output.splitlines()[-2] == "(nothing)"


def test_an_attempt_that_hangs_is_ended_with_all_that_it_started(host: HostUnderTest) -> None:
    marker = f"4{uuid.uuid4().int % 10**8}"
    script = f"echo look >> $TRACE; [ $(grep -c look $TRACE) -ge 2 ] || {{ sleep {marker} & sleep {marker}; }}"
    answer = host.continue_(step("one"), health=script, **LOOK | {"health_attempt_timeout_s": 1})
    assert answer.said == (0, "done")
    assert host.traced == ["one", "look", "look"]
    assert processes_with(f"sleep {marker}") == []


def test_health_is_asked_anew_and_nothing_else_is(host: HostUnderTest) -> None:
    steps = (step("one", restart="always"), step("two"))
    health = "[ ! -e $TRACE.sick ]"
    assert host.continue_(*steps, health=health, **BRIEFLY).said == (194, "restart")
    host.pretend_restart()
    for sick, said in ((True, (1, "failed")), (False, (0, "done")), (True, (1, "failed"))):
        if sick:
            Path(f"{host.trace}.sick").touch()
        else:
            Path(f"{host.trace}.sick").unlink()
        answer = host.continue_(*steps, health=health, **BRIEFLY)
        assert answer.said == said
        assert len(answer.trailer.restarts) == 1
    assert host.traced == ["one", "two"]


def test_health_comes_after_the_restart(host: HostUnderTest) -> None:
    steps = (step("one"),)
    health = "echo look >> $TRACE"
    assert host.continue_(*steps, restart="always", health=health, **LOOK).said == (194, "restart")
    assert host.traced == ["one"]
    host.pretend_restart()
    assert host.continue_(*steps, restart="always", health=health, **LOOK).said == (0, "done")
    assert host.traced == ["one", "look"]


def test_health_is_not_looked_at_after_a_step_that_failed(host: HostUnderTest) -> None:
    answer = host.continue_(step("one", "exit 1"), health="echo look >> $TRACE", **LOOK)
    assert (answer.said, answer.trailer.blame) == ((1, "failed"), "script")
    assert host.traced == []


def test_a_run_whose_time_is_too_short_does_not_know_its_health(host: HostUnderTest) -> None:
    answer = host.continue_(step("one"), health="exit 1", **LOOK, not_after=int(time.time()) + 12)
    assert answer.said == (76, "late")
    assert ": exit status 1)" in answer.trailer.reason
    assert answer.trailer.steps["one"]["state"] == "done"


def test_a_killed_keeper_leaves_no_health_script_beside_the_next(host: HostUnderTest) -> None:
    script = "echo look >> $TRACE; [ -e $TRACE.go ] || while :; do echo $$ >> $TRACE.alive; sleep 0.05; done"
    first = host.start(step("one"), health=script, **LOOK)
    until(lambda: "look" in host.traced)
    for pid in processes_with(f"keep {host.run}"):
        kill(pid)
    assert Answer(first.wait(60), first.communicate()[0]).said == (75, "pending")
    # The old script is still there, and the next keeper begins without it.
    assert (host.run / "health").exists()
    alive = Path(f"{host.trace}.alive")
    (old,) = set(alive.read_text(encoding="utf-8").split())
    Path(f"{host.trace}.go").touch()
    answer = host.continue_(step("one"), health=script, **LOOK)
    assert answer.said == (0, "done")
    assert session_of(int(old)) is None
    assert host.traced == ["one", "look", "look"]
    assert not (host.run / "health").exists()


def test_whoever_waited_for_another_delivery_hears_how_it_is_now(host: HostUnderTest) -> None:
    health = "echo look >> $TRACE; while [ ! -e $TRACE.go ]; do sleep 0.05; done"
    first = host.start(step("one"), health=health, **LOOK)
    until(lambda: "look" in host.traced)
    second = host.start(step("one"), health=health, **LOOK)
    Path(f"{host.trace}.go").touch()
    answers = [Answer(process.wait(60), process.communicate()[0]) for process in (first, second)]
    assert [answer.said for answer in answers] == [(0, "done"), (0, "done")]


def test_health_runs_as_steps_do(host: HostUnderTest) -> None:
    host.program("my-interpreter", 'echo "interpreted" >> $TRACE')
    host.continue_(health=f"#!{host.programs}/my-interpreter\nhello", **LOOK)
    host.continue_(health="umask >> $TRACE; pwd >> $TRACE", **LOOK)
    assert host.traced == ["interpreted", "0022", "/"]


HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
MOUNTS = (
    "/dev/vda1 / ext4 rw 0 0",
    "tmpfs /run/user/0 tmpfs rw 0 0",
    "overlay /var/lib/docker/overlay2/x/merged overlay rw 0 0",
    "/etc/auto.misc /misc autofs rw 0 0",
    "server:/share /misc/share nfs4 rw 0 0",
    "/dev/vdb1 /data xfs rw 0 0",
    "ossfs /oss\\040bucket fuse.ossfs rw 0 0",
)
# A stand-in for systemd's: it knows the one question that the runner has, and answers out of a file.
SYSTEMCTL = """
[ "$*" = "list-units --state=failed --plain --no-legend --no-pager" ] || exit 9
[ ! -e $TRACE.no-systemd ] || { echo "System has not been booted with systemd" >&2; exit 1; }
cat $TRACE.units
"""


class Surroundings:
    """What a host under test sees of its units, ports and mounts, in files of its own."""

    def __init__(self, host: HostUnderTest) -> None:
        self.host = host
        self._units = Path(f"{host.trace}.units")
        self._net = host.etc / "net"
        self._net.mkdir()
        for path, own in (
            ("/proc/net", self._net),
            ("/proc/mounts", host.etc / "mounts"),
            ("/proc/sys/net/ipv4/ip_local_port_range", host.etc / "range"),
        ):
            assert path in host.runner_text
            host.runner_text = host.runner_text.replace(path, str(own))
        (host.etc / "range").write_text("32768\t60999\n", encoding="utf-8")
        host.program("systemctl", SYSTEMCTL)
        self.units("old.service")
        self.mounts(*MOUNTS)
        self.ports(tcp=[22, 8080, 40000], tcp6=[22, 443], udp=[53, 68, 50000])

    def units(self, *failed: str) -> None:
        lines = [f"{unit} loaded failed failed A service that does something\n" for unit in failed]
        self._units.write_text("".join(lines), encoding="utf-8")

    def mounts(self, *lines: str) -> None:
        (self.host.etc / "mounts").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def ports(self, **listening: list[int]) -> None:
        for family in ("tcp", "tcp6", "udp", "udp6"):
            state, width = ("0A" if family.startswith("tcp") else "07"), (32 if family.endswith("6") else 8)
            rows = [
                f" {n}: {'0' * width}:{port:04X} {'0' * width}:0000 {state} 0"
                for n, port in enumerate(listening.get(family, []))
            ]
            # A connection of the host's own is nobody who listens.
            rows.append(f" 99: {'0' * width}:1F91 {'0' * width}:0050 01 0")
            (self._net / family).write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")


@pytest.fixture
def around(host: HostUnderTest) -> Surroundings:
    return Surroundings(host)


def asked(around: Surroundings, same: str, loss: str = "true", **more: Any) -> Answer:
    """A run with a step that does something to the surroundings."""
    return around.host.continue_(step("one", loss), same=same, **BRIEFLY | more)


@pytest.mark.parametrize("same", ["warn", "fail"])
def test_what_is_lost_is_told(around: Surroundings, same: str) -> None:
    host = around.host
    assert host.continue_(restart="always", same=same, **BRIEFLY).said == (194, "restart")
    host.pretend_restart()
    around.units("old.service", "nginx.service")
    around.ports(tcp=[22], tcp6=[443])
    around.mounts(*MOUNTS[:5])
    answer = host.continue_(restart="always", same=same, **BRIEFLY)
    lost = (
        "/data (xfs) is not mounted any more",
        "/oss_040bucket (fuse.ossfs) is not mounted any more",
        "nobody listens on tcp/8080 any more",
        "nobody listens on udp/53 any more",
        "the unit nginx.service has failed",
    )
    assert answer.trailer.differences == lost
    assert answer.output.splitlines()[-2] == f"not as before: {'; '.join(lost)}"
    if same == "warn":
        assert answer.said == (0, "done")
    else:
        assert (answer.said, answer.trailer.blame) == ((1, "failed"), "health")
        assert answer.trailer.reason == "it did not come back the same"


def test_what_is_new_or_comes_and_goes_is_no_loss(around: Surroundings) -> None:
    host = around.host
    assert host.continue_(restart="always", same="fail", **BRIEFLY).said == (194, "restart")
    host.pretend_restart()
    around.units()
    around.ports(tcp6=[22, 443, 8080, 9000], udp6=[53])
    around.mounts(MOUNTS[0], MOUNTS[5], MOUNTS[6], "/dev/vdc1 /new ext4 rw 0 0")
    answer = host.continue_(restart="always", same="fail", **BRIEFLY)
    assert (answer.said, answer.trailer.differences) == ((0, "done"), ())
    assert "not looked at" not in answer.output


def test_what_comes_back_late_is_waited_for(around: Surroundings) -> None:
    """The comparison after the health script, again and again."""
    host = around.host
    net = host.etc / "net"
    host.continue_(restart="always", same="fail", **LOOK)
    host.pretend_restart()
    around.ports(tcp=[22], tcp6=[443], udp=[53])
    late = f"cp {net}/tcp {net}/tcp.now; sed s/:0016/:1F90/ {net}/tcp.now >> {net}/tcp"
    health = f"(sleep 2; {late}) >/dev/null 2>&1 &"
    answer = host.continue_(restart="always", same="fail", health=health, **LOOK | {"health_pause_s": 1})
    assert answer.said == (0, "done")


def test_how_it_was_is_how_it_was_before_the_first_step(around: Surroundings) -> None:
    """A run that is started again does not take its own losses for how it was."""
    host = around.host
    breaks = f"cp {host.etc}/mounts $TRACE.whole; head -n 1 $TRACE.whole > {host.etc}/mounts; exit 1"
    assert asked(around, "fail", breaks).trailer.blame == "script"
    answer = asked(around, "fail")
    assert (answer.said, answer.trailer.blame) == ((1, "failed"), "health")
    assert len(answer.trailer.differences) == 2
    # Mended, and asked anew.
    around.mounts(*MOUNTS)
    answer = asked(around, "fail")
    assert (answer.said, answer.trailer.differences) == ((0, "done"), ())


def test_a_run_that_has_begun_without_looking_cannot_compare(around: Surroundings) -> None:
    assert asked(around, "off").said == (0, "done")
    answer = asked(around, "fail")
    assert answer.said == (0, "done")
    assert "it is unknown what has been lost" in answer.output


def test_what_cannot_be_looked_at_is_said_and_is_no_loss(around: Surroundings) -> None:
    host = around.host
    Path(f"{host.trace}.no-systemd").touch()
    (host.etc / "mounts").rename(host.etc / "no-mounts")
    for path in (host.etc / "net").iterdir():
        path.unlink()
    answer = asked(around, "fail")
    assert answer.said == (0, "done")
    assert [f"same: {part} were not looked at" in answer.output for part in ("units", "ports", "mounts")] == [True] * 3


def test_a_part_that_cannot_be_looked_at_any_more_is_no_loss(around: Surroundings) -> None:
    answer = asked(around, "fail", "touch $TRACE.no-systemd")
    assert answer.said == (0, "done")
    assert "same: units were not looked at" in answer.output
    assert "ports" not in answer.output


def test_health_that_fails_tells_what_was_lost_too(around: Surroundings) -> None:
    answer = asked(around, "warn", f": > {around.host.etc}/mounts", health="echo nothing works; exit 1")
    assert (answer.said, answer.trailer.blame) == ((1, "failed"), "health")
    assert "/data (xfs) is not mounted any more" in answer.trailer.differences
    assert answer.output.splitlines()[-2] == "nothing works"


def test_differences_fit_into_the_trailer(around: Surroundings) -> None:
    host = around.host
    around.ports(tcp=list(range(1000, 1200)))
    steps = [step(f"a-step-with-a-long-name-{number:014d}", "true") for number in range(20)]
    host.continue_(*steps, same="warn", restart="always", **BRIEFLY)
    host.pretend_restart()
    around.ports()
    around.units(*(f"{'long-' * 30}{number}.service" for number in range(9)))
    (host.run / "packages").write_text("a-package 1.0 2.0\n" * 1000, encoding="utf-8")
    answer = host.continue_(*steps, same="warn", restart="always", **BRIEFLY)
    told = answer.trailer.differences
    assert told[0].startswith("nobody listens on tcp/1000 ")
    assert told[-1] == f"and {209 - (len(told) - 1)} more"
    assert answer.trailer.packages


def test_real_ports_real_mounts(host: HostUnderTest) -> None:
    """What this computer itself tells, of which other tests take their share."""
    with socket.socket() as listener:
        while True:
            try:
                listener.bind(("127.0.0.1", random.randint(10000, 20000)))  # below the range for any port
                break
            except OSError:
                continue
        listener.listen()
        port = listener.getsockname()[1]
        assert host.continue_(restart="always", same="warn", **BRIEFLY).said == (194, "restart")
        mounts = (host.run / "before.same").read_text(encoding="utf-8")
        assert "\nmounts / " in mounts
        host.pretend_restart()
        answer = host.continue_(restart="always", same="warn", **BRIEFLY)
        assert not any(f"tcp/{port} " in words for words in answer.trailer.differences)
    answer = host.continue_(restart="always", same="warn", **BRIEFLY)
    assert f"nobody listens on tcp/{port} any more" in answer.trailer.differences
