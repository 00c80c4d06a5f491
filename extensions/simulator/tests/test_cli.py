# SPDX-License-Identifier: GPL-3.0-or-later
"""The command as users run it: in a process of its own."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ecs_simulator.ids import instance_id
from simulator_helpers import until

COMMAND = [sys.executable, "-m", "ecs_simulator"]
FLEET = """
access_keys: [{id: demo, secret: demo-secret}]
regions: {cn-hangzhou: {instances: [{name: "web-{n}", count: 2, machine: MACHINE}]}}
"""
VARIABLES = [
    "ALIBABA_CLOUD_ECS_ENDPOINT",
    "ALIBABA_CLOUD_OOS_ENDPOINT",
    "ALIBABA_CLOUD_REGION_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
]


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.yml"
    path.write_text(FLEET.replace("MACHINE", "scripted"), encoding="utf-8")
    return path


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=60,
        check=False,
    )


def test_help_names_the_verbs_and_options() -> None:
    assert "serve" in run("--help").stdout
    for option in (
        "--fleet",
        "--listen",
        "--ready-file",
        "--audit-log",
        "--state-dir",
        "--machine",
        "--clock",
        "--speed",
    ):
        assert option in run("serve", "--help").stdout


def test_run_sets_the_environment_and_passes_the_exit_status_on(fleet: Path) -> None:
    show = f"import json, os; print(json.dumps({{k: os.environ.get(k) for k in {[*VARIABLES, 'http_proxy']!r}}}))"
    done = run("run", "--fleet", fleet, "--", sys.executable, "-c", show, http_proxy="http://proxy.invalid")
    assert done.returncode == 0, done.stderr
    environment = json.loads(done.stdout)
    assert environment["ALIBABA_CLOUD_ECS_ENDPOINT"].startswith("http://127.0.0.1:")
    assert environment["ALIBABA_CLOUD_REGION_ID"] == "cn-hangzhou"
    assert environment["ALIBABA_CLOUD_ACCESS_KEY_SECRET"] == "demo-secret"
    assert environment["http_proxy"] is None
    assert run("run", "--fleet", fleet, "--", "sh", "-c", "exit 7").returncode == 7
    assert run("run", "--fleet", fleet, "--", "sh", "-c", "kill -9 $$").returncode == 128 + 9


def test_the_command_line_chooses_the_clock(fleet: Path) -> None:
    move = (
        "import os, urllib.request as r; "
        "print(r.urlopen(os.environ['ALIBABA_CLOUD_ECS_ENDPOINT'] + '/_simulator/clock', b'{\"advance\": 1}').status)"
    )
    fleet.write_text("speed: 60\n" + fleet.read_text(encoding="utf-8"), encoding="utf-8")
    done = run("run", "--fleet", fleet, "--clock", "virtual", "--", sys.executable, "-c", move)
    assert (done.stdout, done.returncode) == ("200\n", 0), done.stderr
    assert "HTTP Error 400" in run("run", "--fleet", fleet, "--", sys.executable, "-c", move).stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "--fleet", "FLEET", "--", "/no/such/command"], "cannot run /no/such/command: No such file"),
        (["run", "--fleet", "FLEET"], "run needs a command after --"),
        (["run", "--fleet", "/no/such/fleet", "--", "true"], "cannot read the fleet file /no/such/fleet"),
        (
            ["run", "--fleet", "FLEET", "--audit-log", "/no/such/log", "--", "true"],
            "cannot write the audit log /no/such/log",
        ),
        (
            ["serve", "--fleet", "FLEET", "--ready-file", "/no/such/file"],
            "cannot write the ready file /no/such/file: No",
        ),
        (["serve", "--fleet", "FLEET", "--listen", "nowhere"], "'nowhere' is not host:port"),
        (["serve", "--fleet", "FLEET", "--listen", "192.0.2.1:1"], "cannot listen on 192.0.2.1:1"),
        (["serve", "--fleet", "FLEET", "--speed", "0"], "'0' is not a number above 0 and at most 10000"),
        (["serve", "--fleet", "FLEET", "--speed", "fast"], "'fast' is not a number above 0"),
        (["serve", "--fleet", "FLEET", "--speed", "2", "--clock", "virtual"], "not allowed with argument --speed"),
    ],
)
def test_what_is_wrong_is_one_sentence(fleet: Path, arguments: list[str], sentence: str) -> None:
    done = run(*[str(fleet) if argument == "FLEET" else argument for argument in arguments])
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_wrong_in_a_file_names_the_file(fleet: Path) -> None:
    fleet.write_text("throttling: {RunComand: {per_second: 1}}\n" + fleet.read_text(encoding="utf-8"), encoding="utf-8")
    done = run("run", "--fleet", fleet, "--", "true")
    assert (done.returncode, done.stderr) == (
        2,
        f"ecs-simulator: {fleet}: throttling.RunComand is 'RunComand', and the simulator knows no such action; "
        "did you mean 'RunCommand'?\n",
    )


def test_the_command_ends_with_a_simulator_that_is_killed(fleet: Path) -> None:
    script = "trap 'echo asked; exit' TERM; echo $$; while :; do read line; done"
    with subprocess.Popen(
        [*COMMAND, "run", "--fleet", fleet, "--", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as simulator:
        assert simulator.stdin
        assert simulator.stdout
        command = int(simulator.stdout.readline())
        try:
            simulator.kill()
            # The other end of the pipe is the command's alone by now.
            assert select.select([simulator.stdout], [], [], 30)[0]
            assert simulator.stdout.readline() == "asked\n"
        except BaseException:
            os.kill(command, signal.SIGKILL)
            raise


def test_https_is_trusted_by_who_reads_the_file_of_authorities(fleet: Path) -> None:
    show = (
        "import os, ssl, urllib.request as u; e = os.environ['ALIBABA_CLOUD_ECS_ENDPOINT']; "
        "print(e, os.environ.get('https_proxy'), u.urlopen(e + '/_simulator/faults').read().decode());"
        "[print(os.path.exists(os.environ[n])) for n in ('ALIBABA_CLOUD_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS')];"
        "os.environ.pop('SSL_CERT_FILE'); u._opener = None; u.urlopen(e + '/_simulator/faults')"
    )
    done = run("run", "--tls", "--fleet", fleet, "--", sys.executable, "-c", show, https_proxy="http://proxy.invalid")
    url, proxy, *rest = done.stdout.split(maxsplit=2)
    assert url.startswith("https://127.0.0.1:"), done.stderr
    assert (proxy, *rest) == ("None", '{"faults": []}\nTrue\nTrue\n')
    # Who has nothing but the system's authorities trusts no simulator.
    assert "CERTIFICATE_VERIFY_FAILED" in done.stderr


def test_an_inventory_says_which_host_is_which_instance(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    regions = (
        "{here: {instances: [{name: 'web-{n}', count: 2}]}, there: {instances: [{name: db, id: i-bp1db00000001}]}}"
    )
    path.write_text(f"{{access_keys: [{{id: demo, secret: x}}], regions: {regions}}}", encoding="utf-8")
    done = run("inventory", "--fleet", path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "all:\n"
        "  hosts:\n"
        f"    web-1: {{ecs_instance_id: {instance_id(1, 'here', 'web-1')}}}\n"
        f"    web-2: {{ecs_instance_id: {instance_id(1, 'here', 'web-2')}}}\n"
        "    db: {ecs_instance_id: i-bp1db00000001, ecs_region_id: there}\n"
    )


def test_an_inventory_needs_different_names(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    instances = "{instances: [{name: web}]}"
    regions = f"{{here: {instances}, there: {instances}}}"
    path.write_text(f"{{access_keys: [{{id: demo, secret: x}}], regions: {regions}}}", encoding="utf-8")
    done = run("inventory", "--fleet", path)
    assert done.returncode == 2
    assert "2 instances are called web, and the hosts of an inventory need different names" in done.stderr


class Served:
    """A simulator that serves in the background."""

    def __init__(self, folder: Path, machine: str) -> None:
        fleet = folder / "fleet.yml"
        fleet.write_text(FLEET.replace("MACHINE", machine), encoding="utf-8")
        self.ready_file = folder / "ready.json"
        self.state_dir = folder / "state"
        self.process = subprocess.Popen(
            [*COMMAND, "serve", "--fleet", fleet, "--ready-file", self.ready_file, "--state-dir", self.state_dir],
            stderr=subprocess.DEVNULL,
        )

    async def ready(self) -> dict[str, str]:
        async def look() -> bool:
            assert self.process.poll() is None
            return self.ready_file.exists()

        await until(look)
        ready: dict[str, str] = json.loads(self.ready_file.read_text(encoding="utf-8"))
        return ready

    def children(self) -> set[int]:
        """All processes below the simulator's."""
        parents: dict[int, int] = {}
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = entry.read_text().rsplit(") ", 1)[1].split()
            except (OSError, IndexError):
                continue
            parents[int(entry.parent.name)] = int(fields[1])
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found - {self.process.pid}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path, "scripted")
    yield served
    served.process.kill()
    served.process.wait()


