"""The decision over the curves: what a budget wants and allows, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.recommendation.objective import Goal, Margin, Question, objective_of
from mi_tui.analysis.statistics.cells import Floats
from mi_tui.analysis.statistics.curve import Curves
from mi_tui.errors import MiTuiError
from mi_tui.plan.budget import Budget, Constraint

_TOLD_APART = 0.95
"""The probability of a higher score from which on two λ count as told apart."""
_ANY_APART = 0.99
"""The same where the best of many λ is compared with each: some always looks better by luck."""


class DecisionError(MiTuiError, ValueError):
    """A budget that cannot be judged with what is known."""


@dataclass(frozen=True, slots=True)
class KeptLimit:
    """One limit put to draws of the curves; ``constraint`` is ``None`` where there is none."""

    constraint: Constraint | None
    question: Question
    margin: Margin

    def with_limit(self, limit: Constraint) -> "KeptLimit":
        """The same limit with another number."""
        asked = replace(self.question, budget=alone_in(self.question.budget, limit))
        return KeptLimit(limit, asked, objective_of(asked.budget).margin(asked))

    @property
    def scaled(self) -> Floats:
        """The margin on the scale on which limits are compared, shape (draws, points)."""
        return np.asarray(self.margin.values / self.margin.unit, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Decision:
    """A budget's question put to draws of the curves.

    ``utility`` (draws, points) is what is to be highest, the objective's goal; ``logarithmic``
    says that it is a logarithm. ``margin`` (draws, points) is how far inside the limit a λ lies,
    on a scale where 0 is the limit; of several ``limits`` it is that of the one that is kept least.
    ``promising`` is the index of the λ that promises the highest utility among those that keep the
    limit with the wanted confidence or, when there is none, among those that come nearest to it.
    ``chosen`` is that of the λ that is recommended: the same one or, where others give so nearly
    the same that their score does not differ significantly from its, the shortest of those.
    """

    lambdas: Floats
    margin: Floats
    probability: Floats
    chosen: int
    promising: int
    feasible: bool
    goal: Goal
    limits: tuple[KeptLimit, ...]
    question: Question

    @property
    def utility(self) -> Floats:
        """What is to be highest, shape (draws, points)."""
        return self.goal.utility

    @property
    def logarithmic(self) -> bool:
        """Whether the utility is a logarithm."""
        return self.goal.logarithmic

    @property
    def lambda_(self) -> float:
        """The λ chosen."""
        return float(self.lambdas[self.chosen])

    @property
    def losses(self) -> Floats:
        """What each draw loses by the choice against its own best allowed λ, shape (draws,).

        In the unit of the utility, such as score; where that is a logarithm, as a share: of the
        choice's tokens that the best would save. A draw in which no λ is allowed loses nothing:
        no choice would be better.
        """
        return self._losses_at(self.chosen)

    @property
    def expected_loss(self) -> float:
        """The mean of :attr:`losses`."""
        return float(self.losses.mean())

    @property
    def expected_loss_of_promising(self) -> float:
        """The same of the λ that promises most: what more rollouts could still win."""
        return float(self._losses_at(self.promising).mean())

    def _losses_at(self, point: int) -> Floats:
        allowed = np.where(self.margin >= 0, self.utility, -np.inf).max(axis=1)
        lost = np.maximum(allowed - self.utility[:, point], 0.0)
        return np.asarray(1 - np.exp(-lost) if self.logarithmic else lost, dtype=np.float64)

    @property
    def best_points(self) -> NDArray[np.int64]:
        """The index of each draw's best allowed λ; where none is allowed, of the nearest to it."""
        allowed = self.margin >= 0
        best = np.where(allowed, self.utility, -np.inf).argmax(axis=1)
        nearest = self.margin.argmax(axis=1)
        return np.asarray(np.where(allowed.any(axis=1), best, nearest), dtype=np.int64)

    @property
    def any_feasible(self) -> float:
        """The probability that some λ keeps the limit."""
        return float((self.margin >= 0).any(axis=1).mean())


def decide(
    curves: Curves,
    budget: Budget,
    *,
    latency: Latency | None = None,
    seed: int = 0,
    tolerance: float = 0.0,
) -> Decision:
    """Put a budget's question to the curves.

    Args:
        curves: draws of the curves.
        budget: the question.
        latency: the speed of the merged model, needed for a limit in seconds.
        seed: of the draws of the speed.
        tolerance: how much less than the best a shorter λ may promise whose score cannot be told
            from its; objectives in tokens have no use for it.

    Raises:
        DecisionError: the limit is in seconds and no speed is known.
    """
    question = Question(curves, budget, latency, seed)
    return choose(question, objective_of(budget).goal(curves), kept_limits(question), tolerance)


