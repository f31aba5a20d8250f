"""Mixing against Thinking with a capped thought: the difference in score at equal tokens."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.observations import Observations
from mi_tui.analysis.results import CapComparison, Estimate
from mi_tui.analysis.statistics import intervals, these_problems
from mi_tui.analysis.statistics.cells import (
    Booleans,
    Cells,
    Floats,
    aggregate,
    problem_weights,
    searched,
)
from mi_tui.analysis.statistics.curve import family
from mi_tui.plan.budget import About
from mi_tui.plan.recipe import Recipe

_ENOUGH = 0.5
"""The share of a capped row's problems that two λ must have answered, too."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two neighbouring λ between whose lengths that of a capped row lies.

    ``share`` of the responses come from the second, so that the mean length is the row's.
    ``problems`` are those that all three answered, with their ``weights``.
    """

    first: int
    second: int
    share: float
    problems: Booleans
    weights: Floats
    score: float


def cap_comparisons(
    observations: Observations, *, like: Recipe | None = None, about: About = "new-problems"
) -> tuple[CapComparison, ...]:
    """Every row of Thinking with a capped thought against mixing at its mean length.

    Mixing at a length between those of two measured λ is to answer with either, in the share that
    gives this length. The difference in score is paired over the problems that all three answered;
    its interval counts, to first order, that the share is estimated from their lengths.

    Args:
        observations: the study's rollouts; held-out problems are left aside.
        like: a recipe of the family that is mixed; by default the largest family.
        about: whether intervals speak of problems like these, or of these problems themselves.
    """
    recipes = observations.recipes
    capped = [at for at, recipe in enumerate(recipes) if recipe.thinking_cap is not None]
    if not capped:
        return ()
    cells = aggregate(observations)
    members = family(recipes, like)
    found = []
    for row in sorted(capped, key=lambda at: recipes[at].thinking_cap or 0):
        if recipes[row].uncapped not in (recipes[at] for at in members):
            continue
        pairs = list(_pairs(observations, cells, members, row))
        if pairs:
            best = max(pairs, key=lambda pair: pair.score)
            found.append(_compared(observations, cells, row, best, about))
    return tuple(found)


def _pairs(
    observations: Observations, cells: Cells, members: NDArray[np.int64], row: int
) -> Iterator[_Pair]:
    asked = (cells.count[row] > 0) & searched(observations.problems)
    enough = _ENOUGH * asked.sum()
    known = [at for at in members if ((cells.count[at] > 0) & asked).sum() >= max(enough, 2)]
    for first, second in pairwise(known):
        problems = asked & (cells.count[first] > 0) & (cells.count[second] > 0)
        if problems.sum() < max(enough, 2):
            continue
        weights = problem_weights(observations.problems, problems)[problems]

        def mean(
            sums: Floats, at: int, problems: Booleans = problems, by: Floats = weights
        ) -> float:
            return float(by @ (sums[at, problems] / cells.count[at, problems]))

        wanted, one, other = (mean(cells.tokens, at) for at in (row, first, second))
        if one == other or not min(one, other) <= wanted <= max(one, other):
            continue
        share = (wanted - one) / (other - one)
        score = (1 - share) * mean(cells.score, first) + share * mean(cells.score, second)
        yield _Pair(int(first), int(second), share, problems, weights, score)


def _compared(
    observations: Observations, cells: Cells, row: int, pair: _Pair, about: About
) -> CapComparison:
    here, weights, share = pair.problems, pair.weights, pair.share
    counts = cells.count[:, here]

    def means(sums: Floats) -> tuple[Floats, Floats, Floats]:
        each = sums[:, here] / np.maximum(counts, 1)
        return each[row], each[pair.first], each[pair.second]

    score, tokens = means(cells.score), means(cells.tokens)
    mixed = (1 - share) * score[1] + share * score[2]
    lengths = tokens[0] - (1 - share) * tokens[1] - share * tokens[2]
    price = float(weights @ (score[2] - score[1])) / float(weights @ (tokens[2] - tokens[1]))
    mixed = mixed + price * lengths  # the mean of the lengths' part is 0
    samples = float(counts[[row, pair.first, pair.second]].min(axis=0).mean())
    difference = intervals.difference_interval(mixed, score[0], weights, samples)
    if about == "these-problems":
        noise, freedom = _noise_here(cells, row, pair, price)
        left_out = these_problems.not_asked(observations.problems, here)
        difference = these_problems.signed_interval(
            mixed - score[0], noise, freedom, weights, left_out
        )
    recipes = observations.recipes
    length = intervals.length_interval(tokens[0], weights)
    low, high = (recipes[at].lambda_ or 0.0 for at in (pair.first, pair.second))
    return CapComparison(
        recipe=recipes[row],
        tokens=length,
        score=intervals.share_interval(score[0], weights, float(counts[row].mean())),
        lambdas=(low, high),
        difference=difference,
        problems=int(here.sum()),
        sentence=_sentence(recipes[row], length, difference, int(here.sum())),
    )


def _noise_here(cells: Cells, row: int, pair: _Pair, price: float) -> tuple[Floats, float]:
    """The variance of each problem's difference from its samples, and the freedom of that."""
    here = pair.problems
    total, freedom = np.zeros(int(here.sum())), np.inf
    shares = {row: 1.0, pair.first: 1 - pair.share, pair.second: pair.share}
    for at, share in shares.items():
        count = cells.count[at, here]
        score = these_problems.Sampled.of(
            count, cells.score[at, here], cells.score_squares[at, here], share=True
        )
        tokens = these_problems.Sampled.of(
            count, cells.tokens[at, here], cells.token_squares[at, here], share=False
        )
        noise = these_problems.noise_of(score) + price**2 * these_problems.noise_of(tokens)
        total, freedom = total + share**2 * noise, min(freedom, score.freedom)
    return total, freedom


def _sentence(row: Recipe, tokens: Estimate, difference: Estimate, problems: int) -> str:
    low, high = 100 * difference.low, 100 * difference.high
    points = abs(100 * difference.value)
    more = "more" if difference.value >= 0 else "less"
    verdict = "no significant difference"
    if low > 0:
        verdict = "mixing beats the cap"
    elif high < 0:
        verdict = "the cap beats mixing"
    return (
        f"at the {tokens.value:,.0f} tokens of Thinking whose thought is cut at"
        f" {row.thinking_cap:,}, mixing scores {points:.1f} points {more}"
        f" ({low:+.1f} to {high:+.1f}, paired over {problems} problems): {verdict}"
    )
