"""Integers in a box."""

from mi_tui.probes.problem import Problem, Score
from mi_tui.probes.scorers.integer import compare_integers
from mi_tui.probes.scoring.extraction import boxed_integer
from mi_tui.probes.scoring.scorer import SCORERS, ScorerKind


def score_boxed_integer(problem: Problem, response: str) -> Score:
    r"""Correct when the last ``\boxed{…}`` holds the answer, an integer."""
    return compare_integers(problem, boxed_integer(response))


SCORERS.register(
    ScorerKind(
        "boxed-integer",
        "the last box holds `answer`, an integer",
        lambda _: score_boxed_integer,
        order=20,
        batched=True,
    )
)
