# SPDX-License-Identifier: GPL-3.0-or-later
"""The step runner for Windows, as far as it can be known without Windows: that it is PowerShell, uses no name that
nobody has defined, calculates what others calculate, and agrees with the step runner in sh.
"""

from __future__ import annotations

import base64
import io
import re
import subprocess
import zipfile
from pathlib import Path

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._cloud_assistant.command import Command
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.delivery import (
    PS1_PARTS,
    Courier,
    read_runner,
    read_windows_runner,
)
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.steps import Policy, Step, Updates, work_of
from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.trailer import cksum, read_trailer
from hypothesis import given, settings
from hypothesis import strategies as st
from tools.powershell import nodes, parse, syntax_errors, text_of
from tools.powershell_pure import Pure

pytestmark = pytest.mark.once

FILES = Path(__file__).resolve().parents[2] / "roles" / "patch_hosts" / "files"
PARTS = sorted(FILES.rglob("*.ps1"))
RUNNER, SMALL = read_windows_runner(FILES), read_windows_runner(FILES, updates=False)
DELIVER = (FILES / "deliver.ps1").read_text(encoding="utf-8")
WRITTEN = "".join((FILES / "runner" / f"{part}.ps1").read_text(encoding="utf-8") for part in PS1_PARTS)
SH = "".join(path.read_text(encoding="utf-8") for path in sorted((FILES / "runner").glob("*.sh")))
UNPACK = Pure(DELIVER, {"$alphabet": re.search(r"^\$alphabet = '(.*)'$", DELIVER, re.MULTILINE)[1]})  # type: ignore[index]
PURE = Pure(WRITTEN, {"$WORD_BYTES": 200})
OS_UPDATES = Step("os_updates", builtin="os_updates", updates=Updates("all"), rerun=True)
POLICY = Policy("CHG-1", "if_required", settle_s=120, most_restarts=3)
# Of PowerShell itself.
COMMANDS = {
    "Add-Type",
    "ForEach-Object",
    "Get-Acl",
    "Get-ChildItem",
    "Get-CimClass",
    "Get-CimInstance",
    "Get-Content",
    "Get-Item",
    "Get-ItemProperty",
    "Get-Process",
    "Invoke-CimMethod",
    "New-CimInstance",
    "New-Item",
    "New-Object",
    "Remove-Item",
    "Set-Acl",
    "Set-StrictMode",
    "Split-Path",
    "Start-Sleep",
    "Test-Path",
    "Where-Object",
}
VARIABLES = {
    "_",
    "args",
    "env",
    "ErrorActionPreference",
    "ExecutionContext",
    "false",
    "LASTEXITCODE",
    "null",
    "PID",
    "ProgressPreference",
    "PSCommandPath",
    "PSVersionTable",
    "true",
}


def script(*steps: Step) -> str:
    return Courier(FILES).script(POLICY, steps, method="exit_code", sent_at=100, not_after=200, platform="windows")