def choose(
    question: Question, goal: Goal, limits: tuple[KeptLimit, ...], tolerance: float
) -> Decision:
    """The choice for a goal among the λ that keep some limits together.

    Args:
        question: the budget and the curves that goal and limits were made of.
        goal: what is to be highest.
        limits: at least one.
        tolerance: as in :func:`decide`.
    """
    curves, budget = question.curves, question.budget
    utility, margin = goal.utility, joint_margin(limits)
    probability = (margin >= 0).mean(axis=0)
    allowed = probability >= budget.confidence
    feasible = bool(allowed.any())
    if not feasible:
        allowed = _nearest(margin, probability, budget.confidence)
    promised = np.where(allowed, utility.mean(axis=0), -np.inf)
    promising = chosen = int(promised.argmax())
    if feasible and not goal.logarithmic:
        everywhere = np.ones(len(curves.lambdas), dtype=bool)
        if objective_of(budget).trades and no_difference(curves, everywhere):
            tolerance = float("inf")
        chosen = _shortest_alike(curves, promised, promising, tolerance)
    return Decision(
        curves.lambdas,
        margin,
        probability,
        chosen,
        promising,
        feasible,
        goal,
        limits,
        question,
    )


def kept_limits(question: Question) -> tuple[KeptLimit, ...]:
    """Every limit of a budget on its own; one that is kept everywhere where there is none.

    Raises:
        DecisionError: a limit cannot be judged with what is known.
        CurveError: a limit is on a probe without rollouts.
    """
    budget = question.budget
    if not budget.limits:
        return (no_limit(question),)
    found = []
    for limit in budget.limits:
        alone = alone_in(budget, limit)
        asked = replace(question, curves=question.curves.of(limit.probe), budget=alone)
        found.append(KeptLimit(limit, asked, objective_of(alone).margin(asked)))
    return tuple(found)


def no_limit(question: Question) -> KeptLimit:
    """A limit that every λ keeps."""
    points = len(question.curves.lambdas)
    inside = np.ones_like(question.curves.score)
    return KeptLimit(None, question, Margin(inside, np.zeros((points, points)), np.zeros(points)))


def alone_in(budget: Budget, limit: Constraint) -> Budget:
    """The budget of one limit by itself, as its objective judges it."""
    return Budget(
        objective=limit.objective,
        limit=limit.limit,
        statistic=limit.statistic,
        confidence=budget.confidence,
        about=budget.about,
    )


def joint_margin(limits: Sequence[KeptLimit]) -> Floats:
    """The margin of the limit that each draw keeps least at each λ, shape (draws, points).

    It is at least 0 where all are kept together.
    """
    if len(limits) == 1:
        return limits[0].margin.values
    return np.asarray(np.minimum.reduce([limit.scaled for limit in limits]), dtype=np.float64)


def _shortest_alike(curves: Curves, promised: Floats, best: int, tolerance: float) -> int:
    """The shortest λ that promises as much within the tolerance, with a score not told apart.

    ``promised`` has shape (points,), minus infinity where a λ is not allowed.
    """
    alike = (promised >= promised[best] - tolerance) & ~told_apart(curves, best)
    alike[best] = True
    return int(np.where(alike, curves.tokens.mean(axis=0), np.inf).argmin())


def told_apart(curves: Curves, point: int) -> NDArray[np.bool_]:
    """Which λ surely score less than the one at ``point``, shape (points,)."""
    return np.asarray((curves.score[:, point, None] > curves.score).mean(axis=0) > _TOLD_APART)


def no_difference(curves: Curves, among: NDArray[np.bool_]) -> bool:
    """Whether the best score among some λ, shape (points,), cannot be told from any of theirs."""
    best = int(np.where(among, curves.score.mean(axis=0), -np.inf).argmax())
    higher = (curves.score[:, best, None] > curves.score).mean(axis=0)
    return not bool((higher[among] > _ANY_APART).any())


def _nearest(margin: Floats, probability: Floats, confidence: float) -> NDArray[np.bool_]:
    """The choices where no λ is sure to keep the limit, shape (points,).

    Those about as likely to keep it as the likeliest, as long as one may well do; else the one
    that keeps the nearest limit which any does with the confidence.
    """
    likeliest = probability.max()
    if likeliest > 1 - confidence:
        return np.asarray(probability >= likeliest - (1 - confidence))
    reached = _lower_ends(margin, confidence)
    return np.asarray(reached == reached.max())


def surely_reached(values: Floats, question: Question) -> Floats:
    """What the draws (draws, points) exceed at each λ with the confidence that is asked for.

    Minus infinity where the limits that hold together with the question's are not kept so surely.
    """
    if question.kept is not None:
        values = np.where(question.kept, values, -np.inf)
    return _lower_ends(values, question.budget.confidence)


def _lower_ends(values: Floats, confidence: float) -> Floats:
    return np.quantile(values, 1 - confidence, axis=0, method="lower")
