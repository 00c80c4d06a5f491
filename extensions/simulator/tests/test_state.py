# SPDX-License-Identifier: GPL-3.0-or-later
"""The state folder: one simulator at a time, and nothing left of a temporary one."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ecs_simulator.errors import SimulatorError
from ecs_simulator.machines.nspawn.launcher import our_groups
from ecs_simulator.simulator import Simulator
from ecs_simulator.state import State
from simulator_helpers import REGION, ROOTFS, Caller, make_fleet, serving, until

FLEET = make_fleet({"name": "web-01", "machine": "scripted"})
FLEET_FILE = """
access_keys: [{id: demo, secret: demo-secret}]
regions: {cn-hangzhou: {instances: [{name: "web-{n}", count: COUNT, machine: MACHINE}]}}
"""


async def test_a_state_folder_is_one_simulators_at_a_time(tmp_path: Path) -> None:
    async with serving(FLEET, tmp_path):
        second = Simulator(FLEET, state_dir=tmp_path / "state")
        with pytest.raises(SimulatorError) as caught:
            await second.start()
        await second.close()
        folder = tmp_path / "state"
        assert str(caught.value) == (
            f"another simulator is using the state folder {folder}: stop that one, or name another folder"
        )
    async with serving(FLEET, tmp_path):
        pass


async def test_a_folder_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SimulatorError, match=r"cannot use the state folder .*/file: Not a directory"):
        await Simulator(FLEET, state_dir=tmp_path / "file").start()


def test_each_start_has_a_number_of_its_own_whatever_has_become_of_the_last(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert (state.next_start(), state.next_start()) == (1, 2)
    for damage in ("", "abc", "9" * 5000, "\xe9"):
        (tmp_path / "starts").write_text(damage, encoding="latin-1")
        number = state.next_start()
        assert number > 1_000_000
        assert state.next_start() == number + 1
    state.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "machines", "starts"]


@pytest.mark.parametrize(
    ("name", "tls", "sentence"),
    [
        ("starts", False, "cannot use the state file .*/state/starts: Is a directory"),
        ("tls/ca.pem", True, "cannot use the state folder .*/state/tls: Is a directory"),
    ],
)
async def test_a_folder_where_a_state_file_is_meant_to_be_is_refused(
    tmp_path: Path, name: str, tls: bool, sentence: str
) -> None:
    (tmp_path / "state" / name).mkdir(parents=True)
    simulator = Simulator(FLEET, state_dir=tmp_path / "state", tls=tls)
    with pytest.raises(SimulatorError, match=sentence):
        await simulator.start()
    await simulator.close()


WEB = "i-bp1teststate0000001"


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("rm -r M; touch M", "M is damaged: remove it, and the machine is made anew"),
        ("rm -r M; ln -s /no/such/folder M", "M is damaged: remove it, and the machine is made anew"),
        ("rm -r M/local", "M is damaged: remove it, and the machine is made anew"),
        ("rm M/boot_id; mkdir M/boot_id", "cannot make a namespace machine: Is a directory"),
        ("rm M.log; mkdir M.log", "its files: M.log: Is a directory"),
    ],
)
async def test_a_damaged_machine_is_named(namespaces: None, tmp_path: Path, damage: str, sentence: str) -> None:
    fleet = make_fleet({"name": "web-01", "id": WEB, "machine": "namespace"}, {"name": "web-02"})
    async with serving(fleet, tmp_path):
        pass
    machine = str(tmp_path / "state" / "machines" / WEB)
    subprocess.run(["sh", "-euc", damage.replace("M", machine)], check=True)
    simulator = Simulator(fleet, state_dir=tmp_path / "state")
    with pytest.raises(SimulatorError) as caught:
        await simulator.start()
    await simulator.close()
    assert str(caught.value) == f"cannot boot {WEB} (web-01): {sentence.replace('M', machine)}"


class Run:
    """A simulator in the background with a folder of its own for temporary files."""

    def __init__(self, folder: Path, *arguments: str, machine: str = "scripted", count: int = 1) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        fleet = folder / "fleet.yml"
        fleet.write_text(FLEET_FILE.replace("MACHINE", machine).replace("COUNT", str(count)), encoding="utf-8")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ecs_simulator", arguments[0], "--fleet", str(fleet), *arguments[1:]],
            env=os.environ | {"TMPDIR": str(self.temporary)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def left(self) -> list[str]:
        return [path.name for path in self.temporary.iterdir()]

    def end(self) -> tuple[int, str]:
        """Wait for the end; exit status and what was said."""
        try:
            _output, said = self.process.communicate(timeout=60)
        finally:
            self.process.kill()
        return self.process.returncode, said


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["run", "--", "true"], 0),
        (["run", "--", "/no/such/command"], 2),
        (["run", "--audit-log", "/no/such/folder/audit.jsonl", "--", "true"], 2),
        (["serve", "--listen", "192.0.2.1:1"], 2),
        (["serve", "--ready-file", "/no/such/folder/ready.json"], 2),
    ],
)
def test_an_end_of_its_own_leaves_nothing(tmp_path: Path, arguments: list[str], status: int) -> None:
    run = Run(tmp_path, *arguments)
    ended, said = run.end()
    assert ended == status, said
    assert "Traceback" not in said
    assert run.left() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_while_machines_boot_leaves_nothing(
    namespaces: None, tmp_path: Path, number: signal.Signals
) -> None:
    run = Run(tmp_path, "serve", machine="namespace", count=60)

    async def booting() -> bool:
        # The first of many machines is there.
        return any(run.temporary.glob("*/machines/i-*"))

    await until(booting)
    run.process.send_signal(number)
    status, said = run.end()
    assert (status, said) == (128 + number, "")
    assert run.left() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_is_passed_on_to_the_command(tmp_path: Path, number: signal.Signals) -> None:
    ready = tmp_path / "ready"
    name = number.name.removeprefix("SIG")
    wait = f"sleep 600 & trap 'kill $!; exit 5' {name}; touch {ready}; wait"
    run = Run(tmp_path, "run", "--", "sh", "-c", wait)

    async def started() -> bool:
        return ready.exists()

    await until(started)
    run.process.send_signal(number)
    assert run.end() == (5, "")
    assert run.left() == []


@pytest.fixture(params=["namespaces", "nspawn"])
def machine(request: pytest.FixtureRequest) -> str:
    """The kinds of machines with processes, where they are to be had."""
    request.getfixturevalue(request.param)
    return str(request.param.removesuffix("s"))


async def test_a_killed_simulator_leaves_no_temporary_folder_and_no_process(tmp_path: Path, machine: str) -> None:
    """Also while scripts run that want to outlive everything."""
    files = "root" if machine == "namespace" else "upper"
    ready = tmp_path / "ready.json"
    run = Run(tmp_path, "serve", "--ready-file", str(ready), "--rootfs", str(ROOTFS), machine=machine, count=2)

    async def serves() -> bool:
        assert run.process.poll() is None
        return ready.exists()

    await until(serves, 120)
    endpoint = json.loads(ready.read_text(encoding="utf-8"))["ecs_endpoint"]
    caller = Caller(None, endpoint, tmp_path / "no-audit-log")
    answer = await caller("DescribeInstances", region_id=REGION)
    ids = [row["InstanceId"] for row in answer["Instances"]["Instance"]]
    tenacious = (
        "trap '' TERM HUP; setsid sh -c 'touch /opt/there; while :; do touch /opt/again; sleep 0.1; done' & sleep 600"
    )
    await caller.run(tenacious, *ids)

    async def at_work() -> bool:
        return len(list(run.temporary.glob(f"*/machines/*/{files}/opt/there"))) == 2

    await until(at_work)
    processes = _processes_below(run.process.pid)
    # A launcher, process 1 and three processes of the script on each machine; and the sweeper.
    assert len(processes) >= 11
    run.process.kill()
    run.process.communicate()

    async def gone() -> bool:
        groups = [path for place in our_groups() for id_ in ids for path in place.glob(f"{id_}*")]
        return not run.left() and not groups and not any(_alive(pid) for pid in processes)

    await until(gone)
    assert str(run.temporary) not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")


def _processes_below(pid: int) -> set[int]:
    """A process and all that have come from it."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(entry.parent.name)] = int(entry.read_text().rsplit(") ", 1)[1].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
