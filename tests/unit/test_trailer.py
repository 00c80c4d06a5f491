# SPDX-License-Identifier: GPL-3.0-or-later
"""The trailer: read whole or not at all."""

from __future__ import annotations

import subprocess

from ansible_collections.cloudops.alibaba.plugins.module_utils._patch.trailer import cksum, read_trailer
from hypothesis import given, settings
from hypothesis import strategies as st

OLD = "11111111-1111-4111-8111-111111111111"
NEW = "22222222-2222-4222-8222-222222222222"
TEXT = (
    f"cloudops.alibaba/1 run=CHG-1 state=done method=exit_code boot={NEW} at=2026-11-22T01:02:03Z reason= "
    "log=/var/lib/cloudops.alibaba/runs/CHG-1 for=delivery.x changed=yes steps=os_updates:done:2,banner:skipped:0 "
    f"evidence=not_required evidence_reason=needs-restarting stale= "
    f"restarts=exit_code|{OLD}|{NEW}|2026-11-22T01:00:00Z|2026-11-22T01:01:00Z|needs-restarting:kernel "
    "packages_count=2 packages=kernel|1|2;curl|8.1|8.2"
)


def sealed(text: str) -> str:
    return f"{text} cksum={cksum(text.encode())}"


@settings(max_examples=40)
@given(st.binary(max_size=500))
def test_the_checksum_is_that_of_cksum(data: bytes) -> None:
    done = subprocess.run(["cksum"], input=data, capture_output=True, check=True)
    assert cksum(data) == int(done.stdout.split()[0])


def test_a_trailer_is_read() -> None:
    trailer = read_trailer(f"banner: skipped\n{sealed(TEXT)}\n", "CHG-1")
    assert trailer
    assert (trailer.state, trailer.method, trailer.changed, trailer.replayed) == ("done", "exit_code", True, False)
    assert trailer.steps == {
        "os_updates": {"state": "done", "attempts": 2},
        "banner": {"state": "skipped", "attempts": 0},
    }
    assert trailer.packages == (
        {"name": "kernel", "from": "1", "to": "2"},
        {"name": "curl", "from": "8.1", "to": "8.2"},
    )
    assert trailer.packages_count == 2
    (receipt,) = trailer.restarts
    assert (receipt.verdict, receipt.boot_id_before, receipt.boot_id_after) == ("restarted", OLD, NEW)
    assert "reason: needs-restarting:kernel" in receipt.evidence


def test_differences_are_read() -> None:
    """A runner that knows nothing of them tells of none."""
    none = read_trailer(sealed(TEXT), "CHG-1")
    told = "nobody|listens|on|tcp/8080|any|more;/data|(xfs)|is|not|mounted|any|more"
    whole = read_trailer(sealed(f"{TEXT} differences_count=2 differences={told}"), "CHG-1")
    cut = read_trailer(sealed(f"{TEXT} differences_count=9 differences={told}"), "CHG-1")
    assert none and whole and cut
    assert none.differences == ()
    assert whole.differences == ("nobody listens on tcp/8080 any more", "/data (xfs) is not mounted any more")
    assert cut.differences == (*whole.differences, "and 7 more")


def test_a_trailer_that_is_not_the_last_line_or_of_another_run_does_not_count() -> None:
    assert read_trailer(f"{sealed(TEXT)}\nand more", "CHG-1") is None
    assert read_trailer(sealed(TEXT), "CHG-2") is None
    assert read_trailer("", "CHG-1") is None


@given(st.integers(min_value=0, max_value=len(sealed(TEXT)) - 1), st.sampled_from("aZ0 =;|\x00"))
def test_any_damage_is_noticed(position: int, letter: str) -> None:
    whole = sealed(TEXT)
    damaged = whole[:position] + letter + whole[position + 1 :]
    trailer = read_trailer(damaged, "CHG-1")
    assert damaged == whole or trailer is None


@given(st.integers(min_value=1, max_value=len(sealed(TEXT)) - 1))
def test_a_trailer_that_was_cut_is_noticed(cut: int) -> None:
    assert read_trailer(sealed(TEXT)[cut:], "CHG-1") is None
    assert read_trailer(sealed(TEXT)[:cut], "CHG-1") is None


@given(st.text(max_size=300))
def test_nonsense_is_no_trailer(output: str) -> None:
    assert read_trailer(output, "CHG-1") is None
