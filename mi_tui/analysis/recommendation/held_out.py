"""Confirmation of the recommended recipe on held-out problems."""

import numpy as np

from mi_tui.analysis.observations import Observations
from mi_tui.analysis.recommendation.decision import Decision
from mi_tui.analysis.results import Confirmation, Estimate, Recommendation
from mi_tui.analysis.statistics import intervals
from mi_tui.analysis.statistics.cells import Cells, aggregate, problem_weights, searched
from mi_tui.text.percent import percent, percent_range

RIVAL_APART = 0.045


def rival_point(decision: Decision) -> int | None:
    """The index of the winner's nearest rival: the likeliest other λ to be the best.

    λ within 0.05 of the winner count as the winner itself; ``None`` when no draw prefers any
    other.
    """
    far = np.abs(decision.lambdas - decision.lambda_) > RIVAL_APART
    best = decision.best_points
    best = best[far[best]]
    if not len(best):
        return None
    # Draws scatter over neighbouring λ: count them in a window of the same width.
    votes = np.bincount(best, minlength=len(decision.lambdas)).astype(np.float64)
    near = np.abs(decision.lambdas[:, None] - decision.lambdas[None, :]) <= RIVAL_APART
    return int(np.where(far, near @ votes, -1.0).argmax())


def confirmation(
    observations: Observations, answer: Recommendation, dtype: str
) -> Confirmation | None:
    """What the held-out problems say of the answer; ``None`` when they were not asked of it."""
    recipes = observations.recipes
    if answer.recipe not in recipes:
        return None
    cells = aggregate(observations)
    held_out = ~searched(observations.problems)
    winner = recipes.index(answer.recipe)
    asked = (cells.count * held_out).sum(axis=1)
    if asked[winner] == 0:
        return None
    score, tokens = _measured(observations, cells, winner)
    others = [
        index
        for index, recipe in enumerate(recipes)
        if index != winner
        and asked[index] > 0
        and recipe.model_copy(update={"lambda_": answer.lambda_}) == answer.recipe
    ]
    rival = max(others, key=lambda index: (asked[index], -index), default=None)
    rival_score = None if rival is None else _measured(observations, cells, rival)[0]
    return Confirmation(
        dtype=dtype,
        rollouts=int(asked[winner]),
        score=score,
        tokens=tokens,
        rival=None if rival is None else recipes[rival].lambda_,
        rival_score=rival_score,
        sentence=_sentence(
            answer, score, rival_score, None if rival is None else recipes[rival].lambda_
        ),
    )


def _measured(observations: Observations, cells: Cells, recipe: int) -> tuple[Estimate, Estimate]:
    asked = (cells.count[recipe] > 0) & ~searched(observations.problems)
    weights = problem_weights(observations.problems, asked)[asked]
    counts = cells.count[recipe, asked]
    score = intervals.share_interval(
        cells.score[recipe, asked] / counts, weights, float(counts.mean())
    )
    return score, intervals.length_interval(cells.tokens[recipe, asked] / counts, weights)


def _sentence(
    answer: Recommendation,
    score: Estimate,
    rival_score: Estimate | None,
    rival: float | None,
) -> str:
    change = 100 * (score.value - answer.score.value)
    agrees = score.low <= answer.score.high and answer.score.low <= score.high
    text = (
        f"On held-out problems λ = {answer.lambda_:.2f} scores"
        f" {percent_range(score.value, score.low, score.high)}, {abs(change):.1f} points"
        f" {'above' if change >= 0 else 'below'} the search's estimate"
    )
    text += ", which it confirms" if agrees else ": the search's estimate does not hold there"
    if rival_score is not None:
        text += f"; its rival λ = {rival:.2f} scores {percent(rival_score.value, 1)}"
    return text + "."
