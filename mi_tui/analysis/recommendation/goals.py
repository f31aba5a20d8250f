"""Goals and ranges of limits that several objectives share."""

import math
from typing import TYPE_CHECKING

from mi_tui.analysis.recommendation.objective import Goal

if TYPE_CHECKING:
    from mi_tui.analysis.results import Recommendation
    from mi_tui.analysis.statistics.curve import Curves

_STEPS = 36
"""Steps from the tightest limit to the loosest, where limits are tokens or seconds."""

_TAIL = 4.0
"""How much longer than the mean a 95th percentile may be."""


def highest_score(curves: "Curves") -> Goal:
    """The score, as it is."""
    import numpy as np

    points = len(curves.lambdas)
    return Goal(curves.score, np.ones(points), np.zeros(points))


def fewest_tokens(curves: "Curves") -> Goal:
    """Minus the logarithm of the mean tokens."""
    import numpy as np

    points = len(curves.lambdas)
    utility = np.asarray(-np.log(curves.tokens), dtype=np.float64)
    return Goal(utility, np.zeros(points), -np.ones(points), logarithmic=True)


def token_range(answer: "Recommendation") -> tuple[float, float]:
    """The fewest and the most tokens that the answer's curve reaches, in its statistic."""
    tokens = [point.value for point in answer.curve.tokens]
    return min(tokens), max(tokens) * (_TAIL if answer.budget.statistic == "p95" else 1.0)


def logarithmic_steps(least: float, most: float) -> tuple[float, ...]:
    """Limits that lie evenly in the logarithm, with two digits that count."""
    ratio = (most / least) ** (1 / _STEPS)
    values = (least * ratio**step for step in range(_STEPS + 1))
    return tuple(sorted({float(f"{value:.2g}") for value in values}))


def hundredths(least: float, most: float) -> tuple[float, ...]:
    """Every hundredth from the least to the most, between 0.01 and 1."""
    first, last = math.floor(100 * least), math.ceil(100 * most)
    return tuple(number / 100 for number in range(max(first, 1), min(last, 100) + 1))
