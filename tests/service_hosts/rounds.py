# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that the module does, in check mode and twice for real, with a witness after each."""

from __future__ import annotations

from typing import Any

from end_to_end.clouds import Controller

MODULE = "cloudops.alibaba.cloud_assistant_service"
# What is asked, whether the first and the second time are changes, and whether it then runs and starts with the host.
# The service runs at first, and does not start with the host.
ROUNDS: list[tuple[dict[str, Any], list[bool], bool, bool]] = [
    ({}, [False, False], True, False),
    ({"state": "stopped"}, [True, False], False, False),
    ({"state": "started"}, [True, False], True, False),
    ({"enabled": True}, [True, False], True, True),
    ({"state": "restarted"}, [True, True], True, True),
    ({"state": "stopped", "enabled": False}, [True, False], False, False),
]


def play_rounds(
    controller: Controller, witness: str, init_system: str, service: str, *, checks: int = 1
) -> list[list[str]]:
    """Play all rounds in one play and check what the module tells; ``checks`` tasks of a round are in check mode.

    Returns what the witness, a command, says in each round: before it and after each of its tasks.
    """
    many = checks + 2
    look = {"ansible.builtin.raw": witness, "check_mode": False}
    tasks: list[dict[str, Any]] = [look]
    for arguments, *_rest in ROUNDS:
        for check in (*[True] * checks, False, False):
            tasks += [{MODULE: arguments, "check_mode": check, "diff": True}, look]
    outcome = controller.play(tasks)
    assert not any(result.get("failed") for result in outcome.results), outcome.output
    said = [result["stdout"] for result in outcome.results[::2]]
    results = outcome.results[1::2]
    for number, (arguments, changes, runs, enabled) in enumerate(ROUNDS):
        told = results[many * number :][:many]
        # Check mode says what comes, each time.
        assert [result["changed"] for result in told] == [*[changes[0]] * checks, *changes], arguments
        for result in told:
            assert (result["init_system"], result["service"]) == (init_system, service), arguments
            assert (result["state"], result["enabled"]) == ("started" if runs else "stopped", enabled), arguments
            assert result["agent_version"] == "2.2.3.578", arguments
    assert results[many]["diff"] == {
        "before": {"state": "started", "enabled": False},
        "after": {"state": "stopped", "enabled": False},
    }
    rounds = [said[many * number :][: many + 1] for number in range(len(ROUNDS))]
    for (arguments, *_rest), (before, *after_checks, _once, _twice) in zip(ROUNDS, rounds):
        assert set(after_checks) == {before}, f"check mode did something with {arguments}"
    return rounds
