# SPDX-License-Identifier: GPL-3.0-or-later
"""FIDELITY.md names tests that exist, and leaves nothing open."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "FIDELITY.md"
_ROW = re.compile(r"\| (\S*) \| (.*?) \| (.*?) \|")
_TEST = re.compile(r"`(test_\w+\.py)::(test_\w+)`")
_WORDS = re.compile(r"(Differs|Not simulated): \S.*\.")
SECTIONS = {"1", *(f"2.{number}" for number in range(1, 9)), "3", *(f"4.{number}" for number in range(1, 5)), "5"}


def rows() -> Iterator[tuple[str, str, str]]:
    """Section, fact and proof of each line of the tables."""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("|") and not line.startswith(("| | ", "| ---")):
            row = _ROW.fullmatch(line)
            assert row, f"not a row of three columns: {line}"
            yield row[1], row[2], row[3]


def names_in(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {function.name for function in functions if function.name.startswith("test_")}


def test_every_section_is_there() -> None:
    assert {section for section, _fact, _proof in rows()} == SECTIONS


@pytest.mark.parametrize(("section", "fact", "proof"), list(rows()))
def test_a_row_is_shown_by_tests_or_says_why_not(section: str, fact: str, proof: str) -> None:
    assert section in SECTIONS
    assert fact.strip()
    named = _TEST.findall(proof)
    for file, test in named:
        assert test in names_in(file), f"{file} has no {test}"
    # What is no test is a reason.
    assert _WORDS.fullmatch(proof) or _TEST.sub("", proof).replace(", ", "") == "" != proof
