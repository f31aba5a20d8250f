"""Columns by other names, told by what they are called and by what they hold."""

from collections.abc import Mapping
from typing import Any

import pytest

from mi_tui.probes.files.column_names import proposed_columns

QUESTION = "A farmer has 12 cows and buys 3 more. How many has he now?"


def any_answer(row: Mapping[str, Any]) -> bool:
    return isinstance(row["answer"], str | int)


def a_number(row: Mapping[str, Any]) -> bool:
    return str(row["answer"]).lstrip("-").isdigit()


@pytest.mark.parametrize(
    ("row", "proposed"),
    [
        ({"question": QUESTION, "target": "15"}, {"prompt": "question", "answer": "target"}),
        ({"Question": QUESTION, "answer": "15"}, {"prompt": "Question"}),
        ({"prompt": QUESTION, "Final Answer": "15"}, {"answer": "Final Answer"}),
        (
            {"problem": QUESTION, "solution": "12 + 3 = 15", "answer": "15", "level": 2},
            {"prompt": "problem"},
        ),
        (
            {"id": 7, "input": QUESTION, "output": "15"},
            {"prompt": "input", "answer": "output"},
        ),
        (
            {"conversations": [{"role": "user", "content": QUESTION}], "gold": "15"},
            {"messages": "conversations", "answer": "gold"},
        ),
        (
            {"question": QUESTION, "options": ["15", "9"], "answer": "A"},
            {"prompt": "question", "choices": "options"},
        ),
        # By content alone: the longest text is asked, the shortest that can be compared with is
        # the answer.
        ({"Frage": QUESTION, "Lösung": "15"}, {"prompt": "Frage", "answer": "Lösung"}),
        ({"вопрос": QUESTION, "ответ": "15"}, {"prompt": "вопрос", "answer": "ответ"}),
        ({"a": "15", "b": QUESTION, "level": "3"}, {"prompt": "b", "answer": "a"}),
        ({"prompt": QUESTION, "answer": "15"}, {}),
        ({"question": QUESTION}, {}),
        ({"question": QUESTION, "category": "math", "id": "x"}, {}),
        ({"answer": "15"}, {}),
    ],
    ids=range(14),
)
def test_what_stands_for_prompt_and_answer(row: dict[str, Any], proposed: dict[str, str]) -> None:
    assert proposed_columns([row, row], any_answer) == proposed


def test_the_scorer_decides_between_two_likely_answers() -> None:
    row = {"question": QUESTION, "target": "fifteen cows", "label": "15"}
    assert proposed_columns([row], any_answer)["answer"] == "target"
    assert proposed_columns([row], a_number)["answer"] == "label"


def test_a_column_with_gaps_is_no_answer() -> None:
    rows = [{"question": QUESTION, "label": "", "x": "1"}, {"question": QUESTION, "x": "2"}]
    assert proposed_columns(rows, any_answer) == {"prompt": "question", "answer": "x"}
