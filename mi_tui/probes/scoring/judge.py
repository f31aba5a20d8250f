"""The judgement of a response, and the rule that an unfinished thought is never scored."""

from collections.abc import Sequence
from dataclasses import replace

from mi_tui.plan.thinking_tags import KNOWN, ThinkingTags
from mi_tui.probes.problem import Problem, Score
from mi_tui.probes.scoring.scorer import scorer
from mi_tui.probes.thinking import parts_of

MAX_ANSWER = 500
"""Most characters that are kept of an extracted answer."""


def judge(
    scorer_name: str,
    problem: Problem,
    text: str,
    truncated: bool,
    tags: Sequence[ThinkingTags] = KNOWN,
) -> Score:
    """Score one raw response.

    A response that the cap cut, or that ends inside its thinking, is incorrect and has no
    answer; of any other the part after the thinking is scored.

    Args:
        scorer_name: the probe's scorer.
        problem: what was asked.
        text: the response, thinking and all.
        truncated: whether the token cap cut it.
        tags: what may mark its thinking.

    Raises:
        ScorerError: there is no such scorer, or what it needs is not installed.
    """
    judge_answer = scorer(scorer_of(problem, scorer_name))
    parts = parts_of(text, truncated, tags)
    if truncated or parts.unfinished:
        return Score(0.0)
    score = judge_answer(problem, parts.answer)
    if score.answer is None or len(score.answer) <= MAX_ANSWER:
        return score
    return replace(score, answer=score.answer[: MAX_ANSWER - 1] + "…")


def scorer_of(problem: Problem, scorer_name: str) -> str:
    """The problem's own scorer if its meta names one, else its probe's."""
    return str(problem.meta.get("scorer", scorer_name))
