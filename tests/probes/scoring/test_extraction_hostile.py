"""Hostile text: no extractor and no scorer raises or takes long, whatever a model writes."""

import json
import time
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mi_tui.probes.problem import Problem
from mi_tui.probes.scoring.choices import final_choice
from mi_tui.probes.scoring.extraction import (
    answered_integer,
    boxed_integer,
    final_integer,
    first_clause,
    stated_answer,
)
from mi_tui.probes.scoring.judge import judge
from mi_tui.probes.scoring.latex import as_latex, grows_beyond_bounds
from mi_tui.probes.scoring.spelling import bare, normalised, unwrapped, without_separators
from mi_tui.probes.scoring.units import without_degrees, without_text_unit, without_unit
from mi_tui.probes.text import last_boxed, safe_text
from mi_tui.probes.thinking import parts_of

PIECES = [
    "\\boxed{", "\\boxed ", "\\fbox{", "}", "{", "answer:", "ANSWER: ", "**Final Answer**\n", "A",
    "$", "**", "\\(", "\\[", "\\text{", "1,", "234", " ", "\n", "=", "\\frac", "^\\circ",
    "the answer is ",
    "\u3000", "\u2009", "\ud83d", "\uff19", "\u0301", "or", "and", ",", "<answer>", "(", ")", "|",
    "#",
    "```json\n", "<think>", "</think>", "<|channel|>", "\\times 10^{", "9", "**9", "^{9", "!", "%",
    "cm",
    "\\\\", "'", '"', "_", "~", "\\,", "{,}", "option ", "A is correct", "so ", "\r", "\u2028",
    "\x00",
]  # fmt: skip
HOSTILE = st.one_of(
    st.text(max_size=300), st.lists(st.sampled_from(PIECES), max_size=120).map("".join)
)
LONG: list[Callable[[str], object]] = [
    answered_integer, bare, boxed_integer, final_integer, last_boxed, normalised, parts_of,
    safe_text, stated_answer, without_separators,
]  # fmt: skip
SHORT: list[Callable[[str], object]] = [
    as_latex, first_clause, grows_beyond_bounds, unwrapped, without_degrees, without_text_unit,
    without_unit,
]  # fmt: skip
"""Extractors of answers, which are never longer than 500 characters."""


def seconds(call: Callable[[], object]) -> float:
    """The processor time of a call; the least of three, as the machine may be busy."""
    best = float("inf")
    for _ in range(3):
        started = time.process_time()
        call()
        best = min(best, time.process_time() - started)
        if best < 0.02:
            break
    return best


@given(HOSTILE, st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_no_text_raises_or_takes_long(text: str, times: int) -> None:
    hostile = text * times if len(text) * times < 200_000 else text
    for function in LONG:
        assert seconds(partial(function, hostile)) < 0.05 + len(hostile) / 1e6, function
    for function in SHORT:
        assert seconds(partial(function, hostile[:500])) < 0.05, function
    assert final_choice(hostile, "ABCD") in ("A", "B", "C", "D", None)
    assert seconds(partial(final_choice, hostile, "ABCD")) < 0.05 + len(hostile) / 1e6


@pytest.mark.parametrize("piece", PIECES)
def test_long_rows_of_one_piece_take_linear_time(piece: str) -> None:
    for around in ("{}", "\\boxed{{{}}}", "ANSWER: {}"):
        hostile = around.format(piece * (30_000 // len(piece)))
        assert seconds(partial(final_choice, hostile, "ABCDEFGHIJ")) < 0.1
        for function in LONG:
            assert seconds(partial(function, hostile)) < 0.1, function


SCHEMA = json.dumps({"type": "object", "required": ["n"]})
PROBLEMS = {
    "boxed-integer": Problem("1", (), "42"),
    "choice": Problem("2", (), "B", meta={"letters": "ABCDEFGHIJ"}),
    "contains": Problem("3", (), "Zürich"),
    "exact": Problem("4", (), "Paris"),
    "integer": Problem("5", (), "42"),
    "json-schema": Problem("6", (), SCHEMA),
    "regex": Problem("7", (), "42", meta={"pattern": r"=(\\d+)="}),
}


@given(HOSTILE)
@settings(max_examples=60, deadline=None)
def test_no_scorer_raises_or_takes_long(text: str) -> None:
    for name, problem in PROBLEMS.items():
        score = judge(name, problem, text, truncated=False)
        assert score.value in (0.0, 1.0)
        assert seconds(partial(judge, name, problem, text, False)) < 0.05, name


ANSWERS = [
    "9**9**9", "9^{9^9}", "2^{10^9}", "(9^{99999})^{99999}", "9^{999999}", "100000!", "3!!!!!",
    "(10!)!",
    "\\binom{99999999}{5}", "(x+1)^{500}", "(x+y+z)^{200}", "(1+\\sqrt{2})^{3000}", "1e999999",
    "\\sum_{k=1}^{100000} \\frac{1}{k}", "\\int_0^1 \\frac{\\sin(x^x)}{x}dx", "e^{e^{e^{e^{e}}}}",
    "\\pi^{\\pi^{\\pi^{\\pi}}}", "x^{x^{x^{x}}}", "(" * 200 + "1" + ")" * 200, "\\{" * 100 + "1",
    "\\frac{" * 60 + "1" + "}{2}" * 60, "\\sqrt{" * 80 + "2" + "}" * 80,
    "{" * 200 + "4" + "}" * 200,
    "x_{" * 100 + "1" + "}" * 100, "[" * 200 + "1" + "]" * 200,
]  # fmt: skip


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_cannot_be_worked_out_is_wrong_at_once(answer: str) -> None:
    problem = Problem("1", (), "\\frac{1}{2}")
    call = partial(judge, "math", problem, f"\\boxed{{{answer}}}", False)
    assert call().value == 0.0
    assert seconds(call) < 0.05


def test_two_answers_that_cannot_be_worked_out_are_compared_as_text_or_not_scored() -> None:
    problem = Problem("1", (), "2^{10^9}")
    assert judge("math", problem, "\\boxed{2^{10^9}}", False).value == 1.0
    other = judge("math", problem, "\\boxed{2^{10^8}}", False)
    assert (other.value, other.failure) == (
        None,
        "the problem's answer is too large to be worked out",
    )


@given(HOSTILE)
@example("\\boxed{\\frac{1}{}}")
@settings(max_examples=40, deadline=None)
def test_math_never_raises(text: str) -> None:
    problem = Problem("1", (), "\\frac{1}{2}")
    assert judge("math", problem, text, False).value in (0.0, 1.0)