def unpack(delivery: str) -> dict[str, bytes]:
    payload = re.search(r"@'\n(.*)\n'@", delivery)
    assert payload
    with zipfile.ZipFile(io.BytesIO(base64.b85decode(payload[1]))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("path", PARTS, ids=lambda path: path.name)
def test_each_part_is_powershell_in_ascii(path: Path) -> None:
    """Windows PowerShell takes what has no mark at its beginning for text in the system's code page."""
    text = path.read_text(encoding="ascii")
    assert syntax_errors(text) == []
    assert all(len(line) <= 120 for line in text.splitlines())


@pytest.mark.parametrize("text", [RUNNER, SMALL, script(OS_UPDATES)], ids=["whole", "small", "delivery"])
def test_what_is_sent_is_powershell(text: str) -> None:
    assert syntax_errors(text) == []
    assert text.isascii()
    assert not re.search(r"^ *(#|//)|^ *\n", text, re.MULTILINE)


@pytest.mark.parametrize("text", [WRITTEN, RUNNER, DELIVER], ids=["as written", "as sent", "deliver"])
def test_every_command_is_defined(text: str) -> None:
    tree = parse(text)
    defined = {text_of(node.named_children[0]) for node in nodes(tree) if node.type == "function_statement"}
    called = {text_of(node) for node in nodes(tree) if node.type == "command_name"}
    assert called - defined - {"exit"} <= COMMANDS
    assert len(defined) == len(re.findall(r"^ *function ", text, re.MULTILINE))


@pytest.mark.parametrize("text", [WRITTEN, RUNNER], ids=["as written", "as sent"])
def test_every_variable_has_a_value(text: str) -> None:
    """With Set-StrictMode a name that has none ends the runner."""
    functions = [node for node in nodes(parse(text)) if node.type == "function_statement"]
    top = text
    for function in functions:
        top = top.replace(text_of(function), "")
    of_script = set(re.findall(r"^\$(?:script:)?(\w+) = ", top, re.MULTILINE))
    assert set(re.findall(r"\$\{?script:(\w+)", text)) <= set(re.findall(r"^\$script:(\w+) = ", top, re.MULTILINE))
    for function in functions:
        # What the compiler reads is no PowerShell.
        body = re.sub(r"@'\n.*\n'@", "", text_of(function), flags=re.DOTALL)
        own = set(re.findall(r"\[\w+(?:\[\])?\]\$(\w+)", body)) | set(re.findall(r"foreach \(\$(\w+) in", body))
        own |= set(re.findall(r"\$(\w+)(?=(?:, \$\w+)* \+?= )", body))
        known = {name.lower() for name in own | of_script | VARIABLES}
        # Those with a scope are looked at above.
        names = {name.lower() for name in re.findall(r"\$\{?(\w+)(?![\w:])", body)} - {"script", "env"}
        assert names <= known, text_of(function.named_children[0])


@pytest.mark.parametrize("data", [b"", b"\x00", b"123456789", bytes(range(256)) * 2], ids=len)
def test_the_checksum_is_that_of_cksum(data: bytes) -> None:
    done = subprocess.run(["cksum"], input=data, capture_output=True, check=True)
    assert PURE.call("Get-Cksum", data) == int(done.stdout.split()[0]) == cksum(data)


@settings(max_examples=30)
@given(st.text(max_size=300))
def test_a_word_of_the_trailer_is_one_word(text: str) -> None:
    word = PURE.call("ConvertTo-Word", text)
    assert re.fullmatch(r"[A-Za-z0-9._+~:,/@()%-]*", word)
    assert word.replace("%20", " ") == re.sub(r"[^A-Za-z0-9._+~:,/@() -]", "_", text)[:200]


def test_lines_are_packed_as_many_as_fit() -> None:
    assert PURE.call("ConvertTo-Pack", ["KB1 missing installed", 'a "b" c%20d', "e f g"], 36) == (
        "KB1|missing|installed;a|_b_|c%20d"
    )
    assert PURE.call("ConvertTo-Pack", [], 40) == ""


@settings(max_examples=20)
@given(st.binary(max_size=64).map(lambda data: data + b"\x00" * (-len(data) % 4)))
def test_the_payload_is_read_as_it_was_written(data: bytes) -> None:
    read = [0] * len(data)
    UNPACK.call("Read-Base85", base64.b85encode(data).decode(), read)
    assert bytes(read) == data


@pytest.mark.parametrize(
    ("waits", "installed", "standing"),
    [
        (False, [], "new"),
        (True, [], "waits"),
        (False, ["other.1 B1 none KB1"], "new"),
        (False, ["this.1 B2 restart KB2"], "waits"),
        (True, ["this.1 B2 restart KB2"], "waits"),
        (False, ["this.1 B2 none KB2"], "again"),
        (False, ["this.1 B1 restart KB2"], "again"),
        (True, ["this.1 B1 restart KB2"], "again"),
        (False, ["this.1 B1 restart KB2", "this.1 B2 restart KB2"], "again"),
        (False, ["this.2 B1 none KB2"], "new"),
    ],
)
def test_an_update_that_is_offered_again_is_told_from_one_that_waits(
    waits: bool, installed: list[str], standing: str
) -> None:
    """B2 is this boot. Another revision of an update is another update."""
    updates = Pure(WRITTEN, {"$script:boot": "B2"}, {"Get-Line": installed})
    assert updates.call("Get-Standing", {"id": "this.1", "waits": waits}) == standing


def test_a_delivery_carries_the_runner_the_request_and_the_steps() -> None:
    steps = [
        OS_UPDATES,
        Step("x", script="Write-Output 'ä'\nexit 0\n", unless="exit 1\n", restart="never", platform="windows"),
    ]
    delivery = script(*steps)
    assert delivery == script(*steps)
    files = unpack(delivery)
    assert files["runner.ps1"].decode("ascii") == RUNNER
    assert f"work={work_of(POLICY, steps, 'exit_code')}" in files["request"].decode().splitlines()
    assert files["steps/02/script.ps1"].decode("utf-8-sig") == steps[1].script
    assert files["steps/02/script.ps1"].startswith(b"\xef\xbb\xbf")
    assert files["steps/02/unless.ps1"].decode("utf-8-sig") == steps[1].unless
    Command(delivery, "RunPowerShellScript").check()
    assert unpack(script(steps[1]))["runner.ps1"].decode("ascii") == SMALL


# --- the same as in sh ---------------------------------------------------------------------------------------------


def constants(text: str) -> dict[str, int]:
    return {name: int(value) for name, value in re.findall(r"^\$?([A-Z][A-Z_]+) ?= ?(\d+)", text, re.MULTILINE)}


def test_exit_codes_limits_and_patience_are_the_same() -> None:
    sh, windows = constants(SH), constants(WRITTEN)
    same = sh.keys() - {"EXIT_RESTART", "EVIDENCE_TIMEOUT_S", "LOOK_TIMEOUT_S", "DIFFERENCES_BYTES"}
    assert {name: windows.get(name) for name in same} == {name: sh[name] for name in same}
    assert (sh["EXIT_RESTART"], windows["EXIT_RESTART"]) == (194, 3010)
    assert f"exit {windows['EXIT_RECORD']}" in SH
    assert windows["EXIT_REFUSED"] == int(re.search(r"exit (\d+)", DELIVER)[1])  # type: ignore[index]


def test_the_verbs_are_the_same() -> None:
    """Where sh has a watch over a step, its leader watches over it; and Windows Update is a process of its own.

    Assessing (look) and the health of hosts (check) are not there for Windows.
    """
    sh = set(re.findall(r"^  (\w+)\) \w+ \"\$@\" ;;$", SH, re.MULTILINE))
    windows = set(re.findall(r"^        '(\w+)' \{", WRITTEN, re.MULTILINE))
    assert (sh - windows, windows - sh) == ({"watch", "look", "check"}, {"os_updates"})


def records(text: str, names: str) -> set[str]:
    return {name.split(".")[0] for name in re.findall(names, text)}


def test_the_records_are_the_same() -> None:
    documented = set(re.findall(r"^#   RUN/(?:steps/NAME/)?([a-z_]+)", SH, re.MULTILINE))
    in_sh = records(SH, r"\$(?:run|records)/([a-z_.]+)") | records(SH, r"\$run/steps/\$name/([a-z_]+)")
    windows = records(WRITTEN, r"\$(?:script:)?(?:run|records)\\([a-z_.]+)")
    only_linux = {"apt", "zypp", "assessed", "before", "after", "differences", "health", "http", "net"}
    assert documented - only_linux <= windows
    assert in_sh - only_linux <= windows
    assert windows - documented - in_sh == {"output", "updates"}


def test_the_request_is_read_the_same() -> None:
    request = set(re.findall(r"^    (\w+)\) \w+=\$value ;;$", SH, re.MULTILINE))
    windows = set(re.findall(r"'(\w+)'", re.search(r"foreach \(\$key in ('ends_at'.*?)\) \{", WRITTEN, re.DOTALL)[1]))  # type: ignore[index]
    windows |= set(re.findall(r"'(\w+)'", re.search(r"foreach \(\$key in ('attempts'.*?)\) \{", WRITTEN)[1]))  # type: ignore[index]
    assert request - windows == {"same", "health_timeout_s", "health_pause_s", "health_attempt_timeout_s"}
    assert windows <= request


def trailer_keys(text: str) -> list[str]:
    return re.findall(r"(?<![\w$:{])([a-z_]+)=(?=%s|\{\d\}|yes|\$|')", text)


def test_the_trailer_has_the_same_words_in_the_same_order() -> None:
    def end(text: str, start: str, stop: str) -> str:
        return text[text.index(start) : text.index(stop, text.index(start))]

    sh = end(SH, "printf ' again=", "Without room")
    windows = end(WRITTEN, "$words = @(\n        (Get-TrailerStart", "Without room")
    not_there = {"expected", "expected_reason", "differences_count", "differences", "room", "trailer"}
    assert trailer_keys(windows) == [key for key in trailer_keys(sh) if key not in not_there]
    start = trailer_keys(end(WRITTEN, "'cloudops.alibaba/1 ", "\n"))
    assert start == trailer_keys(end(SH, "'cloudops.alibaba/1 ", "\n")) == ["run", "state", "method", "boot", "at"]


def test_the_states_are_the_same() -> None:
    states = r"(?:end_with|leave|Stop-Keeper|Stop-Runner) '?(\w+)'? "
    names = {"done", "restart", "failed", "pending", "busy", "late", "refused"}
    assert set(re.findall(states, SH)) & names == names
    assert set(re.findall(states, WRITTEN)) & names == names


def test_a_trailer_of_windows_is_read() -> None:
    """What the format strings of the runner make, with the checksum that its own function makes."""
    boot, before = "2026-11-30T20:10:00.5000000Z", "2026-11-30T19:00:00.1234567Z"
    text = (
        f"cloudops.alibaba/1 run=CHG-1 state=done method=exit_code boot={boot} at=2026-11-30T20:12:00Z again=no wait=0 "
        "blame=script reason= log=C:\\ProgramData\\cloudops.alibaba\\runs\\CHG-1\\log for=delivery.1a2b3c4d "
        f"work=0 changed=yes steps=os_updates:done:1 evidence=not_required evidence_reason= stale= "
        f"restarts=exit_code|{before}|{boot}|2026-11-30T20:08:00Z|2026-11-30T20:12:00Z|step:os_updates "
        "packages_count=1 packages=KB5031364|missing|installed"
    )
    line = f"{text} cksum={PURE.call('Get-Cksum', text.encode())}"
    trailer = read_trailer(f"os_updates: done\r\n{line}\r\n", "CHG-1")
    assert trailer
    (receipt,) = trailer.restarts
    assert (receipt.verdict, receipt.boot_id_before, receipt.boot_id_after) == ("restarted", before, boot)
    assert trailer.packages == ({"name": "KB5031364", "from": "missing", "to": "installed"},)
    assert trailer.log == "C:\\ProgramData\\cloudops.alibaba\\runs\\CHG-1\\log"


def test_the_sh_runner_is_what_is_compared() -> None:
    assert "continue_run" in read_runner(FILES)
