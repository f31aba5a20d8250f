"""The nearest budget that some λ meets, for one that none does."""

from mi_tui.analysis.recommendation.decision import Decision
from mi_tui.analysis.recommendation.objective import objective_of
from mi_tui.plan.budget import Budget


def nearest_budget(decision: Decision) -> Budget | None:
    """The question with the limit moved until one λ keeps it with the wanted confidence.

    Returns:
        The budget, or ``None`` when no limit can be kept or the objective names none: the knee
        has none, and a share of Thinking's score is reached by Thinking itself.
    """
    budget = decision.question.budget
    limit = objective_of(budget).nearest_limit(decision.question)
    if limit is None or limit <= 0:
        return None
    return budget.model_copy(update={"limit": float(limit)})
