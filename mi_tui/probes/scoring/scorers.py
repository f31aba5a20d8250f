"""The scorers by name, and the rule that an unfinished thought is never scored."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from mi_tui.probes.errors import ScorerError
from mi_tui.probes.kinds.instructions import score_instructions
from mi_tui.probes.kinds.lm_eval_task import lm_eval_scorer
from mi_tui.probes.problem import Problem, Score, Scorer
from mi_tui.probes.scoring.answers import (
    json_schema_scorer,
    score_choice,
    score_contains,
    score_exact,
    score_regex,
)
from mi_tui.probes.scoring.extraction import as_integer, boxed_integer, final_integer
from mi_tui.probes.scoring.ifeval import ifeval_scorer
from mi_tui.probes.scoring.math_answer import math_scorer
from mi_tui.probes.text import is_unfinished_thought, strip_thinking

__all__ = ["BATCHED", "ScorerError", "judge", "scorer", "scorer_of", "strip_thinking"]

BATCHED = frozenset({"boxed-integer", "integer", "choice", "contains", "exact", "instructions"})
"""Scorers so quick and safe that the pool hands many of their jobs over at once."""

MAX_ANSWER = 500
"""Most characters that are kept of an extracted answer."""


def judge(scorer_name: str, problem: Problem, text: str, truncated: bool) -> Score:
    """Score one raw response.

    A response that the cap cut, or that ends inside its thinking, is incorrect and has no
    answer; of any other the part after the thinking is scored.

    Raises:
        ScorerError: there is no such scorer, or what it needs is not installed.
    """
    judge_answer = scorer(scorer_of(problem, scorer_name))
    if truncated or is_unfinished_thought(text, truncated):
        return Score(0.0)
    score = judge_answer(problem, strip_thinking(text)[1])
    if score.answer is None or len(score.answer) <= MAX_ANSWER:
        return score
    return replace(score, answer=score.answer[: MAX_ANSWER - 1] + "…")


def scorer_of(problem: Problem, scorer_name: str) -> str:
    """The problem's own scorer if its meta names one, else its probe's."""
    return str(problem.meta.get("scorer", scorer_name))


@cache
def scorer(name: str) -> Scorer:
    """The scorer of this name; a parameter follows a colon (``lm-eval:gsm8k``).

    Raises:
        ScorerError: there is no such scorer, or what it needs is not installed.
    """
    kind, _, parameter = name.partition(":")
    factory = _FACTORIES.get(kind)
    if factory is None:
        raise ScorerError(f"unknown scorer {name!r}: use one of {', '.join(sorted(_FACTORIES))}")
    return factory(parameter)


def score_boxed_integer(problem: Problem, response: str) -> Score:
    r"""Correct when the last ``\boxed{…}`` holds the answer, an integer."""
    return _compare_integers(problem, boxed_integer(response))


def score_integer(problem: Problem, response: str) -> Score:
    """Correct when the last box, or else the last integer written, is the answer."""
    return _compare_integers(problem, final_integer(response))


def _compare_integers(problem: Problem, found: int | None) -> Score:
    if found is None:
        return Score(0.0)
    return Score(float(found == as_integer(problem.answer)), str(found))


_FACTORIES: dict[str, Callable[[str], Scorer]] = {
    "boxed-integer": lambda _: score_boxed_integer,
    "choice": lambda _: score_choice,
    "contains": lambda _: score_contains,
    "exact": lambda _: score_exact,
    "instructions": lambda _: score_instructions,
    "integer": lambda _: score_integer,
    "json-schema": lambda _: json_schema_scorer(),
    "ifeval": lambda _: ifeval_scorer(),
    "lm-eval": lm_eval_scorer,
    "math": lambda _: math_scorer(),
    "regex": lambda _: score_regex,
}
