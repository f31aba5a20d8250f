"""The knowledge gradient over λ: what more rollouts are worth to a decision.

A batch at one λ moves the curves of score and length everywhere they are correlated with it. The
value of a batch is how much better the choice then made is expected to be, limits kept with the
wanted confidence (Frazier, Powell and Dayanik, "The knowledge-gradient policy for correlated
normal beliefs", 2009). Here the beliefs are the draws' means and covariances.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.recommendation.decision import Decision, Sensitivity
from mi_tui.analysis.recommendation.design import Design
from mi_tui.analysis.statistics.cells import Floats
from mi_tui.analysis.statistics.curve import Curves
from mi_tui.plan.budget import Budget

_STEP = 0.02
_PROBLEM_SHARE = 0.6
_PARTS = 3
_OVERHEAD = 0.25
_FANTASY_COUNT = 64
_NOTHING = 1e-9
_LITTLE_CHANCE = 0.1
"""The chance of a λ with the confidence below which it is sought where least is known."""
_OPTIMISM = 2.0
"""Standard errors by which a margin may be better than it seems, where to look for one."""


def _normal_pairs() -> Floats:
    """Pairs of standard normal numbers, evenly spread and symmetric, shape (fantasies, 2)."""
    radius = np.sqrt(-2 * np.log(1 - (np.arange(_FANTASY_COUNT) + 0.5) / _FANTASY_COUNT))
    angle = np.arange(_FANTASY_COUNT) * np.pi * (3 - np.sqrt(5.0))
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


_FANTASIES = _normal_pairs()
Points = NDArray[np.int64]


@dataclass(slots=True)
class _Beliefs:
    """Normal beliefs about score and log tokens, and how utility and margin follow them.

    ``utility`` and ``margin`` (points,) are means, ``margin_variance`` (points,) the variance of
    the margin; ``score`` and ``tokens`` (points, points) are covariances.
    """

    utility: Floats
    margin: Floats
    margin_variance: Floats
    score: Floats
    tokens: Floats
    sensitivity: Sensitivity

    def utility_moves(self, points: Points) -> tuple[Floats, Floats]:
        """Covariances of all utilities with score and log tokens at some λ, (λ, points)."""
        by = self.sensitivity
        return (
            self.score[points] * by.utility_by_score,
            self.tokens[points] * by.utility_by_tokens,
        )

    def margin_moves(self, points: Points) -> tuple[Floats, Floats]:
        """Covariances of all margins with score and log tokens at some λ, (λ, points)."""
        by = self.sensitivity
        return self.score[points] @ by.margin_by_score.T, self.tokens[points] * by.margin_by_tokens


def value_of_doubling(curves: Curves, budget: Budget, decision: Decision, design: Design) -> float:
    """What twice the rollouts, the new ones at the best single λ, should add to the utility."""
    beliefs = _beliefs(curves, decision)
    points = np.arange(len(curves.lambdas))
    batch = np.full(len(points), max(float(design.rollouts.sum()), 1.0))
    return float(_knowledge_gradients(curves, beliefs, budget, design, batch, points).max())


def next_lambdas(
    curves: Curves,
    decision: Decision,
    budget: Budget,
    design: Design,
    *,
    size: int,
    horizon: float,
    room: int,
) -> list[tuple[float, int]]:
    """The λ of the next batch with their numbers of rollouts.

    Each λ is weighed by the choice that could be made if all that is left were spent on it: a
    small batch may be worth nothing where a large one is worth much.

    Args:
        curves: draws of the curves.
        decision: the question put to them.
        budget: the question.
        design: what was asked so far, in flight included.
        size: rollouts of the batch.
        horizon: the tokens that are left to spend.
        room: the most rollouts one λ may have.
    """
    beliefs = _beliefs(curves, decision)
    points = _candidates(curves.lambdas, decision, design, room)
    counts: dict[float, int] = {}
    if not len(points):
        return []
    mean_tokens = curves.tokens.mean(axis=0)
    # A prompt has to be read and a row of the table filled even where responses are short.
    cost = (mean_tokens + _OVERHEAD * mean_tokens.mean()) / (1 + _OVERHEAD)
    batch = np.maximum(horizon / cost, size)
    part = max(math.ceil(size / _PARTS), 1)
    left = size
    while left > 0:
        gains = _knowledge_gradients(curves, beliefs, budget, design, batch, points)
        if gains.max() <= _least_gain(beliefs, decision):
            point = points[int(_upper_bounds(beliefs, decision)[points].argmax())]
        else:
            point = points[int(gains.argmax())]
        asked = min(part, left)
        lambda_ = float(curves.lambdas[point])
        counts[lambda_] = counts.get(lambda_, 0) + asked
        _condition(curves, beliefs, design, int(point), batch * asked / size)
        left -= asked
    return list(counts.items())


def _least_gain(beliefs: _Beliefs, decision: Decision) -> float:
    """The gain up to which a batch is not worth asking for its own sake.

    While no λ has the confidence, a gain is the chance of finding one times what it is worth.
    """
    if decision.feasible:
        return _NOTHING
    return _NOTHING + _LITTLE_CHANCE * float(np.ptp(beliefs.utility))


def _upper_bounds(beliefs: _Beliefs, decision: Decision) -> Floats:
    """Where to look when no batch is expected to change the choice, shape (points,).

    With a choice that keeps the limit, at the choice itself, to know it better; without one, where
    a λ that keeps the limit may yet be, by an optimistic bound of its margin.
    """
    if decision.feasible:
        away = np.abs(np.arange(len(beliefs.utility)) - decision.chosen)
        return np.asarray(-away, dtype=np.float64)
    return beliefs.margin + _OPTIMISM * np.sqrt(beliefs.margin_variance)


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
    return _Beliefs(
        decision.utility.mean(axis=0),
        decision.margin.mean(axis=0),
        decision.margin.var(axis=0),
        curves.score_covariance,
        curves.log_tokens_covariance,
        decision.sensitivity,
    )


def _noise(curves: Curves, design: Design, batch: Floats) -> tuple[Floats, Floats]:
    """What a batch at each point leaves open of score and log tokens, as noise variances.

    Problems asked before tell less the second time: the part of the variance that belongs to
    the problem shrinks with distinct problems alone; about these problems themselves it is gone
    once all were asked.
    """
    seen = np.isclose(curves.lambdas[:, None], design.lambdas[None, :], atol=1e-6)
    rollouts = (seen * design.rollouts).sum(axis=1)
    problems = (seen * design.problems).sum(axis=1)
    after_problems = np.minimum(problems + batch, design.available)
    known = _PROBLEM_SHARE / design.available if design.fixed else 0.0

    def precision(asked: Floats, distinct: Floats) -> Floats:
        left = _PROBLEM_SHARE / np.maximum(distinct, 1e-9) - known
        left = left + (1 - _PROBLEM_SHARE) / np.maximum(asked, 1e-9)
        return np.where(asked > 0, 1 / left, 0.0)

    gained = precision(rollouts + batch, after_problems) - precision(rollouts, problems)
    gained = np.maximum(gained, 1e-9)
    return curves.score_variance / gained, curves.tokens_variance / gained


def _knowledge_gradients(
    curves: Curves,
    beliefs: _Beliefs,
    budget: Budget,
    design: Design,
    batch: Floats,
    points: NDArray[np.int64],
) -> Floats:
    """The expected improvement of the choice by a batch at each of the points."""
    noise_score, noise_tokens = _noise(curves, design, batch)
    scale_score = np.sqrt(np.diagonal(beliefs.score) + noise_score)[points, None]
    scale_tokens = np.sqrt(np.diagonal(beliefs.tokens) + noise_tokens)[points, None]
    by_score, by_tokens = beliefs.utility_moves(points)
    first, second = (_FANTASIES[:, i, None, None] for i in (0, 1))
    utility = (
        beliefs.utility + first * (by_score / scale_score) + second * (by_tokens / scale_tokens)
    )
    by_score, by_tokens = beliefs.margin_moves(points)
    by_score, by_tokens = by_score / scale_score, by_tokens / scale_tokens
    margin = beliefs.margin + first * by_score + second * by_tokens
    left = np.maximum(beliefs.margin_variance - by_score**2 - by_tokens**2, 0.0)
    worst = float(beliefs.utility.min())
    after = _best_allowed(utility, margin, left, budget.confidence, worst).mean(axis=0)
    now = _best_allowed(
        beliefs.utility, beliefs.margin, beliefs.margin_variance, budget.confidence, worst
    )
    return np.asarray(np.maximum(after - now, 0.0), dtype=np.float64)


def _best_allowed(
    utility: Floats, margin: Floats, variance: Floats, confidence: float, worst: float
) -> Floats:
    """The utility of the choice, over the last axis of the arguments; the worst without one.

    So a λ that can be recommended with the confidence comes before better ones that cannot.
    """
    from scipy.special import ndtri  # imported here: SciPy takes longer than the rest

    allowed = margin >= float(ndtri(confidence)) * np.sqrt(variance)
    return np.asarray(np.where(allowed, utility, worst).max(axis=-1), dtype=np.float64)


def _condition(
    curves: Curves, beliefs: _Beliefs, design: Design, point: int, batch: Floats
) -> None:
    """Narrow the beliefs as a batch at a point would, their means left where they are."""
    noise_score, noise_tokens = _noise(curves, design, batch)
    here = np.array([point])
    by_score, by_tokens = (moves[0] for moves in beliefs.margin_moves(here))
    total_score = beliefs.score[point, point] + noise_score[point]
    total_tokens = beliefs.tokens[point, point] + noise_tokens[point]
    narrowed = beliefs.margin_variance - by_score**2 / total_score - by_tokens**2 / total_tokens
    beliefs.margin_variance = np.maximum(narrowed, 0.0)
    column = beliefs.score[point]
    beliefs.score = beliefs.score - np.outer(column, column) / total_score
    column = beliefs.tokens[point]
    beliefs.tokens = beliefs.tokens - np.outer(column, column) / total_tokens
