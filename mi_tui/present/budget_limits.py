"""Useful limits of a budget, from tight to loose."""

from bisect import bisect_left, bisect_right

from mi_tui.analysis.recommendation.objective import objective_of
from mi_tui.analysis.results import Recommendation


def limits_of(answer: Recommendation) -> tuple[float, ...]:
    """The limits between what the curve of an answer reaches at least and at most, rising.

    Empty for an objective without limits to choose from, and while there is no curve.
    """
    return objective_of(answer.budget).useful_limits(answer) if answer.curve.lambdas else ()


def moved(limits: tuple[float, ...], limit: float, by: int) -> float:
    """The limit so many steps above (or below) one that may lie between two."""
    place = bisect_right(limits, limit) - 1 if by > 0 else bisect_left(limits, limit)
    return limits[min(max(place + by, 0), len(limits) - 1)]
