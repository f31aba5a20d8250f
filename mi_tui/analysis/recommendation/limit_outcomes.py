"""Each of several limits by itself: how sure it is kept, which binds, what loosening it gives."""

import math

import numpy as np

from mi_tui.analysis.recommendation.decision import Decision, KeptLimit, choose, no_limit
from mi_tui.analysis.recommendation.objective import objective_of
from mi_tui.analysis.results import Estimate, LimitAlone, LimitOutcome
from mi_tui.analysis.statistics.cells import Floats
from mi_tui.plan.budget import Constraint
from mi_tui.plan.objective import OBJECTIVES

_LOOSER = 0.1
"""By how much of itself a limit is loosened, to say what that gives."""
_NOTHING = 5e-4
"""A gain that is none: of score, or of tokens as a share."""


def limit_outcomes(decision: Decision, level: float, tolerance: float) -> tuple[LimitOutcome, ...]:
    """What is to be known of each limit; empty for one limit on the whole study.

    Args:
        decision: the question put to the curves.
        level: of the intervals.
        tolerance: as in :func:`mi_tui.analysis.recommendation.decision.decide`.
    """
    budget = decision.question.budget
    if len(budget.limits) < 2 and all(limit.probe is None for limit in budget.limits):
        return ()
    without = [
        _gain(decision, _with(decision, at, (), tolerance)) for at in range(len(decision.limits))
    ]
    strongest = int(np.argmax(without))
    binds = decision.feasible and without[strongest] > _NOTHING
    return tuple(
        _outcome(decision, at, level, tolerance, binds=binds and at == strongest)
        for at in range(len(decision.limits))
    )


def _outcome(
    decision: Decision, place: int, level: float, tolerance: float, *, binds: bool
) -> LimitOutcome:
    of = decision.limits[place]
    assert of.constraint is not None
    looser = loosened(of.constraint)
    other = _with_limit(decision, place, looser, tolerance)
    measured = objective_of(of.question.budget).measure(of.question)
    alone = choose(decision.question, decision.goal, (of,), tolerance)
    several = len(decision.limits) > 1
    return LimitOutcome(
        limit=of.constraint.spec,
        probability=float((of.margin.values[:, decision.chosen] >= 0).mean()),
        measured=None if measured is None else _estimate(measured[:, decision.chosen], level),
        binds=binds,
        loosened=looser.spec,
        gain=_gain(decision, other) if decision.feasible and other.feasible else 0.0,
        loosened_lambda=other.lambda_,
        loosened_feasible=other.feasible,
        alone=_alone(alone, level) if several else None,
    )


def _alone(alone: Decision, level: float) -> LimitAlone:
    curves, at = alone.question.curves, alone.chosen
    return LimitAlone(
        lambda_=alone.lambda_,
        feasible=alone.feasible,
        probability=float(alone.probability[at]),
        score=_estimate(curves.score[:, at], level),
        tokens=_estimate(curves.tokens[:, at], level),
    )


def loosened(limit: Constraint) -> Constraint:
    """The limit a tenth looser, rounded away from it."""
    declared = OBJECTIVES[limit.objective].limit
    assert declared is not None
    if declared.sign == ">=":
        value = math.floor(1000 * (1 - _LOOSER) * limit.limit) / 1000
        return limit.model_copy(update={"limit": max(value, 0.001)})
    wanted = (1 + _LOOSER) * limit.limit
    unit = 10.0 ** (math.floor(math.log10(wanted)) - 2)
    value = float(f"{math.ceil(wanted / unit - 1e-9) * unit:.6g}")
    return limit.model_copy(update={"limit": min(value, declared.most)})


def _with_limit(decision: Decision, place: int, limit: Constraint, tolerance: float) -> Decision:
    return _with(decision, place, (decision.limits[place].with_limit(limit),), tolerance)


def _with(
    decision: Decision, place: int, instead: tuple[KeptLimit, ...], tolerance: float
) -> Decision:
    """The decision with one limit exchanged."""
    limits = (*decision.limits[:place], *instead, *decision.limits[place + 1 :])
    kept = limits or (no_limit(decision.question),)
    return choose(decision.question, decision.goal, kept, tolerance)


def _gain(decision: Decision, other: Decision) -> float:
    """What another choice promises more, in the unit of an expected loss; 0 of the same choice."""
    if other.chosen == decision.chosen:
        return 0.0
    promised = decision.utility.mean(axis=0)
    gained = max(float(promised[other.promising] - promised[decision.promising]), 0.0)
    return 1 - math.exp(-gained) if decision.logarithmic else gained


def _estimate(draws: Floats, level: float) -> Estimate:
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    value = float(draws.mean())
    return Estimate(value=value, low=min(float(low), value), high=max(float(high), value))
