# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with rpm in a folder: packages and repositories that are built here, for the real dnf and zypper."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from ansible_collections.cloudops.alibaba.tests.unit.host_under_test import HostUnderTest

_SPEC = """
Name: {name}
Version: {version}
Release: 1
Summary: x
License: MIT
BuildArch: noarch
%description
x
%files
"""
_ADVISORY = """
<update from="x" status="final" type="{kind}" version="1">
<id>X-{name}-{version}</id><title>x</title><issued date="2026-01-01 00:00:00"/><severity>Important</severity>
<description>x</description>
<pkglist><collection><name>x</name>
<package name="{name}" version="{version}" release="1" epoch="0" arch="noarch" src="{name}.src.rpm">
<filename>{name}-{version}-1.noarch.rpm</filename>{restart}</package>
</collection></pkglist></update>
"""


@cache
def built(name: str, version: str) -> tuple[str, bytes]:
    """A package file: its name and its content."""
    with TemporaryDirectory() as folder:
        spec = Path(folder) / "x.spec"
        spec.write_text(_SPEC.format(name=name, version=version), encoding="utf-8")
        command = ["rpmbuild", "--quiet", "-bb", "--define", f"_topdir {folder}", spec]
        subprocess.run(command, check=True, capture_output=True)
        (package,) = Path(folder).glob("RPMS/*/*.rpm")
        return package.name, package.read_bytes()


def advisory(name: str, version: str, *, restart: str = "") -> str:
    """That a package is a security update, which may ask for a restart."""
    return _ADVISORY.format(kind="security", name=name, version=version, restart=restart)


def make_repository(folder: Path, *packages: tuple[str, bytes], advisories: Sequence[str] = ()) -> None:
    """A repository with these packages and advisories."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in packages:
        (folder / name).write_bytes(content)
    subprocess.run(["createrepo_c", "--quiet", "--no-database", folder], check=True, capture_output=True)
    if advisories:
        with TemporaryDirectory() as other:
            path = Path(other) / "updateinfo.xml"
            path.write_text(f"<updates>{''.join(advisories)}</updates>\n", encoding="utf-8")
            subprocess.run(["modifyrepo_c", path, folder / "repodata"], check=True, capture_output=True)


def rpm(*arguments: str) -> str:
    """Run rpm as a host does, and return what it prints: without HOME, below which Debian's keeps its database."""
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    return subprocess.run(["rpm", *arguments], env=environment, capture_output=True, text=True, check=True).stdout


class RealRpms:
    """What is installed on the host, and the repositories that it knows."""

    def __init__(self, host: HostUnderTest, folder: Path) -> None:
        self.root = folder / "root"
        self.root.mkdir()
        self.sources = folder / "sources"
        self.sources.mkdir()
        self._folder = folder
        host.program("rpm", f'exec /usr/bin/rpm --root={self.root} "$@"')

    @property
    def installed(self) -> dict[str, str]:
        lines = rpm(f"--root={self.root}", "-qa", "--qf", "%{NAME} %{VERSION}\n").splitlines()
        return dict(line.split() for line in lines)

    def install(self, *packages: tuple[str, bytes]) -> None:
        for name, content in packages:
            (self._folder / name).write_bytes(content)
        files = [str(self._folder / name) for name, _content in packages]
        # Elsewhere than on a Debian, rpm has nothing to be forced to.
        rpm(f"--root={self.root}", "-i", "--force-debian", "--nodeps", *files)

    def remove(self, name: str) -> None:
        rpm(f"--root={self.root}", "-e", name)

    def offer(self, *packages: tuple[str, bytes], security: tuple[str, str] | None = None, restart: str = "") -> Path:
        """A repository with these packages; one of them may be a security update, and ask for a restart."""
        repository = self._folder / "repository"
        advisories = [advisory(*security, restart=restart)] if security else []
        make_repository(repository, *packages, advisories=advisories)
        self.know("here", f"file://{repository}")
        return repository

    def know(self, name: str, address: str) -> None:
        """Let the package manager know of a repository, one that may be missing."""
        text = f"[{name}]\nname={name}\nbaseurl={address}\nenabled=1\ngpgcheck=0\nskip_if_unavailable=1\n"
        (self.sources / f"{name}.repo").write_text(text, encoding="utf-8")
