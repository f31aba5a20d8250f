"""Every scorer on the answers it is for, and on those it must refuse."""

import json

import math_verify
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mi_tui.probes.errors import ScorerError
from mi_tui.probes.problem import Problem, Score
from mi_tui.probes.scoring.choices import final_choice
from mi_tui.probes.scoring.extraction import as_integer, boxed_integer, final_integer
from mi_tui.probes.scoring.judge import judge
from mi_tui.probes.scoring.scorer import scorer


def problem(answer: str, **meta: object) -> Problem:
    return Problem("1", ({"role": "user", "content": "?"},), answer, meta=meta)


def value(name: str, answer: str, response: str, **meta: object) -> float | None:
    return judge(name, problem(answer, **meta), response, truncated=False).value


@given(st.integers(-(10**12), 10**12), st.text(alphabet="ab {}$,.\n", max_size=20))
def test_a_boxed_integer_is_found_wherever_it_stands(number: int, text: str) -> None:
    before = text.replace("{", "").replace("}", "")
    assert boxed_integer(f"{before}\\boxed{{{number}}} {before}") == number
    assert as_integer(f"{number:,}") == number
    assert as_integer(f"${number}$") == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("042", 42),
        ("+7", 7),
        ("−3", -3),
        ("1{,}234", 1234),
        ("1\\,234", 1234),
        ("\\text{12}", 12),
        ("12.", 12),
        ("12.0", 12),
        ("٤٢", 42),
        ("12.5", None),
        ("1/2", None),
        ("1,23", None),
        ("x = 4", None),
        ("", None),
        ("9" * 5000, None),
    ],
)
def test_short_answers_as_integers(text: str, number: int | None) -> None:
    assert as_integer(text) == number


@pytest.mark.parametrize(
    ("response", "number"),
    [
        ("first 3, then 17", 17),
        ("the sum is 1,234.", 1234),
        ("\\boxed{5} or 6", 5),
        ("\\boxed{x} so 6", 6),
        ("it is -8", -8),
        ("v2 and 3.5", None),
        ("none", None),
    ],
)
def test_the_final_integer(response: str, number: int | None) -> None:
    assert final_integer(response) == number


@pytest.mark.parametrize(
    ("response", "letter"),
    [
        ("ANSWER: B", "B"),
        ("answer: (c)", "C"),
        ("**ANSWER: D**", "D"),
        ("**Answer**: A", "A"),
        ("ANSWER: $B$", "B"),
        ("ANSWER: \\boxed{C}", "C"),
        ("ANSWER: $\\boxed{\\text{D}}$", "D"),
        ("ANSWER: A\nNo, wait.\nANSWER: B", "B"),
        ("so \\boxed{C}", "C"),
        ("so \\boxed{\\text{(C)}}", "C"),
        ("  d. ", "D"),
        ("ANSWER: Because", None),
        ("answer: a dog", None),
        ("answer: a).\nDone", "A"),
        ("**ANSWER:** B", "B"),
        ("ANSWER:\nC", "C"),
        ("$\\boxed{\\text{ANSWER: C}}$", "C"),
        ("A or B, who knows", None),
        ("ANSWER: E", None),
        ("", None),
    ],
)
def test_the_final_choice(response: str, letter: str | None) -> None:
    assert final_choice(response, "ABCD") == letter


@pytest.mark.parametrize(
    ("answer", "response", "expected"),
    [
        ("70", "so \\boxed{70}", 1.0),
        ("70", "so \\boxed{070}", 1.0),
        ("70", "so \\boxed{70^\\circ}", 1.0),
        ("70", "so \\boxed{71}", 0.0),
        ("1/2", "\\boxed{\\frac{1}{2}}", 1.0),
        ("\\frac{1}{2}", "\\boxed{0.5}", 1.0),
        ("\\sqrt{8}", "\\boxed{2\\sqrt{2}}", 1.0),
        ("x^2+1", "\\boxed{1 + x^2}", 1.0),
        ("(1, 2)", "\\boxed{(1,2)}", 1.0),
        ("1/2", "\\boxed{\\frac{1}{3}}", 0.0),
        ("70", "The final answer is $70$. I hope it is correct.", 1.0),
        ("70", "There were 70 of them.", 0.0),
        ("70", "\\boxed{}", 0.0),
        ("70", "", 0.0),
    ],
)
def test_math_is_judged_by_meaning(answer: str, response: str, expected: float) -> None:
    assert value("math", answer, response) == expected