async def test_the_ready_file_says_how_to_reach_it(served: Served) -> None:
    ready = await served.ready()
    assert set(ready) == {
        "ecs_endpoint",
        "oos_endpoint",
        "region_id",
        "access_key_id",
        "access_key_secret",
        "pid",
    }
    assert ready["pid"] == served.process.pid
    assert served.ready_file.stat().st_mode & 0o077 == 0
    served.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(served.process.wait, 30) == 0
    assert not served.ready_file.exists()


@pytest.mark.usefixtures("namespaces")
async def test_a_killed_simulator_leaves_nothing(tmp_path: Path) -> None:
    served = Served(tmp_path, "namespace")
    await served.ready()
    children = served.children()
    # A launcher and a process 1 for each machine.
    assert len(children) == 4
    served.process.kill()
    served.process.wait()

    async def gone() -> bool:
        return not any(Path(f"/proc/{pid}/stat").exists() for pid in children)

    await until(gone)
    assert "ecs-simulator" not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    assert str(served.state_dir) not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")


@pytest.mark.usefixtures("namespaces")
def test_it_works_for_an_ordinary_user(tmp_path: Path) -> None:
    """As root: the same as a user without any right. For others: what they do all the time."""
    if os.geteuid() != 0:
        pytest.skip("the other tests run as an ordinary user already")
    user = ["setpriv", "--reuid=4321", "--regid=4321", "--clear-groups"]
    again = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    if subprocess.run([*user, sys.executable, "-c", again], capture_output=True, check=False).returncode:
        pytest.skip("an ordinary user cannot read this Python")
    folder = tmp_path / "user"
    folder.mkdir()
    os.chown(folder, 4321, 4321)
    for parent in folder.parents:
        if parent.stat().st_uid == 0 and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    fleet = folder / "fleet.yml"
    fleet.write_text(FLEET.replace("MACHINE", "namespace"), encoding="utf-8")
    done = subprocess.run(
        [*user, *COMMAND, "run", "--fleet", str(fleet), "--state-dir", str(folder / "state"), "--", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
