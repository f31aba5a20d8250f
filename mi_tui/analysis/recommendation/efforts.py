"""Efforts: the λ behind low, medium and high, from the front that a study measured."""

import numpy as np

from mi_tui.analysis.recommendation.front import pareto_front
from mi_tui.analysis.results import Estimate, Recommendation
from mi_tui.plan.preset import Preset
from mi_tui.plan.serve import HIGH, LOW, MEDIUM, NO_THINKING, MeasuredCurve, ServePlan

ENOUGH = {LOW: 0.90, MEDIUM: 0.97, HIGH: 1.0}
"""The share of the best score that each effort keeps; the fewest tokens that do are taken."""

_STEP = 0.1
_SCORE_DIGITS, _TOKEN_DIGITS = 4, 2

_Points = dict[float, tuple[Estimate, Estimate]]


def serve_plan(answer: Recommendation, preset: Preset, *, whole: bool = False) -> ServePlan:
    """How the pair of a study is served: its efforts, and the recommended λ for all else.

    Args:
        answer: the recommendation with its curve.
        preset: of the study; what the answer shares with it is not said again.
        whole: keep every point of the curve, instead of those at each tenth of λ, the efforts
            and the recommendation.
    """
    points = _points(answer)
    efforts = dict.fromkeys(NO_THINKING, 0.0) | chosen_efforts(points)
    wanted = {*efforts.values(), answer.lambda_}
    kept = {
        lambda_: point
        for lambda_, point in points.items()
        if whole or lambda_ in wanted or _is_a_step(lambda_)
    }
    decoding, scope = answer.recipe.decoding, answer.recipe.scope
    return ServePlan(
        name=preset.serve.name if preset.serve else "",
        lambda_=answer.lambda_,
        efforts=efforts,
        scope=None if scope == preset.scope else scope,
        decoding=None if decoding == preset.decoding else decoding,
        measured=_curve(kept) if kept else None,
    )


def chosen_efforts(points: _Points) -> dict[str, float]:
    """The λ of low, medium and high; none where nothing was measured.

    Args:
        points: (score, tokens) by λ.
    """
    if not points:
        return {}
    lambdas = list(points)
    score = np.array([point[0].value for point in points.values()])
    tokens = np.array([point[1].value for point in points.values()])
    front = pareto_front(score, tokens)
    best = score[front[-1]]
    shortest = {name: front[score[front] >= share * best][0] for name, share in ENOUGH.items()}
    return {name: lambdas[int(at)] for name, at in shortest.items()}


def _points(answer: Recommendation) -> _Points:
    """The curve's points and the recommended one, by λ."""
    curve = answer.curve
    lambdas = (round(lambda_, 6) for lambda_ in curve.lambdas)
    points = dict(zip(lambdas, zip(curve.score, curve.tokens, strict=True), strict=True))
    points[answer.lambda_] = (answer.score, answer.tokens)
    return dict(sorted(points.items()))


def _is_a_step(lambda_: float) -> bool:
    return abs(lambda_ / _STEP - round(lambda_ / _STEP)) < 1e-6


def _curve(points: _Points) -> MeasuredCurve:
    def row(which: int, end: str, digits: int) -> tuple[float, ...]:
        return tuple(round(getattr(point[which], end), digits) for point in points.values())

    return MeasuredCurve(
        lambdas=tuple(points),
        score=row(0, "value", _SCORE_DIGITS),
        score_low=row(0, "low", _SCORE_DIGITS),
        score_high=row(0, "high", _SCORE_DIGITS),
        tokens=row(1, "value", _TOKEN_DIGITS),
        tokens_low=row(1, "low", _TOKEN_DIGITS),
        tokens_high=row(1, "high", _TOKEN_DIGITS),
    )
