"""A table of answers as models write them, each with the score a careful reader gives.

``answers.jsonl`` has a case a line: scorer, answer, response, ``want`` (0 or 1), and for choices
the letters where they are not A to D. Cases of what stays strict on purpose are wanted 0.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from mi_tui.probes.problem import Problem
from mi_tui.probes.scoring.judge import judge

CASES: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parent / "answers.jsonl").read_text(encoding="utf-8").splitlines()
]
SCORERS = sorted({case["scorer"] for case in CASES})


def wrong(cases: list[dict[str, Any]]) -> list[str]:
    """The cases that are scored other than wanted, each in a line."""
    found = []
    for case in cases:
        meta = {"letters": case.get("letters", "ABCD")} if case["scorer"] == "choice" else {}
        problem = Problem("1", ({"role": "user", "content": "?"},), case["answer"], meta=meta)
        score = judge(case["scorer"], problem, case["response"], False)
        if score.value != case["want"]:
            found.append(f"{case} got {score.value} from {score.answer!r} {score.failure or ''}")
    return found


@pytest.mark.parametrize("scorer", SCORERS)
def test_answers_are_scored_as_a_careful_reader_would(scorer: str) -> None:
    cases = [case for case in CASES if case["scorer"] == scorer]
    # math-verify takes its time: a cross-section here, all of them in the slow test.
    assert wrong(cases[::16] if scorer == "math" else cases) == []


@pytest.mark.slow
def test_every_mathematical_answer_is_scored_as_a_careful_reader_would() -> None:
    assert wrong([case for case in CASES if case["scorer"] == "math"]) == []


def test_an_answer_in_its_own_box_is_right() -> None:
    answers = {case["answer"] for case in CASES if case["scorer"] == "math"}
    assert len(answers) > 50
    asked = [
        {"scorer": "math", "answer": one, "response": f"So \\boxed{{{one}}}.", "want": 1}
        for one in sorted(answers)
    ]
    assert wrong(asked) == []
