"""Which limits a budget can usefully have, so that a key can move from one to the next."""

import math
from bisect import bisect_left, bisect_right

from mi_tui.analysis.results import Recommendation
from mi_tui.plan.budget import Objective

_STEPS = 36
"""Keys from the tightest limit to the loosest, where limits are tokens or seconds."""

_TAIL = 4.0
"""How much longer than the mean a 95th percentile may be."""


def limits_of(answer: Recommendation) -> tuple[float, ...]:
    """The limits between what the curve of an answer reaches at least and at most, rising.

    Empty for the knee, which has no limit, and while there is no curve.
    """
    objective, curve = answer.budget.objective, answer.curve
    if objective is Objective.KNEE or not curve.lambdas:
        return ()
    if objective is Objective.FOR_SHARE:
        return _hundredths(0.5, 1.0)
    if objective is Objective.FOR_SCORE:
        scores = [point.value for point in curve.score]
        return _hundredths(min(scores), max(scores))
    tokens = [point.value for point in curve.tokens]
    least, most = min(tokens), max(tokens)
    if answer.budget.statistic == "p95":
        most *= _TAIL
    if objective is Objective.WITHIN_SECONDS:
        if answer.seconds is None:
            return ()
        speed = answer.seconds.value / answer.tokens.value
        least, most = least * speed, most * speed
    return _rounded(least, most)


def moved(limits: tuple[float, ...], limit: float, by: int) -> float:
    """The limit so many steps above (or below) one that may lie between two."""
    place = bisect_right(limits, limit) - 1 if by > 0 else bisect_left(limits, limit)
    return limits[min(max(place + by, 0), len(limits) - 1)]


def _hundredths(least: float, most: float) -> tuple[float, ...]:
    first, last = math.floor(100 * least), math.ceil(100 * most)
    return tuple(number / 100 for number in range(max(first, 1), min(last, 100) + 1))


def _rounded(least: float, most: float) -> tuple[float, ...]:
    """Evenly placed in the logarithm, with two digits that count."""
    ratio = (most / least) ** (1 / _STEPS)
    values = (least * ratio**step for step in range(_STEPS + 1))
    return tuple(sorted({float(f"{value:.2g}") for value in values}))
