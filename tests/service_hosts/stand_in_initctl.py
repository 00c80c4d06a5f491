# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for upstart's initctl: start, stop, restart and status of jobs, with upstart's own sentences."""

import os
import re
import signal
import subprocess
import sys
import time


def pid_file(name):
    return f"/run/{name}.job"


def running(name):
    """The process of a job, if it runs."""
    try:
        with open(pid_file(name)) as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/stat") as file:
            return pid if file.read().rpartition(")")[2].split()[0] != "Z" else None
    except (OSError, ValueError):
        return None


def start(name):
    with open(f"/etc/init/{name}.conf") as file:
        command = re.search("^exec (.*)$", file.read(), re.MULTILINE)[1]
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(command.split(), stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)
    with open(pid_file(name), "w") as file:
        file.write(str(process.pid))
    return f"{name} start/running, process {process.pid}"


def stop(name, pid):
    os.kill(pid, signal.SIGTERM)
    while running(name):
        time.sleep(0.02)
    return f"{name} stop/waiting"


def main(verb, name=""):
    if verb == "--version":
        return "initctl (upstart 1.12.1)"
    if not os.path.exists(f"/etc/init/{name}.conf"):
        sys.exit(f"initctl: Unknown job: {name}")
    pid = running(name)
    if verb == "status":
        return f"{name} start/running, process {pid}" if pid else f"{name} stop/waiting"
    if verb == "start":
        return sys.exit(f"initctl: Job is already running: {name}") if pid else start(name)
    if not pid:
        sys.exit(f"initctl: Unknown instance: {name}")
    said = stop(name, pid)
    return start(name) if verb == "restart" else said


print(main(*sys.argv[1:]))
