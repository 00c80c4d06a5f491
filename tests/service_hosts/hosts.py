# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with an init system of their own: trees that share this computer's /usr, run by systemd-nspawn.

The programs are real, systemd and start-stop-daemon among them; the agent is a stand-in. Ansible reaches a host through
its SSH connection, with a program in the place of ``ssh`` that enters the host.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from ecs_simulator.machines.nspawn import launcher
from end_to_end.clouds import Controller, ansible_environment

T = TypeVar("T")

HERE = Path(__file__).parent
AGENT = "/usr/local/share/aliyun-assist/2.2.3.578/aliyun-service"
_ASK = "/usr/local/bin/ask-agent"
# A computer that does much else takes its time.
BOOT_S = 120
_FILES = {
    "passwd": "root:x:0:0::/root:/bin/sh\nmessagebus:x:100:100::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n",
    "os-release": "ID=debian\nNAME=test\n",
    "group": "root:x:0:\nmessagebus:x:100:\nnogroup:x:65534:\n",
}
_ENTER = """\
#!/bin/sh
# In the place of ssh, whose last argument is the command.
for command; do :; done
exec env -i HOME=/root PATH=/usr/sbin:/usr/bin nsenter --target {leader} --all {words} "$command"
"""


@cache
def unavailable() -> str | None:
    """Why no host can be run here; None if one can."""
    if os.geteuid():
        return "hosts with an init system need root"
    for program in (*launcher.PROGRAMS, "/lib/systemd/systemd", "/usr/bin/python3"):
        if not shutil.which(program):
            return f"hosts with an init system need {program} (Debian: systemd-container, util-linux, systemd, python3)"
    made = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "true"], stderr=subprocess.PIPE, text=True, check=False
    )
    if made.returncode:
        return f"hosts with an init system need namespaces: {made.stderr.strip()}"
    if not all(os.access(place, os.W_OK) for place in launcher.our_groups()):
        return "hosts with an init system need control groups that can be written to"
    return None


@dataclass
class ServiceHost:
    """A host that runs, and a controller that reaches it."""

    controller: Controller
    tree: Path
    process: subprocess.Popen[bytes]
    leader: int = 0

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program on the host."""
        enter = ["nsenter", "--target", str(self.leader), "--all", *command]
        environment = {"PATH": "/usr/sbin:/usr/bin", "LC_ALL": "C"}
        return subprocess.run(
            enter, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    def wait_until(self, holds: Callable[[], object]) -> None:
        """Wait for what comes by itself."""
        _await(holds, self)

    def stop(self) -> None:
        """End it and all that runs on it."""
        self.process.communicate()


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def program(path: Path, text: str) -> None:
    """Write a file that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def make_tree(folder: Path) -> Path:
    """A root folder without an init system."""
    tree = folder / "tree"
    for name in ("dev", "etc", "proc", "root", "run", "sbin", "sys", "tmp", "usr", "var/log"):
        (tree / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (tree / name).symlink_to(f"usr/{name}")
    (tree / "var" / "run").symlink_to("/run")
    # With a machine id it is not the first boot, which would enable all that is installed.
    (tree / "etc" / "machine-id").write_text("0" * 31 + "1\n")
    for name, text in _FILES.items():
        (tree / "etc" / name).write_text(text)
    for path, source in ((AGENT, "agent.py"), (_ASK, "ask_agent.py")):
        program(folder / "local" / path.removeprefix("/usr/local/"), "#!/usr/bin/python3\n" + _read(source))
    return tree


def boot(folder: Path, tree: Path, *arguments: str) -> ServiceHost:
    """Run a tree; the arguments are what systemd-nspawn is to run in it."""
    name = f"cloudops-{uuid4().hex[:12]}"
    log = folder / "console"
    with log.open("wb") as console:
        process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", launcher.__file__, name),
                *("systemd-nspawn", "--quiet", f"--directory={tree}"),
                *("--bind-ro=/usr", f"--bind-ro={folder / 'local'}:/usr/local", f"--machine={name}"),
                *("--register=no", "--keep-unit", "--link-journal=no", "--private-network", "--console=pipe"),
                *arguments,
            ],
            # Its end is the host's; Ctrl-C is not meant for it.
            stdin=subprocess.PIPE,
            start_new_session=True,
            stdout=console,
            stderr=console,
        )
    controller = Controller(folder=folder, environment=ansible_environment(folder))
    host = ServiceHost(controller, tree, process)
    with _stopped_on_failure(host):
        host.leader = _await(lambda: _leader(process.pid), host)
    controller.inventory = {"all": {"hosts": {"host": _variables(folder, "ssh", host.leader, "/bin/sh -c")}}}
    return host


