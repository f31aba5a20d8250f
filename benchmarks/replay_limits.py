"""What a budget asks for on plain numbers: how far each limit is kept, and what is best."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_tui.plan.budget import Budget, Constraint

Floats = NDArray[np.float64]
SCORE, SHARE = "fewest-tokens-for-score", "fewest-tokens-for-share-of-thinking"


def inside(limit: Constraint, score: Any, tokens: Any, thinking: float) -> Any:
    """How far inside a limit some scores and tokens lie, as a share of it; below 0 it is broken.

    ``thinking`` is Thinking's score.
    """
    if limit.objective == SCORE:
        return score / limit.limit - 1
    if limit.objective == SHARE:
        return score / max(limit.limit * thinking, 1e-9) - 1
    return 1 - tokens / limit.limit


def least_inside(budget: Budget, score: Any, tokens: Any, thinking: float) -> Any:
    """The same of the limit that is kept least."""
    found = [inside(limit, score, tokens, thinking) for limit in budget.limits]
    return np.minimum.reduce(found)


def in_tokens(budget: Budget) -> bool:
    """Whether few tokens are wanted; otherwise it is the score."""
    return budget.objective in (SCORE, SHARE)
