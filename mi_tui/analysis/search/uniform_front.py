"""The uniform answer and its front: what recipes with more than one λ are held against."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.observations import Observations
from mi_tui.analysis.recommendation.objective import objective_of
from mi_tui.analysis.recommendation.verdict import answerable, judge
from mi_tui.analysis.results import PairedDifference
from mi_tui.analysis.statistics.curve import Curves
from mi_tui.analysis.statistics.metrics import MetricError, paired_difference
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Recipe

HELD_OUT_FACTOR = 4
"""Samples of a held-out problem for each sample of a search problem: they decide."""


@dataclass(frozen=True, slots=True)
class Uniform:
    """The uniform search's outcome: its recommended λ and its curves.

    ``in_tokens``: the budget asks for few tokens, not for a high score.
    """

    recipe: Recipe
    curves: Curves
    in_tokens: bool


def uniform_answer(
    observations: Observations, preset: Preset, latency: Latency | None, at: float | None = None
) -> Uniform:
    """The outcome of the uniform search; ``at`` takes the recommended λ's place."""
    verdict = judge(
        observations,
        answerable(preset.budget, latency),
        tolerance=preset.search.tolerance,
        latency=latency,
        seed=preset.search.seed,
        like=preset.recipe(0.0),
    )
    in_tokens = objective_of(preset.budget).aim == "tokens"
    lambda_ = verdict.decision.lambda_ if at is None else at
    return Uniform(preset.recipe(lambda_), verdict.curves, in_tokens)


def all_asked(observations: Observations, recipes: Sequence[Recipe]) -> bool:
    """Whether each of the recipes has rollouts."""
    asked = {observations.recipes[index] for index in np.unique(observations.recipe)}
    return asked.issuperset(recipes)


def rival_of(found: Uniform, ratio: float) -> Recipe:
    """The uniform λ with the highest expected score among those no longer than a mixture.

    Never a worse one than the recommended λ, whose budget the mixture is to serve.

    Args:
        found: the uniform answer.
        ratio: the mixture's tokens in parts of the recommended λ's.
    """
    lambdas, tokens = found.curves.lambdas, found.curves.tokens.mean(axis=0)
    score = found.curves.score.mean(axis=0)
    own = int(np.abs(lambdas - (found.recipe.lambda_ or 0.0)).argmin())
    allowed = tokens <= max(ratio, 1.0) * tokens[own]
    allowed[own] = True
    chosen = int(np.where(allowed, score, -np.inf).argmax())
    return found.recipe.model_copy(update={"lambda_": float(lambdas[chosen])})


def held_out_difference(
    observations: Observations, best: Recipe, rival: Recipe, level: float = 0.95
) -> PairedDifference | None:
    """What a mixture changes against its rival on held-out problems; ``None`` if not asked."""
    flipped = tuple(
        replace(problem, held_out=not problem.held_out) for problem in observations.problems
    )
    turned = replace(observations, problems=flipped)
    place = {known: index for index, known in enumerate(observations.recipes)}
    if best not in place or rival not in place:
        return None
    try:
        return paired_difference(turned, place[best], place[rival], level=level)
    except MetricError:
        return None


def front_gain(found: Uniform, rival: Recipe, ratio: float) -> float:
    """What the uniform front scores more than the rival at so many times its tokens."""
    lambdas, tokens = found.curves.lambdas, found.curves.tokens.mean(axis=0)
    score = found.curves.score.mean(axis=0)
    own = int(np.abs(lambdas - (rival.lambda_ or 0.0)).argmin())
    allowed = tokens <= ratio * tokens[own]
    allowed[int(tokens.argmin())] = True
    return float(score[allowed].max() - score[own])
