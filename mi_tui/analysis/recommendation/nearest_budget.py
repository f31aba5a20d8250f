"""The nearest budget that some λ does meet, for one that none does."""

import math

from mi_tui.analysis.recommendation.decision import Decision, surely_reached
from mi_tui.analysis.statistics.curve import Curves
from mi_tui.plan.budget import Budget, Objective


def nearest_budget(curves: Curves, decision: Decision, budget: Budget) -> Budget | None:
    """The same question with the limit moved until one λ keeps it with the wanted confidence.

    Tokens are rounded up to whole ones, seconds to three digits; scores are rounded down to a
    tenth of a percent.

    Returns:
        The budget, or ``None`` when no limit can be kept, or when every study can: the knee has
        none, and a share of Thinking's score is reached by Thinking itself.
    """
    if budget.limit is None or budget.objective is Objective.FOR_SHARE:
        return None
    confidence = budget.confidence
    if budget.objective is Objective.FOR_SCORE:
        limit = math.floor(1000 * surely_reached(curves.score, confidence).max()) / 1000
    else:
        limit = budget.limit * math.exp(-surely_reached(decision.margin, confidence).max())
        limit = math.ceil(limit) if budget.objective is Objective.WITHIN_TOKENS else _up(limit)
    return budget.model_copy(update={"limit": float(limit)}) if limit > 0 else None


def _up(value: float) -> float:
    """Rounded up to three digits."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return float(f"{math.ceil(value / unit) * unit:.6g}")
