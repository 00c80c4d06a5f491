# SPDX-License-Identifier: GPL-3.0-or-later
"""The scripts that put files in their places, run by real shells."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._cloud_assistant import placing
from ansible_collections.cloudops.alibaba.plugins.module_utils._cloud_assistant.placing import (
    File,
    read_state,
    read_trouble,
)
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk import limits
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import BadInput

SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]
TEXT = b"a line\n\x00\xff it's $HOME `x`\n"


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A shell, told by the name that it is called by."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sh").symlink_to(shutil.which(request.param) or "")
    return str(tmp_path / "bin" / "sh")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the files are; parts arrive beside it."""
    monkeypatch.setattr(placing, "FOLDER", str(tmp_path / "incoming"))
    (tmp_path / "a folder").mkdir()
    return tmp_path / "a folder"


def run(shell: str, script: str) -> str | None:
    """What the script tells of the file; its complaint where it fails."""
    done = subprocess.run([shell, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    assert done.returncode == (1 if read_trouble(done.stdout) else 0)
    return read_state(done.stdout) or read_trouble(done.stdout)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_put_there_once(shell: str, folder: Path) -> None:
    file = File(str(folder / "it's.txt"), TEXT, mode="0640")
    assert run(shell, file.script_to_look()) == "differs"
    assert not Path(file.path).exists()
    assert run(shell, file.script_with_payload()) == "changed"
    assert (Path(file.path).read_bytes(), mode_of(Path(file.path))) == (TEXT, 0o640)
    before = Path(file.path).stat()
    assert run(shell, file.script_with_payload()) == "same"
    assert run(shell, file.script_to_look()) == "same"
    assert Path(file.path).stat() == before
    assert os.listdir(folder) == ["it's.txt"]


def test_an_empty_file_is_a_file(shell: str, folder: Path) -> None:
    file = File(str(folder / "empty"), b"")
    assert run(shell, file.script_with_payload()) == "changed"
    assert (Path(file.path).read_bytes(), mode_of(Path(file.path))) == (b"", 0o644)


def test_another_text_takes_the_place_of_the_old_one_and_keeps_its_access(shell: str, folder: Path) -> None:
    path = folder / "file"
    path.write_text("old")
    path.chmod(0o4711)
    inode = path.stat().st_ino
    assert run(shell, File(str(path), TEXT).script_with_payload()) == "changed"
    assert (path.read_bytes(), mode_of(path)) == (TEXT, 0o4711)
    assert path.stat().st_ino != inode


def test_only_its_mode_is_changed_where_only_that_differs(shell: str, folder: Path) -> None:
    path = folder / "file"
    path.write_bytes(TEXT)
    inode = path.stat().st_ino
    assert run(shell, File(str(path), TEXT, mode="600").script_with_payload()) == "changed"
    assert (path.stat().st_ino, mode_of(path)) == (inode, 0o600)


def test_a_link_is_followed(shell: str, folder: Path) -> None:
    (folder / "link").symlink_to(folder / "target")
    (folder / "target").write_text("old")
    assert run(shell, File(str(folder / "link"), TEXT).script_with_payload()) == "changed"
    assert (folder / "link").is_symlink()
    assert (folder / "target").read_bytes() == TEXT


def test_owner_and_group_by_name_or_number(shell: str, folder: Path) -> None:
    path = folder / "file"
    for owner, group in (
        (str(os.getuid()), None),
        (None, str(os.getgid())),
        (path.parent.owner(), path.parent.group()),
    ):
        file = File(str(path), TEXT, owner=owner, group=group)
        assert run(shell, file.script_with_payload()) in ("changed", "same")
        assert run(shell, file.script_with_payload()) == "same"


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("no folder/file", {}, "/no folder is not there."),
        ("", {}, "It is a folder."),
        ("file", {"owner": "nobody-of-this-name"}, "Its owner cannot be set: "),
    ],
)
def test_what_cannot_be_is_said_and_leaves_nothing(
    shell: str, folder: Path, name: str, more: dict[str, str], words: str
) -> None:
    file = File(str(folder / name).rstrip("/") if name else str(folder), TEXT, **more)
    assert words in str(run(shell, file.script_with_payload()))
    assert words in str(run(shell, file.script_to_prepare(f"{placing.FOLDER}/stage")))
    assert os.listdir(folder) == []


def test_parts_are_joined(shell: str, folder: Path) -> None:
    file = File(str(folder / "file"), os.urandom(60_000), mode="755")
    stage = Path(placing.FOLDER) / "stage"
    assert run(shell, file.script_to_prepare(str(stage))) == "differs"
    assert mode_of(stage) == 0o700
    assert len(file.parts) == 3
    for number, part in enumerate(file.parts):
        assert len(part) <= 24_576
        (stage / f"part-{number:04d}").write_bytes(part)
    assert run(shell, file.script_to_assemble(str(stage), 5)) == "changed"
    assert Path(file.path).read_bytes() == file.content
    assert not stage.exists()
    assert run(shell, file.script_to_prepare(str(stage))) == "same"
    assert not stage.exists()


def test_parts_that_do_not_come_are_missed(shell: str, folder: Path) -> None:
    file = File(str(folder / "file"), os.urandom(60_000))
    stage = Path(placing.FOLDER) / "stage"
    run(shell, file.script_to_prepare(str(stage)))
    (stage / "part-0000").write_bytes(file.parts[0])
    assert run(shell, file.script_to_assemble(str(stage), 0)) == "Only 1 of its 3 parts arrived."
    assert os.listdir(folder) == []
    assert not stage.exists()


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (File("etc/motd", b""), "dest must be the whole path of a file"),
        (File("/etc/", b""), "dest must be the whole path of a file"),
        (
            File("C:\\x", b""),
            "a path of Windows, and ecs_send_file puts files on instances with Linux only. Let a Power",
        ),
        (File("d:/x", b""), "a path of Windows"),
        (File("\\\\server\\x", b""), "a path of Windows"),
        (File("/" + "x" * 5000, b""), "dest has 5001 bytes, and Linux takes at most 4095."),
        (File("/etc/x", b"x" * (limits.FILE_BYTES + 1)), "The file is too long: 10485761 bytes"),
        (File("/etc/x", b"", mode="420o"), "mode must be three or four octal digits in quotes, such as '0644'"),
        (File("/etc/x", b"", mode=0o644), "mode must be three or four octal digits in quotes, such as '0644', not 420"),
        (File("/etc/x", b"", mode="u=rw"), "mode must be"),
        (File("/etc/x", b"", owner="a b"), "owner must be a name or a number"),
        (File("/etc/x", b"", group="$(id)"), "group must be a name or a number"),
    ],
)
def test_what_is_no_file_is_refused(file: File, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        file.check()
    assert words in str(caught.value)
