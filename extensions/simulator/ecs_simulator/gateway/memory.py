# SPDX-License-Identifier: GPL-3.0-or-later
"""What callers were last told, for answers from before and for rows that come twice."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Answer = dict[str, Any]

# A page holds up to 100 rows, and nobody asks about more things at once than a test can.
_KEPT = 64
_PAGING = ("NextToken", "PageNumber")


@dataclass(frozen=True)
class Question:
    """Who asks for what."""

    caller: str
    action: str
    parameters: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, caller: str, action: str, parameters: Mapping[str, str]) -> "Question":
        return cls(caller, action, tuple(sorted(parameters.items())))

    @property
    def reads(self) -> bool:
        return self.action.startswith(("Describe", "List"))

    @property
    def is_first_page(self) -> bool:
        parameters = dict(self.parameters)
        return not parameters.get("NextToken") and parameters.get("PageNumber", "1") == "1"

    def without_page(self) -> "Question":
        return Question(self.caller, self.action, tuple(item for item in self.parameters if item[0] not in _PAGING))


class Memory:
    """The last answers to the last questions that only read."""

    def __init__(self) -> None:
        self._answers: OrderedDict[Question, Answer] = OrderedDict()
        self._pages: OrderedDict[Question, Answer] = OrderedDict()

    def keep(self, question: Question, answer: Answer) -> Answer:
        """Note an answer, and give it back."""
        if question.reads:
            for kept, key in ((self._answers, question), (self._pages, question.without_page())):
                kept[key] = answer
                kept.move_to_end(key)
                if len(kept) > _KEPT:
                    kept.popitem(last=False)
        return answer

    def last(self, question: Question) -> Answer | None:
        return self._answers.get(question)

    def page_before(self, question: Question) -> Answer:
        """The page that the caller got last of what it now wants the next page of; empty if there is none."""
        return {} if question.is_first_page else self._pages.get(question.without_page(), {})


def empty(answer: Answer) -> Answer:
    """The answer while what it lists is not there yet."""
    known = {"TotalCount": 0, "NextToken": ""}
    return {**_with_rows(answer, []), **{name: value for name, value in known.items() if name in answer}}


def repeat_row(before: Answer, answer: Answer) -> Answer:
    """A page that begins with the last row of the one before it, as when something was inserted in between."""
    return _with_rows(answer, [*_rows(before)[-1:], *_rows(answer)])


def _rows(answer: Answer) -> list[Any]:
    """The rows of a page: the first list in it, however deep."""
    for value in answer.values():
        if isinstance(value, list):
            return value
        if isinstance(value, dict) and (found := _rows(value)):
            return found
    return []


def _with_rows(answer: Answer, rows: list[Any]) -> Answer:
    changed = dict(answer)
    for name, value in answer.items():
        if isinstance(value, list):
            return {**changed, name: rows}
        if isinstance(value, dict):
            return {**changed, name: _with_rows(value, rows)}
    return changed
