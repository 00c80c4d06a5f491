# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines made of namespaces. The first test shows that nothing on them reaches the host."""

import asyncio
import contextlib
import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from ecs_simulator.fleet_instances import InstanceSpec, Update
from ecs_simulator.fleet_settings import Settings
from ecs_simulator.machines.base import MachineGone, PowerAction, Script, ScriptExists
from ecs_simulator.machines.namespace.machine import NamespaceMachine
from simulator_helpers import REGION, make_fleet, serving, until

pytestmark = pytest.mark.usefixtures("namespaces")

SPEC = InstanceSpec(
    id="i-bp1test0000000001",
    name="test-01",
    region_id="cn-hangzhou",
    zone_id="cn-hangzhou-h",
    updates=(Update("kernel", "1", "2", restart=True), Update("curl", "8.1", "8.2", fails=1)),
)


class Guest:
    """A machine and what it said."""

    def __init__(self, folder: Path) -> None:
        self.machine = NamespaceMachine(SPEC, Settings(stop_grace_s=0.2), folder / SPEC.id)
        self.downs: list[PowerAction] = []
        self.syslog: list[str] = []
        self.machine.on_down = self.downs.append
        self.machine.on_syslog = self.syslog.append

    async def boot(self) -> str:
        boot_id = str(uuid.uuid4())
        await self.machine.boot(boot_id)
        return boot_id

    async def sh(self, script: str) -> tuple[int, str]:
        """Run a script to its end; exit code and output."""
        process = await self.machine.start(Script(f"{uuid.uuid4()}.sh", script.encode()))
        code = await process.wait()
        output = b""

        async def drained() -> bool:
            # The pipe is read by the event loop: let it come to rest.
            nonlocal output
            chunk = process.take_output(1 << 20)
            output += chunk
            return not chunk

        await asyncio.sleep(0.05)
        await until(drained)
        return code, (output + await process.drain()).decode()

    async def wait_down(self) -> None:
        async def is_down() -> bool:
            return bool(self.downs)

        await until(is_down)


@pytest.fixture
async def guest(tmp_path: Path) -> AsyncIterator[Guest]:
    guest = Guest(tmp_path)
    await guest.boot()
    yield guest
    await guest.machine.cut_power()


@pytest.fixture
def bystander() -> "Callable[[], bool]":
    """A process on the host, of the user that root on the machine is outside; tells whether it lives."""
    user = {"user": 65534} if os.geteuid() == 0 else {}
    process = subprocess.Popen(["sleep", "600"], **user)
    yield lambda: process.poll() is None
    process.kill()
    process.wait()


HOSTILE = """
try() { "$@" >/dev/null 2>&1 && echo "REACHED: $*"; }

# Files
try cat SECRET
try cat /proc/1/root/etc/hostname.of.the.host
try touch /usr/written /usr/bin/written /bin/written
try mount -o remount,bind,rw /usr
try touch /usr/written
try umount -l /proc/sys
try ls /proc/1/fd/0

# The kernel's knobs
for knob in kernel/hostname kernel/core_pattern kernel/sysrq vm/drop_caches kernel/random/boot_id; do
  try sh -c "cat /proc/sys/$knob > /tmp/knob; cat /tmp/knob > /proc/sys/$knob"
done
try mount -o remount,bind,rw /proc/sys
try sh -c "cat /proc/sys/vm/swappiness > /tmp/knob; cat /tmp/knob > /proc/sys/vm/swappiness"
try sh -c 'echo b > /proc/sysrq-trigger'

# Devices
try sh -c 'exec 3<>/dev/tty'
for device in mem kmem port kmsg sda vda nvme0n1 loop-control fuse rtc0; do
  try test -e "/dev/$device"
done
try mknod /tmp/disk b 8 0
try mknod /tmp/kmsg c 1 11

# The clock, modules, other namespaces
try date -s 2001-01-01
try modprobe loop
try nsenter --target 1 --mount true
try unshare --mount sh -c 'mount -o remount,bind,rw /usr && touch /usr/written'
try unshare --user --map-root-user --mount sh -c 'mount -o remount,bind,rw /proc/sys'

echo "end of the list"
"""

# Everything that takes a machine down. /sbin/reboot is the host's own program.
POWER = (
    "kill -9 -1",
    "shutdown -r now; sleep 60",
    "/sbin/reboot --force --force; sleep 60",
    "/usr/bin/python3 -c 'import ctypes; ctypes.CDLL(None).reboot(0x1234567)'; sleep 60",
)


