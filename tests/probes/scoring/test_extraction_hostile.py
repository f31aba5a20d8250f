"""Hostile text: no extractor and no scorer raises or takes long, whatever a model writes.

What takes an answer apart has 50 ms of processor time. math-verify, which works an answer out, has
the time limit of the pool.
"""

import inspect
import json
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mi_tui.probes import text as texts
from mi_tui.probes import thinking
from mi_tui.probes.problem import Problem
from mi_tui.probes.scorers.math import MathScorer
from mi_tui.probes.scoring import choices, extraction, latex, spelling, units
from mi_tui.probes.scoring.judge import judge
from mi_tui.probes.scoring.pool import ScoringPool
from mi_tui.probes.scoring.scorer import SCORERS
from tests.probes.scoring.hostile import HOSTILE, LIMIT, PIECES, USUAL, seconds

EXTRACTION: tuple[ModuleType, ...] = (
    choices, extraction, latex, spelling, texts, thinking, units,
)  # fmt: skip
OF_ANSWERS = {
    "as_latex", "equal_numbers", "first_clause", "grows_beyond_bounds", "is_sum", "unwrapped",
    "without_condition", "without_degrees", "without_label", "without_percent", "without_point",
    "without_text_unit", "without_unit",
}  # fmt: skip
"""Extractors that are given an answer, of at most ``MAX_ANSWER`` characters."""

GIVEN = {"letters": "ABCDEFGHIJ", "wanted": "\\frac{1}{2}"}
"""What an extractor needs besides the text."""


def extractors() -> dict[str, Callable[[str], object]]:
    """Every public function of the modules that take responses apart."""
    found: dict[str, Callable[[str], object]] = {}
    for module in EXTRACTION:
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("_") or function.__module__ != module.__name__:
                continue
            needed = {
                key: GIVEN[key]
                for key, parameter in [*inspect.signature(function).parameters.items()][1:]
                if parameter.default is inspect.Parameter.empty
            }
            found[name] = partial(function, **needed)
    return found


EXTRACTORS = extractors()


def assert_quick(text: str) -> None:
    """Every extractor takes the text apart in its time."""
    allowed = LIMIT * max(1, len(text) / USUAL)
    for name, function in EXTRACTORS.items():
        given_text = text[: spelling.MAX_ANSWER] if name in OF_ANSWERS else text
        assert seconds(partial(function, given_text)) < allowed, name


def test_every_extractor_is_tried() -> None:
    assert {*EXTRACTORS} > OF_ANSWERS
    assert {"final_choice", "final_integer", "stated_answer", "mathematical_answer"} < {*EXTRACTORS}
    assert {"last_boxed", "parts_of", "safe_text", "normalised", "bare"} < {*EXTRACTORS}


