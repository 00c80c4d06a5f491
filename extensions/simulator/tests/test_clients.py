# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that nobody here wrote do the same things to an instance, each in its own way."""

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from simulator_helpers import make_fleet, serving

HERE = Path(__file__).parent
CLIENTS = HERE / "clients"
NODE_MODULES = HERE.parents[2] / ".venv" / "node" / "node_modules"
WEB = "i-bp1testweb000000001"
PROGRAMS = ["python_sdk.py", "old_python_sdk.py", "sample.py", "typescript_sdk.js"]


def interpreter(program: str) -> str:
    """What runs a program; skips the test where that is not to be had."""
    if program.endswith(".py"):
        return sys.executable
    node = shutil.which("node")
    if not node or not NODE_MODULES.exists():
        what = "node, or what `make unit` installs of npm, is not here"
        if "CI" in os.environ:
            pytest.fail(what)
        pytest.skip(what)
    return node


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_client_describes_runs_waits_reads_restarts_and_waits(program: str, tls: bool, tmp_path: Path) -> None:
    command = [interpreter(program), str(CLIENTS / program), WEB]
    answers = [{"output": "hello\n"}]
    web = {"name": "web-01", "id": WEB, "boot_s": 0, "answers": answers}
    async with serving(make_fleet(web, settings={"stop_grace_s": 0.2}), tmp_path, tls=tls) as call:
        environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        environment |= call.endpoint.environment() | {"NODE_PATH": str(NODE_MODULES)}
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(120):
            output, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        assert call.url.startswith("https://" if tls else "http://")
        assert json.loads(output) == {
            "before": "Running",
            "command": "Success",
            "output": "hello\n",
            "after": "Running",
        }
        boots = [event["boot_id"] for event in call.events("boot")]
        assert len(set(boots)) == 2
        assert len(call.requests("RebootInstances")) == 1
        assert {row["code"] for action in ("DescribeInstances", "RunCommand") for row in call.requests(action)} == {
            "200"
        }
