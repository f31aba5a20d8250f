"""Cells: rollouts summed per recipe and problem, all that the statistics need."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.observations import Observations, ProblemRow

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Cells:
    """Sums over the rollouts of each cell; every array is float64 of shape (recipes, problems).

    ``correct`` counts rollouts with the full score of 1; graded scores in between count in
    ``score`` alone.
    """

    count: Floats
    score: Floats
    score_squares: Floats
    correct: Floats
    tokens: Floats
    token_squares: Floats
    thinking: Floats
    truncated: Floats

    def of(self, recipes: NDArray[np.int64], problems: NDArray[np.int64]) -> "Cells":
        """The cells of some recipes and problems, in the order of the index arrays."""
        at = np.ix_(recipes, problems)
        return Cells(
            self.count[at],
            self.score[at],
            self.score_squares[at],
            self.correct[at],
            self.tokens[at],
            self.token_squares[at],
            self.thinking[at],
            self.truncated[at],
        )


def aggregate(observations: Observations) -> Cells:
    """Sum the scored rollouts of every (recipe, problem) cell, in one pass over the columns."""
    observations = observations.scored().in_order()
    shape = (len(observations.recipes), len(observations.problems))
    flat = observations.recipe * shape[1] + observations.problem

    def total(values: NDArray[np.generic] | None = None) -> Floats:
        sums = np.bincount(flat, weights=values, minlength=shape[0] * shape[1])
        return sums.astype(np.float64, copy=False).reshape(shape)

    tokens = observations.tokens.astype(np.float64)
    return Cells(
        count=total(),
        score=total(observations.score),
        score_squares=total(observations.score**2),
        correct=total(observations.score >= 1.0),
        tokens=total(tokens),
        token_squares=total(tokens**2),
        thinking=total(observations.thinking),
        truncated=total(observations.truncated),
    )


def probe_index(problems: tuple[ProblemRow, ...]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The probes' names in order of appearance, and each problem's place among them."""
    names = tuple(dict.fromkeys(problem.probe for problem in problems))
    places = {name: place for place, name in enumerate(names)}
    return names, np.array([places[problem.probe] for problem in problems], dtype=np.int64)


def problem_weights(problems: tuple[ProblemRow, ...], asked: NDArray[np.bool_]) -> Floats:
    """Each asked problem's share of the study's score; the shares sum to one.

    A probe's weight is shared out over those of its problems that were asked, so that a recipe
    half way through one probe is not judged by the other alone.
    """
    weights = np.zeros(len(problems))
    names, place = probe_index(problems)
    own = np.array([problem.weight for problem in problems])
    for probe in range(len(names)):
        mine = place == probe
        here = mine & asked
        if here.any():
            weights[here] = own[mine].sum() / here.sum()
    total = weights.sum()
    return weights / total if total > 0 else weights


def searched(problems: tuple[ProblemRow, ...]) -> NDArray[np.bool_]:
    """Which problems belong to the search part."""
    return np.array([not problem.held_out for problem in problems], dtype=bool)
