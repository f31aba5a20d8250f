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

from mi_tui.analysis.recommendation.decision import Decision
from mi_tui.analysis.recommendation.design import Design
from mi_tui.analysis.recommendation.objective import Goal
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
class _Measures:
    """Normal beliefs about score and log tokens of the study, or of one of its probes.

    ``score`` and ``tokens`` (points, points) are covariances; ``score_variance`` and
    ``tokens_variance`` (points,) those of one response; ``rollouts`` is the share of a batch that
    goes to the probe.
    """

    score: Floats
    tokens: Floats
    score_variance: Floats
    tokens_variance: Floats
    rollouts: float = 1.0

    @classmethod
    def of(cls, curves: Curves, rollouts: float = 1.0) -> "_Measures":
        return cls(
            curves.score_covariance,
            curves.log_tokens_covariance,
            curves.score_variance,
            curves.tokens_variance,
            rollouts,
        )

    def totals(self, precision: Floats) -> tuple[Floats, Floats]:
        """Variances of what a batch at each λ shows of score and log tokens there, (points,).

        ``precision`` is what the batch tells, in responses.
        """
        told = self.rollouts * precision
        score = np.diagonal(self.score) + self.score_variance / told
        return score, np.diagonal(self.tokens) + self.tokens_variance / told


@dataclass(slots=True)
class _LimitBeliefs:
    """Beliefs about one limit's margin: mean and variance (points,), and how it moves.

    A batch moves the margin with the score and length of ``measures``; ``unit`` as in
    :class:`mi_tui.analysis.recommendation.objective.Margin`.
    """

    margin: Floats
    variance: Floats
    by_score: Floats
    by_tokens: Floats
    unit: float
    measures: _Measures

    def moves(self, points: Points, precision: Floats) -> tuple[Floats, Floats]:
        """By how much a batch at some λ moves all margins, by score and by length: (λ, points).

        In standard deviations of what the batch shows.
        """
        score, tokens = (np.sqrt(total)[points, None] for total in self.measures.totals(precision))
        by_score = self.measures.score[points] @ self.by_score.T / score
        return by_score, self.measures.tokens[points] * self.by_tokens / tokens


@dataclass(slots=True)
class _Beliefs:
    """Normal beliefs about the utility, its mean (points,), and about every limit.

    All limits and the utility are taken to move together with what a batch shows: a batch that
    surprises on one probe does so on all.
    """

    utility: Floats
    measures: _Measures
    goal: Goal
    limits: list[_LimitBeliefs]

    def utility_moves(self, points: Points, precision: Floats) -> tuple[Floats, Floats]:
        """By how much a batch at some λ moves all utilities, by score and by length."""
        score, tokens = (np.sqrt(total)[points, None] for total in self.measures.totals(precision))
        return (
            self.measures.score[points] * self.goal.by_score / score,
            self.measures.tokens[points] * self.goal.by_log_tokens / tokens,
        )

    def upper_margin(self) -> Floats:
        """An optimistic bound of the margin of the limit that is kept least, shape (points,)."""
        bounds = [
            (limit.margin + _OPTIMISM * np.sqrt(limit.variance)) / limit.unit
            for limit in self.limits
        ]
        return np.asarray(np.minimum.reduce(bounds), dtype=np.float64)

    @property
    def all_measures(self) -> list[_Measures]:
        """The beliefs about the study and about each probe that has a limit, each once."""
        found = [self.measures, *(limit.measures for limit in self.limits)]
        return list({id(one): one for one in found}.values())


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
    return beliefs.upper_margin()


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
    known: dict[str | None, _Measures] = {None: _Measures.of(curves)}
    for part in curves.probes if len(curves.probes) > 1 else ():
        known[part.name] = _Measures.of(part.curves, part.rollouts)
    limits = []
    for limit in decision.limits:
        probe = limit.constraint.probe if limit.constraint else None
        values, margin = limit.margin.values, limit.margin
        limits.append(
            _LimitBeliefs(
                values.mean(axis=0),
                values.var(axis=0),
                margin.by_score,
                margin.by_log_tokens,
                margin.unit,
                known.get(probe, known[None]),
            )
        )
    return _Beliefs(decision.utility.mean(axis=0), known[None], decision.goal, limits)


def _precision(curves: Curves, design: Design, batch: Floats) -> Floats:
    """What a batch at each point tells of a mean, in responses, shape (points,).

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
    return np.asarray(np.maximum(gained, 1e-9), dtype=np.float64)


def _knowledge_gradients(
    curves: Curves,
    beliefs: _Beliefs,
    budget: Budget,
    design: Design,
    batch: Floats,
    points: NDArray[np.int64],
) -> Floats:
    """The expected improvement of the choice by a batch at each of the points."""
    precision = _precision(curves, design, batch)
    first, second = (_FANTASIES[:, i, None, None] for i in (0, 1))
    by_score, by_tokens = beliefs.utility_moves(points, precision)
    utility = beliefs.utility + first * by_score + second * by_tokens
    after, now = [], []
    for limit in beliefs.limits:
        by_score, by_tokens = limit.moves(points, precision)
        margin = limit.margin + first * by_score + second * by_tokens
        left = np.maximum(limit.variance - by_score**2 - by_tokens**2, 0.0)
        after.append((margin, left))
        now.append((limit.margin, limit.variance))
    worst = float(beliefs.utility.min())
    gained = _best_allowed(utility, after, budget.confidence, worst).mean(axis=0)
    gained = gained - _best_allowed(beliefs.utility, now, budget.confidence, worst)
    return np.asarray(np.maximum(gained, 0.0), dtype=np.float64)


def _best_allowed(
    utility: Floats, limits: list[tuple[Floats, Floats]], confidence: float, worst: float
) -> Floats:
    """The utility of the choice, over the last axis of the arguments; the worst without one.

    So a λ that can be recommended with the confidence comes before better ones that cannot.
    ``limits`` are means and variances of each limit's margin. The chances that each is broken may
    add up to what the confidence leaves open: where they are small, as here, that is nearly the
    chance that any is, however they hang together (Bonferroni's inequality).
    """
    from scipy.special import ndtr, ndtri  # imported here: SciPy takes longer than the rest

    if len(limits) == 1:
        ((margin, variance),) = limits
        allowed = margin >= float(ndtri(confidence)) * np.sqrt(variance)
    else:
        broken = sum(
            ndtr(-margin / np.sqrt(np.maximum(variance, _NOTHING**2)))
            for margin, variance in limits
        )
        allowed = broken <= 1 - confidence
    return np.asarray(np.where(allowed, utility, worst).max(axis=-1), dtype=np.float64)


def _condition(
    curves: Curves, beliefs: _Beliefs, design: Design, point: int, batch: Floats
) -> None:
    """Narrow the beliefs as a batch at a point would, their means left where they are."""
    precision = _precision(curves, design, batch)
    here = np.array([point])
    for limit in beliefs.limits:
        by_score, by_tokens = (moves[0] for moves in limit.moves(here, precision))
        limit.variance = np.maximum(limit.variance - by_score**2 - by_tokens**2, 0.0)
    for measures in beliefs.all_measures:
        score, tokens = (float(total[point]) for total in measures.totals(precision))
        column = measures.score[point]
        measures.score = measures.score - np.outer(column, column) / score
        column = measures.tokens[point]
        measures.tokens = measures.tokens - np.outer(column, column) / tokens
