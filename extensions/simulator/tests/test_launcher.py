# SPDX-License-Identifier: GPL-3.0-or-later
"""How a Launcher starts a script's file."""

from pathlib import Path

import pytest
from ecs_simulator.machines.launcher import command_line, file_ending
from simulator_helpers import make_fleet, serving

WEB = "i-bp1testlauncher0001"


@pytest.mark.parametrize(
    ("launcher", "ending", "line"),
    [
        ("", ".sh", "/s/t"),
        ("python3 -u", ".sh", "python3 -u /s/t"),
        ("python3 -u {{ACS::ScriptFileName}}", ".sh", "python3 -u /s/t"),
        ('python3 -u {{ACS::ScriptFileName|Ext(".py")}}', ".py", "python3 -u /s/t"),
        ("python3 {{ acs :: scriptfilename | ext( '.py' ) }} --all", ".py", "python3 /s/t --all"),
        ('test -e {{ACS::ScriptFileName}} && perl {{ACS::ScriptFileName|Ext("")}}', "", "test -e /s/t && perl /s/t"),
        ('python3 {{ACS::ScriptFileName|Ext("/../x")}}', ".sh", 'python3 {{ACS::ScriptFileName|Ext("/../x")}} /s/t'),
        ("python3 {{ACS::RegionId}}", ".sh", "python3 {{ACS::RegionId}} /s/t"),
    ],
)
def test_the_file_comes_last_or_where_the_launcher_says(launcher: str, ending: str, line: str) -> None:
    assert (file_ending(launcher, ".sh"), command_line(launcher, "/s/t")) == (ending, line)


async def test_the_example_of_the_sdk_runs(namespaces: None, tmp_path: Path) -> None:
    launcher = 'python3 -u {{ACS::ScriptFileName|Ext(".py")}}'
    async with serving(make_fleet({"name": "web-01", "id": WEB, "machine": "namespace"}), tmp_path) as call:
        script = "import sys; print(sys.argv[0].rpartition('/')[2])"
        invoke_id = await call.run(script, WEB, launcher=launcher, working_dir="/tmp")
        row = await call.result(invoke_id, WEB)
    assert (row["InvocationStatus"], row["Output"], row["Launcher"]) == ("Success", f"{invoke_id}.py\n", launcher)
