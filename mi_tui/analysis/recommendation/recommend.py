"""The recommendation for a budget, from stored rollouts alone."""

import math

import numpy as np

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.observations import Observations
from mi_tui.analysis.recommendation import wording
from mi_tui.analysis.recommendation.capped_thinking import cap_comparisons
from mi_tui.analysis.recommendation.front import alternatives
from mi_tui.analysis.recommendation.held_out import confirmation
from mi_tui.analysis.recommendation.limit_outcomes import limit_outcomes
from mi_tui.analysis.recommendation.nearest_budget import nearest_budget
from mi_tui.analysis.recommendation.remarks import remarks, share_not_scored
from mi_tui.analysis.recommendation.verdict import judge
from mi_tui.analysis.results import Curve, Estimate, Recommendation
from mi_tui.analysis.statistics.cells import Floats
from mi_tui.analysis.statistics.curve import Curves, family
from mi_tui.analysis.statistics.stages import stage_limits, stage_of
from mi_tui.plan.budget import Budget
from mi_tui.plan.recipe import Recipe

_NO_MORE = 50
_LAMBDA_LEVEL = 0.95
"""The posterior share of the interval of the best λ. A cliff makes it too narrow: it held the best
λ in 85 % of simulated studies, 67 % on the worst line (benchmarks/RESULTS.md)."""


def recommend(
    observations: Observations,
    budget: Budget,
    *,
    latency: Latency | None = None,
    seed: int = 0,
    tolerance: float = 0.01,
    dtype: str = "",
    rollouts_per_second: float | None = None,
    level: float = 0.95,
    like: Recipe | None = None,
    curves: Curves | None = None,
) -> Recommendation:
    """Answer a budget; equal rollouts and seeds give equal answers.

    The curves come from the search problems alone. Held-out problems, where they were asked,
    confirm the answer and are shown beside it.

    Args:
        observations: the study's rollouts.
        budget: the question.
        latency: the speed of the merged model; needed for budgets in seconds.
        seed: of the posterior's draws.
        tolerance: the expected loss at which the answer counts as resolved, in score or, for
            objectives in tokens, as a share of the tokens. An answer that more rollouts on the
            same problems would hardly improve counts as resolved, too.
        dtype: the dtype of the held-out rollouts, for the confirmation.
        rollouts_per_second: the study's pace, to put "N more rollouts" into minutes.
        level: the level of the intervals of score, tokens, seconds and think ratio.
        like: a recipe of the family to choose from; by default the largest family.
        curves: those of :func:`curves_of` for the same rollouts, seed and family, to be spared
            the fit: of the budget they depend on what it is about alone.

    Raises:
        CurveError: no λ has rollouts yet.
        DecisionError: the budget is in seconds and no speed is known.
    """
    verdict = judge(
        observations,
        budget,
        tolerance=tolerance,
        latency=latency,
        seed=seed,
        like=like,
        curves=curves,
    )
    curves, decision = verdict.curves, verdict.decision
    at = decision.chosen
    members = family(observations.recipes, like)
    recipe = observations.recipes[members[0]].model_copy(update={"lambda_": decision.lambda_})
    low, high = _shortest(curves.lambdas[decision.best_points], _LAMBDA_LEVEL)
    tokens = _estimate(curves.tokens[:, at], level)
    think = _estimate(curves.thinking[:, at], level)
    loss = decision.expected_loss
    resolved = verdict.settled
    more = None if resolved else _more_rollouts(verdict.rollouts, loss, tolerance)
    found = remarks(observations, curves, decision)
    capped = cap_comparisons(observations, like=recipe, about=budget.about)
    answer = Recommendation(
        budget=budget,
        recipe=recipe,
        lambda_=decision.lambda_,
        lambda_low=min(low, decision.lambda_),
        lambda_high=max(high, decision.lambda_),
        score=_estimate(curves.score[:, at], level),
        tokens=tokens,
        seconds=latency.project(tokens) if latency else None,
        think_ratio=think,
        probability=float(decision.probability[at]),
        expected_loss=loss,
        feasible=decision.feasible,
        nearest_budget=None if decision.feasible else nearest_budget(decision),
        resolved=resolved,
        more_rollouts=more,
        more_seconds=more / rollouts_per_second if more and rollouts_per_second else None,
        recommended=not {"floor", "not-scored"}.intersection(found),
        not_scored=share_not_scored(observations),
        remarks=found,
        stage=stage_of(think.value),
        stage_limits=stage_limits(curves.lambdas, curves.thinking),
        tokens_saved=_estimate(1 - curves.tokens[:, at] / curves.tokens[:, -1], level),
        score_given_up=_estimate(curves.score[:, -1] - curves.score[:, at], level),
        alternatives=alternatives(curves, decision, level),
        limits=limit_outcomes(decision, level, tolerance),
        against_caps=capped,
        curve=_picture(curves),
        sentence="",
    )
    held_out = confirmation(observations, answer, dtype)
    answer = answer.model_copy(update={"confirmation": held_out})
    sentence = wording.answer(answer, verdict, tolerance)
    return answer.model_copy(update={"sentence": sentence})


def _more_rollouts(rollouts: int, loss: float, tolerance: float) -> int:
    """About how many rollouts more bring the loss to the tolerance: it shrinks as 1 / √n."""
    factor = min(max((loss / tolerance) ** 2, 1.25), _NO_MORE)
    wanted = rollouts * (factor - 1)
    digits = max(int(math.log10(max(wanted, 1.0))) - 1, 0)
    return int(math.ceil(wanted / 10**digits) * 10**digits)


def _estimate(draws: Floats, level: float) -> Estimate:
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    value = float(draws.mean())
    return Estimate(value=value, low=min(float(low), value), high=max(float(high), value))


def _shortest(values: Floats, share: float) -> tuple[float, float]:
    """The ends of the shortest interval that holds a share of the values."""
    ordered = np.sort(values)
    inside = math.ceil(share * len(ordered))
    widths = ordered[inside - 1 :] - ordered[: len(ordered) - inside + 1]
    first = int(widths.argmin())
    return float(ordered[first]), float(ordered[first + inside - 1])


def _picture(curves: Curves) -> Curve:
    """Every second point of the curves: what a plot can show."""
    some = range(0, len(curves.lambdas), 2)
    return Curve(
        lambdas=tuple(float(curves.lambdas[i]) for i in some),
        score=tuple(_estimate(curves.score[:, i], 0.95) for i in some),
        tokens=tuple(_estimate(curves.tokens[:, i], 0.95) for i in some),
        think_ratio=tuple(_estimate(curves.thinking[:, i], 0.95) for i in some),
    )
