# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in package manager follows the fleet file, also where a state folder is kept."""

from pathlib import Path
from typing import Any

import pytest
from simulator_helpers import make_fleet, serving

pytestmark = pytest.mark.usefixtures("namespaces")

WEB = "i-bp1web0000000001"
KERNEL = {"name": "kernel", "from": "1", "to": "2", "restart": True}
CURL = {"name": "curl", "from": "8.1", "to": "8.2", "fails": 1}


async def sh(folder: Path, script: str, **instance: Any) -> str:
    """Run a script on a machine of the folder, as its fleet file describes it now; the output."""
    fleet = make_fleet({"name": "web-01", "id": WEB, "boot_s": 0, **instance})
    async with serving(fleet, folder, machine="namespace") as call:
        result = await call.result(await call.run(script, WEB), WEB)
        output: str = result["Output"]
        return output


LOOK = "dnf -q check-update | awk '{print $1, $2}'; dnf -q list --installed | awk 'NR > 1 {print $1, $2}'"


def seen(output: str) -> list[str]:
    return [line.replace(".x86_64", "") for line in output.split("\n") if line.strip()]


async def test_a_machine_without_updates_has_a_package_manager_all_the_same(tmp_path: Path) -> None:
    output = await sh(tmp_path, "dnf -q check-update && needs-restarting -r && dnf -y upgrade")
    assert output.endswith("Nothing to do.\nComplete!\n")


async def test_a_machine_has_none_when_told_so(tmp_path: Path) -> None:
    script = "ls /usr/local/bin /var/lib"
    assert "dnf" not in await sh(tmp_path, script, dnf=False)
    assert "dnf" in await sh(tmp_path, script, updates=[KERNEL])
    output = await sh(tmp_path, script, dnf=False)
    assert "dnf" not in output
    assert "needs-restarting" not in output
    assert "updates" not in output


async def test_updates_that_are_declared_later_appear_and_what_is_installed_stays(tmp_path: Path) -> None:
    assert await sh(tmp_path, LOOK) == ""
    output = await sh(tmp_path, f"dnf -q -y upgrade kernel; {LOOK}", updates=[KERNEL, CURL])
    assert seen(output) == ["curl 8.2", "kernel 2", "curl 8.1"]
    bash = {"name": "bash", "from": "5.1", "to": "5.2"}
    output = await sh(tmp_path, LOOK, updates=[KERNEL, CURL | {"to": "8.3"}, bash])
    assert seen(output) == ["curl 8.3", "bash 5.2", "kernel 2", "curl 8.1", "bash 5.1"]
    output = await sh(tmp_path, LOOK, updates=[KERNEL | {"from": "2", "to": "3"}, bash])
    assert seen(output) == ["kernel 3", "bash 5.2", "kernel 2", "curl 8.1", "bash 5.1"]


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ("--security", ["kernel 2"]),
        ("--exclude=cu*,nosuch", ["curl 8.2"]),
        ("k* nosuch", ["curl 8.2"]),
        ("--security kernel", ["kernel 2", "curl 8.2"]),
    ],
)
async def test_dnf_updates_what_it_is_asked_for(tmp_path: Path, options: str, left: list[str]) -> None:
    script = (
        f"set -f; dnf -q check-update {options} >/dev/null; dnf -q -y upgrade {options}; "
        "dnf -q check-update | awk '{print $1, $2}'; rpm -qa --qf x | grep -c curl"
    )
    updates = [KERNEL, CURL | {"fails": 0, "security": True}]
    assert seen(await sh(tmp_path, script, updates=updates)) == [*left, "1"]


async def test_dnf_shows_its_table_to_who_does_not_confirm(tmp_path: Path) -> None:
    script = f"dnf --assumeno --exclude=cu* upgrade; echo $?; {LOOK}"
    output = seen(await sh(tmp_path, script, updates=[KERNEL, CURL]))
    table, rest = output[: output.index("1") + 1], output[output.index("1") + 1 :]
    assert [line.split()[:3] for line in table if line.startswith(" ")] == [
        ["Package", "Arch", "Version"],
        ["kernel", "x86_64", "2"],
    ]
    assert "Operation aborted." in table
    assert rest == ["kernel 2", "curl 8.2", "kernel 1", "curl 8.1"]


async def test_a_fleet_file_that_is_as_before_changes_nothing(tmp_path: Path) -> None:
    """An attempt that has failed does not fail again."""
    assert "Curl error" in await sh(tmp_path, "dnf -q -y upgrade", updates=[CURL])
    assert seen(await sh(tmp_path, f"dnf -q -y upgrade; {LOOK}", updates=[CURL])) == ["curl 8.2"]
