# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian in a folder: the real apt and dpkg, with repositories of packages that are built here."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from ansible_collections.cloudops.alibaba.tests.unit.host_under_test import HostUnderTest

_CONFIG = """
Dir "{root}";
Dir::State::status "{root}/var/lib/dpkg/status";
Dir::Bin::dpkg "/usr/bin/dpkg";
Dir::Bin::methods "/usr/lib/apt/methods";
Dir::Log::Terminal "";
APT::Sandbox::User "root";
APT::Architecture "all";
APT::Architectures {{ "all"; "amd64"; }};
Acquire::Languages "none";
DPkg::Options {{ "--root={root}"; "--force-script-chrootless"; "--log=/dev/null"; }};
"""


def build(folder: Path, name: str, version: str, *, conffile: str = "", postinst: str = "", depends: str = "") -> Path:
    """A package file in a folder."""
    tree = folder / f"{name}_{version}"
    control = tree / "DEBIAN"
    control.mkdir(parents=True)
    fields = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: x <x@example.com>\n"
    fields += f"Depends: {depends}\n" if depends else ""
    (control / "control").write_text(f"{fields}Description: x\n", encoding="utf-8")
    if conffile:
        (tree / "etc").mkdir()
        (tree / "etc" / f"{name}.conf").write_text(conffile, encoding="utf-8")
        (control / "conffiles").write_text(f"/etc/{name}.conf\n", encoding="utf-8")
    if postinst:
        (control / "postinst").write_text(f"#!/bin/sh\n{postinst}\n", encoding="utf-8")
        (control / "postinst").chmod(0o755)
    package = folder / f"{name}_{version}.deb"
    subprocess.run(["dpkg-deb", "--build", "-Znone", tree, package], check=True, stdout=subprocess.DEVNULL)
    return package


def make_repository(folder: Path, *packages: Path, label: str = "Here") -> None:
    """A repository with these packages, of the suite that the folder is named after."""
    folder.mkdir(parents=True, exist_ok=True)
    index = ""
    for package in packages:
        content = package.read_bytes()
        (folder / package.name).write_bytes(content)
        control = subprocess.run(["dpkg-deb", "--field", package], capture_output=True, text=True, check=True).stdout
        sum_ = hashlib.sha256(content).hexdigest()
        index += f"{control.strip()}\nFilename: ./{package.name}\nSize: {len(content)}\nSHA256: {sum_}\n\n"
    (folder / "Packages").write_text(index, encoding="utf-8")
    sum_ = hashlib.sha256(index.encode()).hexdigest()
    (folder / "Release").write_text(
        f"Suite: {folder.name}\nCodename: {folder.name}\nLabel: {label}\nOrigin: {label}\n"
        f"Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {sum_} {len(index)} Packages\n",
        encoding="utf-8",
    )


class RealApt:
    """What the host's apt has installed, and what is to be had."""

    def __init__(self, host: HostUnderTest, folder: Path) -> None:
        self.root = folder / "root"
        self._folder = folder
        for name in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/dpkg/updates", "var/lib/dpkg/info", "run"):
            (self.root / name).mkdir(parents=True)
        for name in ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/log/apt"):
            (self.root / name).mkdir(parents=True)
        (self.root / "var/lib/dpkg/status").touch()
        config = folder / "apt.conf"
        config.write_text(_CONFIG.format(root=self.root), encoding="utf-8")
        for program in ("apt-get", "apt-mark"):
            host.program(program, f'export APT_CONFIG={config}; exec /usr/bin/{program} "$@"')
        dpkg = f"--root={self.root} --force-script-chrootless --log=/dev/null"
        host.program("dpkg", f'exec /usr/bin/dpkg {dpkg} "$@"')
        host.program("dpkg-query", f'exec /usr/bin/dpkg-query --admindir={self.root}/var/lib/dpkg "$@"')
        self._host = host
        host.distribution("debian")
        host.runner_text = host.runner_text.replace(
            f"{host.etc}/run-reboot-required", f"{self.root}/run/reboot-required"
        )

    def run(self, *command: str) -> str:
        """Run one of the programs as the host would."""
        done = subprocess.run(
            command,
            env=self._host.environment,
            executable=str(self._host.programs / command[0]),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    @property
    def installed(self) -> dict[str, str]:
        lines = self.run("dpkg-query", "-W", "-f", "${Package} ${Version}\n").splitlines()
        return dict(line.split() for line in lines)

    def build(self, name: str, version: str, *, conffile: str = "", postinst: str = "", depends: str = "") -> Path:
        """A package file."""
        return build(self._folder / "build", name, version, conffile=conffile, postinst=postinst, depends=depends)

    def offer(self, suite: str, *packages: Path, label: str = "Here") -> Path:
        """A repository with these packages, and apt knows of it."""
        repository = self._folder / "repositories" / suite
        make_repository(repository, *packages, label=label)
        self.know(suite, f"file:{repository}")
        return repository

    def know(self, name: str, address: str) -> None:
        """Let apt know of a repository."""
        sources = self.root / "etc/apt/sources.list.d"
        sources.mkdir(exist_ok=True)
        (sources / f"{name}.list").write_text(f"deb [trusted=yes] {address} ./\n", encoding="utf-8")

    def install(self, *packages: Path) -> None:
        self.run("dpkg", "--install", *map(str, packages))
