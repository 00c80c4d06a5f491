# SPDX-License-Identifier: GPL-3.0-or-later
"""The package as pip installs it, away from the repository."""

import json
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

SIMULATOR = Path(__file__).parents[1]
FLEET = "{access_keys: [{id: a, secret: b}], regions: {here: {instances: [{name: web, machine: MACHINE}]}}}"


def run(*command: str | Path) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the simulator, from a copy, and with what is installed here of what it depends on."""
    folder = tmp_path_factory.mktemp("package")
    copy = folder / "copy"
    ignored = shutil.ignore_patterns("*.egg-info", "__pycache__", "build")
    shutil.copytree(SIMULATOR, copy, ignore=ignored)
    python = folder / "venv" / "bin" / "python"
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    packages = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    # A path in such a file is only a path: the editable simulator in there is not found through it.
    Path(packages, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    # No build isolation and no dependencies: both would be fetched.
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-cache-dir", "--no-index"]
    run(*pip, "--no-deps", "--no-build-isolation", "--force-reinstall", copy)
    shutil.rmtree(copy)
    return python.parent


def test_it_works_on_its_own(installed: Path, tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.yml"
    fleet.write_text(FLEET.replace("MACHINE", "scripted"), encoding="utf-8")
    where = "import ecs_simulator; print(ecs_simulator.__file__)"
    done = run(installed / "ecs-simulator", "run", "--fleet", fleet, "--", installed / "python", "-c", where)
    assert Path(done.strip()).is_relative_to(installed.parent)


def test_its_extra_is_the_sdk_that_the_collection_takes() -> None:
    project = tomllib.loads((SIMULATOR / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = (SIMULATOR.parents[1] / "requirements.txt").read_text(encoding="utf-8").split()
    assert set(project["optional-dependencies"]["sdk"]) <= set(requirements)


def test_its_fixture_is_found(installed: Path) -> None:
    ask = "import importlib.metadata as m, json; print(json.dumps([e.value for e in m.entry_points(group='pytest11')]))"
    assert "ecs_simulator.pytest_plugin" in json.loads(run(installed / "python", "-c", ask))


@pytest.mark.usefixtures("namespaces")
def test_its_machines_have_their_programs(installed: Path, tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.yml"
    fleet.write_text(FLEET.replace("MACHINE", "namespace"), encoding="utf-8")
    state = tmp_path / "state"
    run(installed / "ecs-simulator", "run", "--fleet", fleet, "--state-dir", state, "--", "true")
    programs = {path.name for path in state.glob("machines/i-*/local/*/*")}
    assert {"dnf", "needs-restarting", "rpm", "shutdown"} <= programs
