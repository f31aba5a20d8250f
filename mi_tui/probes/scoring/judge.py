"""The judgement of a response, and the rule that an unfinished thought is never scored."""

from dataclasses import replace

from mi_tui.probes.problem import Problem, Score
from mi_tui.probes.scoring.scorer import scorer
from mi_tui.probes.text import is_unfinished_thought, strip_thinking

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
