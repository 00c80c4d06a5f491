# SPDX-License-Identifier: GPL-3.0-or-later
"""What scripted machines answer."""

from pathlib import Path

import pytest
from ecs_simulator.errors import FleetError
from ecs_simulator.fleet import Answer
from ecs_simulator.machines.answers import Boot, answer_to, fill
from simulator_helpers import REGION, Caller, make_fleet, serving

BOOT = Boot("11111111-2222-4333-8444-555555555555", 1_800_000_000.25)


def output(text: str, *answers: Answer, given: dict[int, int] | None = None) -> str:
    return fill(answer_to(answers, given or {}, text, BOOT)[1].output, BOOT, "i-1", "web-1")


def test_the_first_answer_that_fits_counts() -> None:
    answers = (Answer(match="b", output="1"), Answer(regex="^a.c$", output="2"), Answer(output="3"))
    assert [output(text, *answers) for text in ("abc", "axc", "x")] == ["1", "2", "3"]
    assert output("nothing fits") == ""


def test_an_answer_is_given_so_many_times() -> None:
    answers = (Answer(match="a", output="first", times=2), Answer(match="a", output="then"))
    assert output("a", *answers, given={0: 1}) == "first"
    assert output("a", *answers, given={0: 2}) == "then"


def test_outputs_are_filled_in_and_other_braces_stay() -> None:
    assert output("x", Answer(output='{"id": "{instance_id}", "{1}": {}}')) == '{"id": "i-1", "{1}": {}}'
    assert output("say hi", Answer(regex=r"say (\w+)( now)?", output="{1}{2} from {hostname}, {boot_id}")) == (
        f"hi from web-1, {BOOT.id}"
    )
    assert output("x", Answer(output="{last_boot_up_time}")) == "2027-01-15T08:00:00.2500000Z"


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        ("cat /proc/sys/kernel/random/boot_id", f"{BOOT.id}\n"),
        ('f=/proc/sys/kernel/random/boot_id\necho "no $f"\necho "n0nce $(cat "$f")"', f"n0nce {BOOT.id}\n"),
        ('echo "<$(cat /proc/sys/kernel/random/boot_id)>"', f"<{BOOT.id}>\n"),
        (
            "(Get-CimInstance Win32_OperatingSystem).LastBootUpTime.ToUniversalTime().ToString('o')",
            "2027-01-15T08:00:00.2500000Z\r\n",
        ),
        ('$t = (gcim Win32_OperatingSystem).LastBootUpTime\nWrite-Output "n0nce $($t.Ticks)"', "n0nce TICKS\r\n"),
        ("(gcim Win32_OperatingSystem).LastBootUpTime.ToFileTimeUtc()", "FILETIME\r\n"),
        ("cat /proc/sys/kernel/random/boot_id" + " # long" * 200, ""),
    ],
)
def test_the_identity_of_the_boot_is_known(text: str, identity: str) -> None:
    # .NET counts 100 ns from the year 1, Windows files from 1601.
    identity = identity.replace("TICKS", "639355968002500000").replace("FILETIME", "134444736002500000")
    assert output(text) == identity
    assert output(text, Answer(output="anything")) == (identity or "anything")
    assert output(text, Answer(match="oot", output="mine")) == "mine"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"match": "a", "regex": "b"}, "regex goes without match"),
        ({"regex": "("}, "regex is not a regular expression: missing )"),
        ({"times": -1}, "times must be at least 0"),
        ({"seconds": -1}, "seconds must be at least 0"),
    ],
)
def test_a_wrong_answer_is_one_sentence(answer: dict[str, object], sentence: str) -> None:
    with pytest.raises(FleetError, match=sentence.replace("(", r"\(").replace(")", r"\)")):
        make_fleet({"name": "web", "answers": [answer]})


async def test_a_restart_changes_what_a_machine_tells_of_its_boot(tmp_path: Path) -> None:
    fleet = make_fleet(
        {
            "name": "web-{n}",
            "count": 2,
            "machine": "scripted",
            "answers": [{"match": "install", "exit_code": 194, "times": 1}],
        },
        {"name": "win", "os": "windows"},
        clock="virtual",
    )

    async def say(caller: Caller, script: str, instance_id: str, kind: str = "RunShellScript") -> tuple[str, int]:
        clock = caller.simulator._clock
        answer = await caller(
            "RunCommand", region_id=REGION, type=kind, command_content=script, instance_id=[instance_id]
        )
        await clock.advance(5)  # type: ignore[attr-defined]
        row = await caller.row(answer["InvokeId"], instance_id)
        return row["Output"], row["ExitCode"]

    async with serving(fleet, tmp_path) as caller:
        rows = (await caller("DescribeInstances", region_id=REGION))["Instances"]["Instance"]
        one, other, win = (row["InstanceId"] for row in rows)
        probe = "cat /proc/sys/kernel/random/boot_id"
        before = await say(caller, probe, one)
        assert await say(caller, "install", one) == ("", 194)
        assert await say(caller, "install", one) == ("", 0)
        after = await say(caller, probe, one)
        assert before != after
        assert [event["boot_id"] + "\n" for event in caller.events("boot") if event["instance_id"] == one] == [
            before[0],
            after[0],
        ]
        assert (await say(caller, probe, other))[0] not in (before[0], after[0])
        windows = "(gcim Win32_OperatingSystem).LastBootUpTime.Ticks"
        booted = await say(caller, windows, win, "RunPowerShellScript")
        await caller("RebootInstances", region_id=REGION, instance_id=[win])
        await caller.simulator._clock.advance(5)  # type: ignore[attr-defined]
        assert await say(caller, windows, win, "RunPowerShellScript") != booted
