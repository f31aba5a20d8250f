"""Cautions: settings of a preset that are valid and look like a slip."""

from mi_tui.plan.objective import OBJECTIVES
from mi_tui.plan.preset import Preset


def cautions(preset: Preset) -> tuple[str, ...]:
    """What looks like a slip, a sentence without a full stop each.

    A limit on tokens that no response can reach excludes nothing: the answer is the best score.
    """
    budget = preset.budget
    limit = OBJECTIVES[budget.objective].limit
    cap = max((probe.max_new_tokens for probe in preset.probes), default=0)
    if limit is None or limit.quantity != "tokens" or budget.limit is None or budget.limit <= cap:
        return ()
    return (f"No response can be longer than {cap:,} tokens: the limit {budget.limit:,.0f} is met",)
