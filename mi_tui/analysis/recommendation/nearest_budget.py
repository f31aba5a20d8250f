"""The nearest budget that some λ meets, for one that none does."""

from dataclasses import replace

import numpy as np

from mi_tui.analysis.recommendation.decision import Decision
from mi_tui.analysis.recommendation.objective import objective_of
from mi_tui.plan.budget import Budget


def nearest_budget(decision: Decision) -> Budget | None:
    """The question with one limit moved until one λ keeps all with the wanted confidence.

    Of several limits the first is moved with which that can be.

    Returns:
        The budget, or ``None`` where none is to be named: the knee has no limit of its own, a
        share of Thinking's score is reached by Thinking itself, and of several limits it may take
        more than one to be moved.
    """
    budget = decision.question.budget
    limits = budget.limits
    for place, limit in enumerate(limits):
        moved = _moved(decision, place)
        if moved is not None and moved > 0:
            other = limit.model_copy(update={"limit": float(moved)})
            return budget.with_limits((*limits[:place], other, *limits[place + 1 :]))
    return None


def _moved(decision: Decision, place: int) -> float | None:
    """The nearest number for one limit with which all are kept, the others as they are."""
    of = decision.limits[place]
    others = [one.margin.values >= 0 for at, one in enumerate(decision.limits) if at != place]
    kept = np.logical_and.reduce(others) if others else None
    return objective_of(of.question.budget).nearest_limit(replace(of.question, kept=kept))
