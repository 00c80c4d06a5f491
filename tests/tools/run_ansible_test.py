# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ``ansible-test`` on a copy of the checkout: ``python tests/tools/run_ansible_test.py sanity [options]``.

ansible-test wants the collection in a path of its own without symlinks, keeps its virtual environments below HOME,
downloads get-pip.py from a host of Ansible's, and passes no credentials to integration tests. So each command gets a
copy of the tree, a home of its own, a get-pip made of the wheel from the package index, and a configuration file. Where
there is no PowerShell, ``powershell.py`` stands in for it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import yaml
from ansible_test._internal.python_requirements import get_venv_packages
from tree import ROOT, copy_tree

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

# What get-pip.py does: run the pip of a wheel, to install that wheel.
GET_PIP = """\
import runpy, sys
sys.path.insert(0, {wheel!r})
sys.argv[1:] = [{wheel!r} if word.startswith("pip==") else word for word in sys.argv[1:] if word[:5] != "--no-"]
sys.argv.insert(1, "install")
runpy.run_module("pip", run_name="__main__")
"""


def provide_pip(home: Path) -> None:
    """Put a get-pip.py where ansible-test looks before it downloads one."""
    version = get_venv_packages(SimpleNamespace(version=PYTHON))["pip"]
    cache = home / ".ansible" / "test" / "cache"
    script = cache / f"get_pip_{version.replace('.', '_')}.py"
    if script.exists():
        return
    cache.mkdir(parents=True, exist_ok=True)
    download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(cache), f"pip=={version}"]
    subprocess.run(download, check=True)
    script.write_text(GET_PIP.format(wheel=str(next(cache.glob("pip-*.whl")))), encoding="utf-8")


def provide_powershell(base: Path) -> list[str]:
    """A folder for PATH with what stands in for PowerShell where there is none."""
    if shutil.which("pwsh"):
        return []
    program = base / "bin" / "pwsh"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT / "tests" / "tools" / "powershell.py"} "$@"\n')
    program.chmod(0o755)
    return [str(program.parent)]


def write_configuration(file: Path) -> None:
    """Hand the simulator's address and credentials to the integration targets."""
    options = {
        "endpoint": "ALIBABA_CLOUD_ECS_ENDPOINT",
        "region_id": "ALIBABA_CLOUD_REGION_ID",
        "access_key_id": "ALIBABA_CLOUD_ACCESS_KEY_ID",
        "access_key_secret": "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    }
    values = {option: os.environ[name] for option, name in options.items()}
    file.write_text(yaml.safe_dump({"simulator": values}), encoding="utf-8")


def main() -> int:
    """Run it and return its status."""
    command, *options = sys.argv[1:]
    base = ROOT / ".ansible" / "test" / command
    tree = base / "ansible_collections" / "cloudops" / "alibaba"
    tree.mkdir(parents=True, exist_ok=True)
    copy_tree(tree)
    provide_pip(base / "home")
    if command == "integration":
        write_configuration(tree / "tests" / "integration" / "integration_config.yml")
    # Not the whole PATH: ansible-test trips over pyenv's shims.
    environment = os.environ | {
        "HOME": str(base / "home"),
        "PATH": os.pathsep.join(
            [str(Path(sys.executable).parent), *provide_powershell(base), "/usr/local/bin", "/usr/bin", "/bin", "/sbin"]
        ),
    }
    return subprocess.run(
        ["ansible-test", command, "--venv", "--python", PYTHON, "--color", "no", *options],
        cwd=tree,
        env=environment,
        check=False,
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
