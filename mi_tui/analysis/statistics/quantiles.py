"""Quantiles of the lengths of responses, with intervals clustered by problem."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.results import Estimate
from mi_tui.analysis.statistics.cells import Floats
from mi_tui.analysis.statistics.intervals import effective_size, t_quantile


def quantile_intervals(
    problem: NDArray[np.int64],
    tokens: NDArray[np.int64],
    weights: Floats,
    levels: tuple[float, ...],
    cap: float,
    confidence: float = 0.95,
) -> tuple[Estimate, ...]:
    """Weighted quantiles of the lengths: the inverse of their distribution function.

    The interval lies between two order statistics (Woodruff 1952), chosen by the binomial
    distribution at the effective sample size of clustered data, the size reduced as Korn and
    Graubard (1998) do for a variance that is itself estimated. It assumes no distribution of
    lengths. So few problems may say nothing of a tail: no observed length is then an upper
    end, and the token cap, which no response exceeds, is taken.

    Args:
        problem: the problem of each response, from 0 to ``len(weights)`` − 1, each with at least
            one response.
        tokens: its length, shape as ``problem``.
        weights: the problems' weights, summing to one, shape (problems,); the responses to one
            problem share its weight.
        levels: the quantiles wanted, each between 0 and 1.
        cap: the greatest length possible.
        confidence: the nominal coverage.
    """
    counts = np.bincount(problem, minlength=len(weights))
    order = np.argsort(tokens)
    lengths = tokens[order]
    reached = np.cumsum((weights / counts)[problem[order]])
    reached /= reached[-1]

    def estimate(level: float) -> Estimate:
        value = float(lengths[_first_at(reached, level)])
        below = np.bincount(problem, weights=tokens <= value, minlength=len(weights)) / counts
        size = _known_size(below, weights, float(counts.mean()), confidence)
        lower, upper = _order_statistics(level, size, confidence)
        low = float(lengths[_last_within(reached, lower)]) if lower * len(lengths) >= 1 else 0.0
        high = float(lengths[_first_at(reached, upper)]) if upper <= 1 else max(cap, value)
        return Estimate(value=value, low=min(low, value), high=max(high, value))

    return tuple(estimate(level) for level in levels)


def _known_size(shares: Floats, weights: Floats, samples: float, confidence: float) -> float:
    """How many independent responses tell as much; a tenth at a time, for the cache's sake."""
    problems = 1.0 / float(weights @ weights)
    ratio = t_quantile(confidence, 1e9) / t_quantile(confidence, 4 * problems)
    return max(round(effective_size(shares, weights, samples) * ratio**2, 1), 1.0)


@lru_cache(maxsize=4096)
def _order_statistics(level: float, size: float, confidence: float) -> tuple[float, float]:
    """The places of the two order statistics around a quantile, as shares of ``size``.

    A place above 1 says that not even the greatest of so many is an upper end.
    """
    from scipy.special import betainc  # imported here: SciPy takes longer than the statistics

    tail = (1 - confidence) / 2
    # P(Bin(size, level) ≥ place), continued between whole numbers; it falls with the place.
    places = np.linspace(0.0, size, 2001)[1:]
    at_least = betainc(places, size - places + 1, level)
    above = places[at_least <= tail]
    below = places[at_least >= 1 - tail]
    upper = float(above[0]) / size if len(above) else 2.0
    return (float(below[-1]) / size if len(below) else 0.0), upper


def _first_at(reached: Floats, share: float) -> int:
    """The first length at which the distribution function has reached a share."""
    return min(int(np.searchsorted(reached, share * (1 - 1e-12))), len(reached) - 1)


def _last_within(reached: Floats, share: float) -> int:
    """The last length at which the distribution function has not passed a share."""
    return max(int(np.searchsorted(reached, share * (1 + 1e-12), side="right")) - 1, 0)