@given(HOSTILE, st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_no_text_raises_or_takes_long(text: str, times: int) -> None:
    assert_quick(text * times if len(text) * times < 200_000 else text)


@pytest.mark.parametrize("piece", PIECES)
def test_long_rows_of_one_piece_take_linear_time(piece: str) -> None:
    for around in ("{}", "\\boxed{{{}}}", "ANSWER: {}"):
        assert_quick(around.format(piece * (USUAL // len(piece)))[:USUAL])


SCHEMA = json.dumps({"type": "object", "required": ["n"]})
PROBLEMS = {
    "boxed-integer": Problem("1", (), "42"),
    "choice": Problem("2", (), "B", meta={"letters": "ABCDEFGHIJ"}),
    "contains": Problem("3", (), "Zürich"),
    "exact": Problem("4", (), "Paris"),
    "integer": Problem("5", (), "42"),
    "json-schema": Problem("6", (), SCHEMA),
    "regex": Problem("7", (), "42", meta={"pattern": r"=(\d+)="}),
    "instructions": Problem(
        "8",
        (),
        "",
        meta={
            "instructions": [
                {"kind": "bullets", "bullets": 3},
                {"kind": "paragraphs", "paragraphs": 2},
                {"kind": "at-least-words", "words": 10},
            ]
        },
    ),
}
WORKED_OUT = {"math", "ifeval", "lm-eval"}
"""Scorers that hand the answer to a library; those of lm-eval are tried beside their kinds."""


def test_every_scorer_is_tried() -> None:
    assert {*SCORERS.names()} == {*PROBLEMS} | WORKED_OUT


@given(HOSTILE)
@settings(max_examples=60, deadline=None)
def test_no_scorer_raises_or_takes_long(text: str) -> None:
    for name, problem in PROBLEMS.items():
        score = judge(name, problem, text, truncated=False)
        assert score.value in (0.0, 1.0)
        assert seconds(partial(judge, name, problem, text, False)) < LIMIT, name


class _Nothing:
    """In the place of math-verify: what is left is our own work."""

    def parse(self, text: str, **_: Any) -> list[str]:
        return [text]

    def verify(self, *_: Any, **__: Any) -> bool:
        return False


@given(HOSTILE, st.sampled_from(["{}", "\\boxed{{{}}}", "The answer is {}"]))
@settings(max_examples=100, deadline=None)
def test_math_reads_an_answer_at_once(text: str, around: str) -> None:
    reads = MathScorer(_Nothing())
    for wanted in ("\\frac{1}{2}", "42", "[2, 5)", "x^2 + 1"):
        problem = Problem("1", (), wanted)
        assert seconds(partial(reads, problem, around.format(text))) < LIMIT


ANSWERS = [
    "9**9**9", "9^{9^9}", "2^{10^9}", "(9^{99999})^{99999}", "9^{999999}", "100000!", "3!!!!!",
    "(10!)!",
    "\\binom{99999999}{5}", "(x+1)^{500}", "(x+y+z)^{200}", "(1+\\sqrt{2})^{3000}", "1e999999",
    "\\sum_{k=1}^{100000} \\frac{1}{k}", "\\int_0^1 \\frac{\\sin(x^x)}{x}dx", "e^{e^{e^{e^{e}}}}",
    "\\pi^{\\pi^{\\pi^{\\pi}}}", "x^{x^{x^{x}}}", "(" * 200 + "1" + ")" * 200, "\\{" * 100 + "1",
    "\\frac{" * 60 + "1" + "}{2}" * 60, "\\sqrt{" * 80 + "2" + "}" * 80,
    "{" * 200 + "4" + "}" * 200,
    "x_{" * 100 + "1" + "}" * 100, "[" * 200 + "1" + "]" * 200,
    "1/3", "-\\frac{7}{12}", "0.125", "12345678901234567890.5", "\\frac{" + "9" * 45 + "}{7}",
]  # fmt: skip


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_cannot_be_worked_out_or_is_a_number_is_wrong_at_once(answer: str) -> None:
    problem = Problem("1", (), "\\frac{1}{2}")
    call = partial(judge, "math", problem, f"\\boxed{{{answer}}}", False)
    assert call().value == 0.0
    assert seconds(call) < LIMIT


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


ATOMS = st.sampled_from(
    ["1", "2", "7", "0.5", "x", "y", "n", "\\pi", "e", "i", "\\infty", "1234567", "\\theta"]
)
SHAPES = (
    "\\frac{%s}{%s}", "(%s + %s)^{99}", "(%s - %s)^{n}", "%s \\cdot %s", "(%s, %s)", "[%s, %s)",
    "%s = %s", "%s \\cup %s", "\\{%s, %s\\}", "\\sqrt{\\sin(%s)} + %s", "|%s| \\le %s",
    "\\begin{pmatrix} %s & 1 \\\\ %s & 2 \\end{pmatrix}", "\\ln(%s) - \\sqrt[7]{%s}",
)  # fmt: skip
EXPRESSIONS: st.SearchStrategy[str] = st.recursive(
    ATOMS,
    lambda inner: st.builds(
        lambda shape, a, b: shape % (a, b), st.sampled_from(SHAPES), inner, inner
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def pool() -> Iterator[ScoringPool]:
    with ScoringPool(processes=1, time_limit=2.0) as scoring:
        scoring.require(["math"])
        yield scoring


@given(EXPRESSIONS, EXPRESSIONS)
@example("\\cos(1)^{3000}", "\\frac{1}{2}")
@settings(max_examples=30, deadline=None)
def test_what_takes_math_verify_too_long_is_not_scored(
    pool: ScoringPool, answer: str, wanted: str
) -> None:
    pool.submit(1, "math", Problem("1", (), wanted), f"so \\boxed{{{answer}}}", False)
    ((_, score),) = pool.poll(120.0)
    if score.value is None:
        # By processor time, or on a machine that gives it none by the clock.
        said = ("scoring took more than ", "the problem's answer is too large to be worked out")
        assert (score.failure or "").startswith(said)
    else:
        assert score.value in (0.0, 1.0)
        assert score.failure is None
