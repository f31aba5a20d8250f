"""Intervals that take the problem, not the rollout, as the unit of randomness."""

import math
from functools import lru_cache

import numpy as np

from mi_tui.analysis.results import Estimate
from mi_tui.analysis.statistics.cells import Floats

_CORRELATION = 0.3
_PRIOR = 0.5
_PSEUDO_WEIGHT = 0.5


@lru_cache(maxsize=4096)
def t_quantile(level: float, freedom: float) -> float:
    """How many standard errors a two-sided interval of this level reaches (Student's t)."""
    from scipy.special import stdtrit  # imported here: SciPy takes longer than the statistics

    return float(stdtrit(max(freedom, 1.0), 0.5 + level / 2))


def share_interval(
    values: Floats, weights: Floats, samples: float, level: float = 0.95
) -> Estimate:
    """A weighted mean of problem means in [0, 1], with an interval clustered by problem.

    Wilson's score interval with the effective sample size of the clustered data and Student's t
    (Dean and Pagano, "Evaluating confidence interval methods for binomial proportions in
    clustered surveys", 2015). The effective size is the number of problems over the variance
    between their means relative to that of yes-or-no answers; where the data say little of that
    ratio (means near 0 or 1, few problems) it is drawn to a common value, so that no interval
    is without width.

    Args:
        values: means per problem, shape (problems,).
        weights: their weights, summing to one.
        samples: rollouts per problem, on average.
        level: the nominal coverage.
    """
    mean = _clip(float(weights @ values))
    effective = 1.0 / float(weights @ weights)
    size = effective_size(values, weights, samples)
    # Both the pooling of the ratio and the known variance of shares add to what is known.
    t = t_quantile(level, 4 * effective)
    spread = t * math.sqrt(mean * (1 - mean) / size + t * t / (4 * size * size))
    centre = mean + t * t / (2 * size)
    scale = 1 + t * t / size
    low, high = _clip((centre - spread) / scale), _clip((centre + spread) / scale)
    return Estimate(value=mean, low=min(low, mean), high=max(high, mean))


def effective_size(values: Floats, weights: Floats, samples: float) -> float:
    """How many independent yes-or-no answers tell as much as these clustered ones.

    The effective number of problems over the variance between their means relative to that of
    yes-or-no answers; arguments as for :func:`share_interval`.
    """
    mean = _clip(float(weights @ values))
    effective = 1.0 / float(weights @ weights)
    binary = effective * mean * (1 - mean)
    between = effective * float(weights @ (values - mean) ** 2)
    common = _CORRELATION + (1 - _CORRELATION) / max(samples, 1.0)
    ratio = (between + _PRIOR * common) / (binary + _PRIOR)
    return effective / max(ratio, 1e-6)


def length_interval(values: Floats, weights: Floats, level: float = 0.95) -> Estimate:
    """A weighted mean of positive problem means, its interval symmetric in the logarithm.

    With a single problem nothing is known of how problems differ: one is then taken to differ
    by its own size.
    """
    mean = float(weights @ values)
    if mean <= 0:
        return Estimate(value=mean, low=mean, high=mean)
    effective = 1.0 / float(weights @ weights)
    pseudo = mean * mean if effective < 1.5 else 0.0
    error = math.sqrt(_cluster_variance(values - mean, weights, pseudo)) / mean
    reach = math.exp(min(t_quantile(level, effective - 1) * error, 50.0))
    return Estimate(value=mean, low=mean / reach, high=mean * reach)


def difference_interval(
    first: Floats, second: Floats, weights: Floats, samples: float, level: float = 0.95
) -> Estimate:
    """The mean of paired differences of shares, ``first − second``, clustered by problem.

    Student's t over the problems' differences. Half a pseudo-problem is added, so that a
    handful of equal results does not pass for certainty.
    """
    differences = first - second
    mean = float(weights @ differences)
    effective = 1.0 / float(weights @ weights)
    level_of_both = _clip(float(weights @ (first + second)) / 2)
    pseudo = 2 * _pseudo(level_of_both, effective, samples)
    error = math.sqrt(_cluster_variance(differences - mean, weights, pseudo))
    reach = t_quantile(level, effective - 1) * error
    return Estimate(value=mean, low=max(mean - reach, -1.0), high=min(mean + reach, 1.0))


def ratio_interval(first: Floats, second: Floats, weights: Floats, level: float = 0.95) -> Estimate:
    """The ratio of two weighted means of positive values measured on the same problems."""
    above, below = float(weights @ first), float(weights @ second)
    if above <= 0 or below <= 0:
        return Estimate(value=1.0, low=0.0, high=math.inf)
    influence = first / above - second / below
    effective = 1.0 / float(weights @ weights)
    pseudo = 1.0 if effective < 1.5 else 0.0
    error = math.sqrt(_cluster_variance(influence, weights, pseudo))
    reach = math.exp(min(t_quantile(level, effective - 1) * error, 50.0))
    value = above / below
    return Estimate(value=value, low=value / reach, high=value * reach)


def _cluster_variance(deviations: Floats, weights: Floats, pseudo: float) -> float:
    """The variance of a weighted mean, with a pseudo-problem of the given squared deviation."""
    effective = 1.0 / float(weights @ weights)
    between = effective * float(weights @ deviations**2)
    added = _PSEUDO_WEIGHT if pseudo > 0 else 0.0
    return (between + added * pseudo) / max(effective - 1 + added, added or 1.0) / effective


def _pseudo(mean: float, effective: float, samples: float) -> float:
    """The squared deviation of a problem whose samples are half way to being all alike."""
    smoothed = _smoothed(mean, effective)
    return smoothed * (1 - smoothed) / math.sqrt(max(samples, 1.0))


def _smoothed(mean: float, effective: float) -> float:
    return (effective * mean + 1) / (effective + 2)


def _clip(value: float) -> float:
    return float(np.clip(value, 0.0, 1.0))
