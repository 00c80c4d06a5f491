# SPDX-License-Identifier: GPL-3.0-or-later
"""Run gates with each pair of Python and ansible-core that this machine can have: ``python tests/tools/matrix.py``.

The Pythons are those on PATH and pyenv's, from 3.11 on; the versions of ansible-core are the newest of each minor
version from 2.19 on that the package index has for that Python. Each pair gets a copy of the tree with a virtual
environment of its own. Tests that are marked ``once`` are left out. ``--ends`` takes the oldest and the newest pair,
without the one of this virtual environment: ``make test`` has run that.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from ansible.release import __version__
from tree import ROOT, copy_tree

OLDEST_PYTHON = (3, 11)
OLDEST_CORE = (2, 19)
GATES = ["unit", "modules", "sanity", "targets", "integration"]
# Says nothing where the interpreter is a stub that fails, or cannot make virtual environments.
PROBE = "import ensurepip, sys, venv; print(*sys.version_info[:3])"

Version = tuple[int, ...]


def find_pythons() -> dict[Version, str]:
    """The newest interpreter of each minor version, by that version."""
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep) if ".venv" not in folder]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders += sorted(pyenv.glob("versions/*/bin"))
    best: dict[Version, tuple[Version, str]] = {}
    for candidate in [path for folder in folders for path in folder.glob("python3.[0-9]*")]:
        if not re.fullmatch(r"python3\.[0-9]+", candidate.name) or not os.access(candidate, os.X_OK):
            continue
        done = subprocess.run([candidate, "-c", PROBE], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            version = tuple(map(int, done.stdout.split()))
            if version[:2] >= OLDEST_PYTHON:
                best[version[:2]] = max(best.get(version[:2], ((), "")), (version, str(candidate)))
    return {minor: path for minor, (_version, path) in sorted(best.items())}


def find_cores(python: Version) -> list[str]:
    """The newest release of each minor version of ansible-core that runs on a Python."""
    index = [sys.executable, "-m", "pip", "index", "versions", "ansible-core", "--python-version"]
    answer = subprocess.run([*index, f"{python[0]}.{python[1]}"], capture_output=True, text=True, check=True).stdout
    newest: dict[Version, Version] = {}
    for text in re.findall(r"(?<![0-9.a-z])[0-9]+\.[0-9]+\.[0-9]+(?![0-9a-z])", answer.partition("Available")[2]):
        version = tuple(map(int, text.split(".")))
        if version[:2] >= OLDEST_CORE:
            newest[version[:2]] = max(newest.get(version[:2], ()), version)
    return [".".join(map(str, version)) for _minor, version in sorted(newest.items())]


def run(python: Version, path: str, core: str) -> bool:
    """Run the gates with one pair."""
    folder = ROOT / ".ansible" / "matrix" / f"python{python[0]}.{python[1]}-core{core}"
    folder.mkdir(parents=True, exist_ok=True)
    copy_tree(folder)
    # The outer make and its virtual environment are none of the inner one's business.
    outer = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "COVERAGE_FILE"}
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    environment["PYTEST_ADDOPTS"] = "-m 'not once'"
    environment["PATH"] = os.pathsep.join(word for word in environment["PATH"].split(os.pathsep) if ".venv" not in word)
    arguments = [f"PYTHON={path}", f"ANSIBLE_CORE=ansible-core=={core}", "MEASURED=", "--keep-going", *GATES]
    return subprocess.run(["make", "-C", str(folder), *arguments], env=environment, check=False).returncode == 0


def main() -> int:
    """Run all pairs, and say of each how it ended."""
    pairs = [(python, path, core) for python, path in find_pythons().items() for core in find_cores(python)]
    pairs.sort(key=lambda pair: (tuple(map(int, pair[2].split("."))), pair[0]))
    names = {pair: f"ansible-core {pair[2]} on Python {pair[0][0]}.{pair[0][1]}" for pair in pairs}
    if "--ends" in sys.argv:
        pairs = list(dict.fromkeys([pairs[0], pairs[-1]]))
        here = (sys.version_info[:2], __version__)
        print("\n".join(f"{names[pair]} is what make test runs" for pair in pairs if (pair[0], pair[2]) == here))
        pairs = [pair for pair in pairs if (pair[0], pair[2]) != here]
    print("Pairs: " + ", ".join(names[pair] for pair in pairs), flush=True)
    verdicts = []
    for pair in pairs:
        begin = time.monotonic()
        good = run(*pair)
        verdicts.append((good, f"{names[pair]} {'passed' if good else 'FAILED'} in {time.monotonic() - begin:.0f} s"))
        print(f"== {verdicts[-1][1]}", flush=True)
    print("\n".join(["Matrix:", *(f"  {words}" for _good, words in verdicts)]))
    return 0 if all(good for good, _words in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