def boot_systemd(folder: Path) -> ServiceHost:
    """A host with systemd and the agent's unit."""
    tree = make_tree(folder)
    (tree / "sbin" / "init").symlink_to("/lib/systemd/systemd")
    units = tree / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    shutil.copy(HERE / "aliyun.service", units)
    host = boot(folder, tree, "--boot", "systemd.unit=multi-user.target")
    with _stopped_on_failure(host):
        _await(lambda: host.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"), host)
    return host


def boot_sysvinit(folder: Path) -> ServiceHost:
    """A host with the agent's script, whose commands are start-stop-daemon's; no init system runs, and none need."""
    tree = make_tree(folder)
    (tree / "sbin" / "init").write_text("sysvinit-2.88dsf", encoding="utf-8")
    program(tree / "etc" / "init.d" / "aliyun-service", _read("sysvinit_script.sh"))
    for level in range(7):
        (tree / "etc" / f"rc{level}.d").mkdir()
    return boot(folder, tree, "--as-pid2", "sleep", "infinity")


def boot_upstart(folder: Path) -> ServiceHost:
    """A host with the agent's job and a stand-in for initctl: upstart itself is not to be had any more."""
    tree = make_tree(folder)
    (tree / "sbin" / "init").write_text("/com/ubuntu/Upstart upstart", encoding="utf-8")
    program(tree / "sbin" / "initctl", "#!/usr/bin/python3\n" + _read("stand_in_initctl.py"))
    job = tree / "etc" / "init" / "aliyun-service.conf"
    job.parent.mkdir()
    job.write_text(f"start on filesystem or runlevel [2345]\nstop on runlevel [!2345]\nrespawn\nexec {AGENT}\n")
    return boot(folder, tree, "--as-pid2", "sleep", "infinity")


def through_agent(host: ServiceHost) -> Controller:
    """A controller whose commands run below the host's agent, as those of Cloud Assistant."""
    variables = _variables(host.controller.folder, "ask", host.leader, _ASK)
    return Controller(
        folder=host.controller.folder,
        environment=host.controller.environment,
        inventory={"all": {"hosts": {"host": variables}}},
    )


def _variables(folder: Path, name: str, leader: int, words: str) -> dict[str, Any]:
    path = folder / name
    program(path, _ENTER.format(leader=leader, words=words))
    return {
        "ansible_connection": "ssh",
        "ansible_ssh_executable": str(path),
        "ansible_ssh_args": "",
        "ansible_ssh_transfer_method": "piped",
        "ansible_pipelining": True,
        "ansible_python_interpreter": "/usr/bin/python3",
    }


def _leader(pid: int) -> int:
    """Of the processes below one, the first process of the host, once it is that; 0 before."""
    with suppress(FileNotFoundError):
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            status = Path(f"/proc/{child}/status").read_text().splitlines()
            first = any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in status)
            if first and Path(f"/proc/{child}/root{_ASK}").exists():
                return child
            if leader := _leader(child):
                return leader
    return 0


@contextmanager
def _stopped_on_failure(host: ServiceHost) -> Iterator[None]:
    try:
        yield
    except BaseException:
        host.stop()
        raise


def _await(found: Callable[[], T], host: ServiceHost) -> T:
    end = time.monotonic() + BOOT_S
    while not (value := found()):
        words = (host.controller.folder / "console").read_text(errors="replace")
        assert host.process.poll() is None, f"systemd-nspawn ended: {words}"
        assert time.monotonic() < end, f"the host is not up after {BOOT_S} s: {words}"
        time.sleep(0.05)
    return value