@given(
    st.integers(-50, 50),
    st.integers(1, 20),
    st.sampled_from(
        ["\\frac{{{0}}}{{{1}}}", "{0}/{1}", "\\dfrac{{2 \\cdot {0}}}{{2 \\cdot {1}}}", "{0}"]
    ),
    st.sampled_from([None, 1, 3]),
    st.integers(-50, 50),
)
@settings(max_examples=60, deadline=None)
def test_math_agrees_with_math_verify_on_whole_responses(
    top: int, bottom: int, form: str, scale: int | None, other: int
) -> None:
    response = f"It is likely that\n\\[\\boxed{{{form.format(top, bottom)}}}\\]"
    answer = str(other) if scale is None else f"{scale * top}/{scale * bottom}"
    theirs = math_verify.verify(math_verify.parse(f"${answer}$"), math_verify.parse(response))
    assert value("math", answer, response) == float(theirs)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("Paris", 1.0),
        (" Paris \n", 1.0),
        ("\\boxed{Paris}", 1.0),
        ("It is on the Seine.\n**Answer:** Paris", 1.0),
        ("Final answer: Paris", 1.0),
        ("paris", 0.0),
        ("It is Paris", 0.0),
    ],
)
def test_exact(response: str, expected: float) -> None:
    assert value("exact", "Paris", response) == expected


def test_contains_wants_every_part_whatever_the_case() -> None:
    assert value("contains", "red fox", "A  RED\nFox!") == 1.0
    assert value("contains", "", "red", parts=["red", "fox"]) == 0.0
    assert value("contains", "", "a fox, red", parts=["red", "fox"]) == 1.0


def test_regex_matches_or_extracts() -> None:
    assert value("regex", r"^total: \d+$", "sum\ntotal: 12\n") == 1.0
    assert value("regex", r"^total: \d+$", "total: none") == 0.0
    found = judge("regex", problem("12", pattern=r"total: (\d+)"), "total: 3\ntotal: 12", False)
    assert found == Score(1.0, "12")
    assert value("regex", "12", "total: 13", pattern=r"total: (\d+)") == 0.0


SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 3}},
    "required": ["n"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ('{"n": 3}', 1.0),
        ('Here:\n```json\n{"n": 4}\n```\nDone.', 1.0),
        ('The object is {"n": 5}.', 1.0),
        ('{"n": 2}', 0.0),
        ('{"n": 3, "m": 1}', 0.0),
        ('{"n": 3', 0.0),
        ("none", 0.0),
        ("[" * 100_000, 0.0),
    ],
)
def test_json_schema(response: str, expected: float) -> None:
    assert value("json-schema", json.dumps(SCHEMA), response) == expected


def test_a_schema_never_fetches_another() -> None:
    remote = json.dumps({"$ref": "https://example.invalid/schema.json"})
    with pytest.raises(Exception, match=r"example\.invalid"):
        judge("json-schema", problem(remote), "{}", truncated=False)


def test_a_row_may_name_its_own_scorer() -> None:
    assert value("exact", "4", "it is 4", scorer="integer") == 1.0


@pytest.mark.parametrize(
    "name", ["boxed-integer", "integer", "choice", "contains", "exact", "regex", "math"]
)
def test_an_unfinished_thought_is_never_scored(name: str) -> None:
    for text in ("<think>\\boxed{4} ANSWER: 4", "\\boxed{4}\n4"):
        assert judge(name, problem("4"), text, truncated=True) == Score(0.0)
    assert judge(name, problem("4"), "<think>\\boxed{4}", truncated=False) == Score(0.0)


def test_unknown_scorers_are_named() -> None:
    with pytest.raises(ScorerError, match="unknown scorer 'bleu': use one of exact, integer"):
        scorer("bleu")