async def test_nothing_on_a_machine_reaches_the_host(
    guest: Guest, bystander: Callable[[], bool], tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the host", encoding="utf-8")
    secret.chmod(0o644)
    knobs = {path: Path(path).read_text() for path in ("/proc/sys/vm/swappiness", "/proc/sys/kernel/hostname")}
    host_boot_id = Path("/proc/sys/kernel/random/boot_id").read_text()

    _code, output = await guest.sh(HOSTILE.replace("SECRET", str(secret)))
    assert "REACHED" not in output
    assert output.endswith("end of the list\n")
    for script in POWER:
        program = script.split()[0]
        if program.startswith("/") and not Path(program).exists():
            continue
        with contextlib.suppress(MachineGone):
            await guest.sh(script.replace("sleep 60", "sleep 5"))
        if guest.downs:
            guest.downs.clear()
            await guest.boot()

    assert bystander()
    assert Path("/proc/sys/kernel/random/boot_id").read_text() == host_boot_id
    assert {path: Path(path).read_text() for path in knobs} == knobs
    assert not Path("/usr/written").exists()


async def test_a_machine_has_its_own_identity(guest: Guest) -> None:
    boot_id = guest.machine.boot_id
    code, output = await guest.sh(
        "hostname; cat /proc/sys/kernel/random/boot_id; . /etc/os-release; echo $ID $VERSION_ID; id -u; pwd; echo $PATH"
    )
    assert code == 0
    assert output.splitlines() == [
        "test-01",
        boot_id,
        "alinux 3",
        "0",
        "/root",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ]


async def test_a_restart_ends_processes_and_run_and_keeps_files(guest: Guest) -> None:
    await guest.sh("echo kept > /root/file; echo gone > /run/file; sleep 1000 & exit 0")
    first = guest.machine.boot_id
    await guest.machine.shut_down(PowerAction.RESTART)
    assert guest.downs == [PowerAction.RESTART]
    second = await guest.boot()
    code, output = await guest.sh(
        "cat /root/file /proc/sys/kernel/random/boot_id; test ! -e /run/file || echo left; pgrep sleep && echo left"
    )
    assert output.splitlines() == ["kept", second]
    assert first != second
    assert code != 0  # pgrep found nothing


@pytest.mark.parametrize(
    ("command", "action"),
    [
        ("shutdown -r now", PowerAction.RESTART),
        ("reboot", PowerAction.RESTART),
        ("shutdown -h now", PowerAction.POWER_OFF),
        ("poweroff", PowerAction.POWER_OFF),
    ],
)
async def test_the_guest_can_take_its_machine_down(guest: Guest, command: str, action: PowerAction) -> None:
    await guest.machine.run(command)
    await guest.wait_down()
    assert guest.downs == [action]


async def test_processes_get_sigterm_before_the_end(guest: Guest) -> None:
    # Away from the pipe: it ends with the script, and a shell that writes to it then dies too early.
    loop = "trap 'echo goodbye > /root/last; exit' TERM; touch /root/ready; while :; do sleep 0.05; done"
    await guest.sh(f"({loop}) >/dev/null 2>&1 &")

    async def is_ready() -> bool:
        return (await guest.sh("test -e /root/ready"))[0] == 0

    await until(is_ready)
    await guest.machine.shut_down(PowerAction.RESTART)
    await guest.boot()
    assert (await guest.sh("cat /root/last"))[1] == "goodbye\n"


async def test_a_power_cut_gives_no_time_for_goodbyes(guest: Guest) -> None:
    process = await guest.machine.start(Script("long.sh", b"trap 'echo goodbye > /root/last' TERM; sleep 1000"))
    await guest.machine.cut_power()
    with pytest.raises(MachineGone):
        await process.wait()
    await guest.boot()
    assert (await guest.sh("cat /root/last"))[0] != 0


async def test_a_power_cut_does_not_rely_on_the_launcher(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may end before process 1 has asked the kernel to end with it."""
    monkeypatch.setattr(subprocess.Popen, "kill", lambda self: None)
    async with asyncio.timeout(30):
        await guest.machine.cut_power()
    assert guest.downs == [PowerAction.POWER_OFF]


async def test_a_script_is_saved_once(guest: Guest) -> None:
    first = await guest.machine.start(Script("t-1.sh", b"exit 3"))
    assert await first.wait() == 3
    with pytest.raises(ScriptExists):
        await guest.machine.start(Script("t-1.sh", b"exit 4"))
    code, output = await guest.sh("stat -c '%a %U' /usr/local/share/aliyun-assist/work/script/t-1.sh")
    assert (code, output) == (0, "755 root\n")


async def test_what_repeats_runs_the_file_of_its_first_run(guest: Guest) -> None:
    for number in (1, 2):
        process = await guest.machine.start(Script("t-1.sh", b"exit %d" % number, repeats=True))
        assert await process.wait() == 1


async def test_only_the_direct_child_is_killed(guest: Guest) -> None:
    process = await guest.machine.start(Script("t-2.sh", b"(sleep 0.3; echo survived > /root/child) & sleep 1000"))

    async def started() -> bool:
        return (await guest.sh("pgrep sleep"))[0] == 0

    await until(started)
    process.kill()
    assert await process.wait() == -9

    async def survived() -> bool:
        return (await guest.sh("cat /root/child"))[1] == "survived\n"

    await until(survived)


async def test_orphans_are_collected(guest: Guest) -> None:
    await guest.sh("(sleep 0.05 &) ; (sleep 0.05 &)")

    async def no_zombies() -> bool:
        return "Z" not in (await guest.sh("grep -h '^State' /proc/[0-9]*/status"))[1]

    await until(no_zombies)


async def test_the_system_log_is_heard(guest: Guest) -> None:
    await guest.sh("logger -t tester hello")

    async def heard() -> bool:
        return any("tester: hello" in line for line in guest.syslog)

    await until(heard)


async def test_the_stand_in_package_manager_lists_fails_and_updates(guest: Guest) -> None:
    code, output = await guest.sh("dnf -q check-update")
    assert code == 100
    assert [line.split()[:2] for line in output.splitlines() if line] == [
        ["kernel.x86_64", "2"],
        ["curl.x86_64", "8.2"],
    ]
    code, output = await guest.sh("dnf -y upgrade")
    assert code == 1
    assert "Failed to download package curl" in output
    assert (await guest.sh("needs-restarting -r"))[0] == 0
    assert (await guest.sh("dnf -y upgrade"))[0] == 0
    assert (await guest.sh("dnf -q check-update"))[0] == 0
    code, output = await guest.sh("dnf -q list --installed")
    assert [line.split()[:2] for line in output.splitlines()[1:]] == [["kernel.x86_64", "2"], ["curl.x86_64", "8.2"]]
    code, output = await guest.sh("needs-restarting -r")
    assert code == 1
    assert "  * kernel\n" in output
    assert "Reboot is required" in output
    await guest.machine.shut_down(PowerAction.RESTART)
    await guest.boot()
    code, output = await guest.sh("needs-restarting -r; dnf -y upgrade")
    assert "Reboot should not be necessary" in output
    assert "Nothing to do" in output


async def test_many_requests_at_once_wait_for_their_turn(guest: Guest) -> None:
    # More than the socket holds; the event loop gets no time between them.
    for _number in range(600):
        await guest.machine.run("echo x >> /root/lines")

    async def all_have_run() -> bool:
        return (await guest.sh("wc -l < /root/lines"))[1] == "600\n"

    await until(all_have_run)
    assert not guest.downs


async def test_who_stops_waiting_for_the_end_stops_nobody_else(guest: Guest) -> None:
    first = asyncio.ensure_future(guest.machine.shut_down(PowerAction.RESTART))
    await asyncio.sleep(0)
    first.cancel()
    await guest.machine.cut_power()
    assert len(guest.downs) == 1


async def test_an_answer_that_nobody_waits_for_any_more_is_none(guest: Guest) -> None:
    problems: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: problems.append(context))
    asking = asyncio.ensure_future(guest.machine.check(Script("x.sh", b"")))
    await asyncio.sleep(0)
    asking.cancel()
    await guest.machine.check(Script("y.sh", b""))  # answered after the first
    assert not problems


async def test_the_agent_ends_when_the_shutdown_begins(namespaces: None, tmp_path: Path) -> None:
    fleet = make_fleet({"name": "web-01", "boot_s": 0}, settings={"stop_grace_s": 1})
    async with serving(fleet, tmp_path, machine="namespace") as call:
        answer = await call("DescribeInstances", region_id=REGION)
        web = answer["Instances"]["Instance"][0]["InstanceId"]
        # It ends in the time of grace, which another process uses up, and nobody is there any more to report that.
        stubborn = "(trap '' TERM; sleep 1000) > /dev/null 2>&1 &\n"
        invoke_id = await call.run(f"{stubborn}trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done", web)

        async def is_ready() -> bool:
            return bool((await call.row(invoke_id, web))["Output"])

        await until(is_ready)
        await call("RebootInstance", instance_id=web)
        row = await call.result(invoke_id, web)
        assert (row["InvocationStatus"], row["ErrorCode"]) == ("Error", "InstanceRestarted")
        kinds = [event["event"] for event in call.events() if event["event"] in ("agent_down", "shutdown")]
        assert kinds == ["agent_down", "shutdown"]
