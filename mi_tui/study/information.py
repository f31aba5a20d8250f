"""What more rollouts are worth to a decision: the knowledge gradient over λ.

A batch at one λ moves the curves of score and length everywhere they are correlated with it. The
value of a batch is how much better the choice then made is expected to be, limits kept with the
wanted confidence (Frazier, Powell and Dayanik, "The knowledge-gradient policy for correlated
normal beliefs", 2009). Here the beliefs are the draws' means and covariances.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mi_tui.plan.budget import Budget
from mi_tui.study.asks import Design
from mi_tui.study.cells import Floats
from mi_tui.study.curve import Curves
from mi_tui.study.decision import Decision

_STEP = 0.04
_PROBLEM_SHARE = 0.35
_PARTS = 3
_FANTASIES = 32


@dataclass(slots=True)
class _Beliefs:
    """Normal beliefs about utility and margin, with what one observation at each λ moves."""

    utility: Floats
    margin: Floats
    joint: Floats
    """Covariance of (utility, margin, score, log tokens), shape (4·points, 4·points)."""


def value_of_more(curves: Curves, budget: Budget, decision: Decision, design: Design) -> float:
    """What doubling the rollouts at the best single λ is expected to add to the utility."""
    beliefs = _beliefs(curves, decision)
    batch = max(float(design.rollouts.sum()), 1.0)
    gains = _gains(curves, beliefs, budget, design, batch, np.arange(len(curves.lambdas)))
    return float(gains.max())


def next_lambdas(
    curves: Curves,
    decision: Decision,
    budget: Budget,
    design: Design,
    *,
    size: int,
    horizon: int,
    room: int,
) -> list[tuple[float, int]]:
    """The λ of the next batch with their numbers of rollouts, best value per token first.

    Args:
        curves: draws of the curves.
        decision: the question put to them.
        budget: the question.
        design: what was asked so far, in flight included.
        size: rollouts of the batch.
        horizon: rollouts whose value is weighed: a small batch may be worth nothing where a
            larger one is worth much.
        room: the most rollouts one λ may have.
    """
    beliefs = _beliefs(curves, decision)
    points = _candidates(curves.lambdas, decision, design, room)
    counts: dict[float, int] = {}
    if not len(points):
        return []
    cost = curves.tokens.mean(axis=0)[points]
    part = max(size // _PARTS, 1)
    left = size
    while left > 0:
        gains = _gains(curves, beliefs, budget, design, float(horizon), points) / cost
        if gains.max() <= 1e-12:
            point = points[np.abs(points - decision.chosen).argmin()]
        else:
            point = points[int(gains.argmax())]
        asked = min(part, left)
        lambda_ = float(curves.lambdas[point])
        counts[lambda_] = counts.get(lambda_, 0) + asked
        _learn(curves, beliefs, design, int(point), float(max(asked, horizon // _PARTS)))
        left -= asked
    return list(counts.items())


def _candidates(
    lambdas: Floats, decision: Decision, design: Design, room: int
) -> NDArray[np.int64]:
    """The λ worth asking: a grid, those asked before, and the choice itself."""
    on_grid = np.isclose(np.round(lambdas / _STEP) * _STEP, lambdas)
    seen = np.isclose(lambdas[:, None], design.lambdas[None, :], atol=1e-6)
    full = (seen & (design.rollouts >= room)[None, :]).any(axis=1)
    allowed = on_grid | seen.any(axis=1)
    allowed[decision.chosen] = True
    return np.flatnonzero(allowed & ~full)


def _beliefs(curves: Curves, decision: Decision) -> _Beliefs:
    fields = np.hstack([decision.utility, decision.margin, curves.score, np.log(curves.tokens)])
    means = fields.mean(axis=0)
    centred = fields - means
    points = len(curves.lambdas)
    return _Beliefs(
        means[:points],
        means[points : 2 * points],
        centred.T @ centred / len(fields),
    )


def _noise(curves: Curves, design: Design, batch: float) -> tuple[Floats, Floats]:
    """What a batch at each point leaves open of score and log tokens, as noise variances.

    Problems asked before tell less the second time: the part of the variance that belongs to
    the problem shrinks with distinct problems alone.
    """
    seen = np.isclose(curves.lambdas[:, None], design.lambdas[None, :], atol=1e-6)
    rollouts = (seen * design.rollouts).sum(axis=1)
    problems = (seen * design.problems).sum(axis=1)
    after_problems = np.minimum(problems + batch, design.available)

    def precision(asked: Floats, distinct: Floats) -> Floats:
        left = _PROBLEM_SHARE / np.maximum(distinct, 1e-9)
        left = left + (1 - _PROBLEM_SHARE) / np.maximum(asked, 1e-9)
        return np.where(asked > 0, 1 / left, 0.0)

    gained = precision(rollouts + batch, after_problems) - precision(rollouts, problems)
    gained = np.maximum(gained, 1e-9)
    return curves.score_variance / gained, curves.tokens_variance / gained


def _gains(
    curves: Curves,
    beliefs: _Beliefs,
    budget: Budget,
    design: Design,
    batch: float,
    points: NDArray[np.int64],
) -> Floats:
    """The expected improvement of the choice by a batch at each of the points."""
    n = len(curves.lambdas)
    noise_score, noise_tokens = _noise(curves, design, batch)
    z = _z(budget.confidence)
    variance = np.diagonal(beliefs.joint)
    moved_by_score = beliefs.joint[:, 2 * n + points].T
    moved_by_tokens = beliefs.joint[:, 3 * n + points].T
    by_score = moved_by_score / np.sqrt(variance[2 * n + points] + noise_score[points])[:, None]
    by_tokens = moved_by_tokens / np.sqrt(variance[3 * n + points] + noise_tokens[points])[:, None]
    fantasies = _normal_pairs()
    utility = (
        beliefs.utility
        + fantasies[:, 0, None, None] * by_score[:, :n]
        + fantasies[:, 1, None, None] * by_tokens[:, :n]
    )
    margin = (
        beliefs.margin
        + fantasies[:, 0, None, None] * by_score[:, n : 2 * n]
        + fantasies[:, 1, None, None] * by_tokens[:, n : 2 * n]
    )
    left = variance[n : 2 * n] - by_score[:, n : 2 * n] ** 2 - by_tokens[:, n : 2 * n] ** 2
    spread = np.sqrt(np.maximum(left, 0.0))
    worst = float(beliefs.utility.min())
    after = np.where(margin >= z * spread, utility, worst).max(axis=2).mean(axis=0)
    sd = np.sqrt(np.maximum(variance[n : 2 * n], 0.0))
    now = np.where(beliefs.margin >= z * sd, beliefs.utility, worst).max()
    return np.asarray(np.maximum(after - now, 0.0), dtype=np.float64)


def _learn(curves: Curves, beliefs: _Beliefs, design: Design, point: int, batch: float) -> None:
    """Narrow the beliefs as a batch at a point would, their means left where they are."""
    n = len(curves.lambdas)
    for field, noise in zip((2, 3), _noise(curves, design, batch), strict=True):
        at = field * n + point
        moved = beliefs.joint[:, at]
        beliefs.joint = beliefs.joint - np.outer(moved, moved) / (
            beliefs.joint[at, at] + noise[point]
        )


def _normal_pairs() -> Floats:
    """Pairs of standard normal numbers, evenly spread and symmetric, shape (fantasies, 2)."""
    radius = np.sqrt(-2 * np.log(1 - (np.arange(_FANTASIES) + 0.5) / _FANTASIES))
    angle = np.arange(_FANTASIES) * np.pi * (3 - np.sqrt(5.0))
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


def _z(confidence: float) -> float:
    from scipy.special import ndtri  # imported here: SciPy takes longer than the rest

    return float(ndtri(confidence))
