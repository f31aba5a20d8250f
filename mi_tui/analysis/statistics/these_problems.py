"""Intervals of means over given problems: the samples alone are random, not the problems.

For answers about the probes' problems themselves, such as a benchmark of which the mean is
reported. What makes one problem harder than another is then part of what is measured, as in
sampling from a finite population; of problems that were not asked it stays unknown (Cochran,
"Sampling Techniques", 1977, chapters 2 and 10).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.observations import ProblemRow
from mi_tui.analysis.results import Estimate
from mi_tui.analysis.statistics.cells import Floats, probe_index
from mi_tui.analysis.statistics.intervals import t_quantile

_WITHIN = 0.7
"""The share of a score's variance that lies within problems, where the samples say little of it."""
_PRIOR_SAMPLES = 4.0
"""How many samples that is worth."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """One measure of one recipe on the problems that it was asked.

    ``means`` and ``counts`` have shape (problems,); ``variance`` is that of one response within a
    problem, pooled over the problems, and ``freedom`` on how many responses it rests.
    """

    means: Floats
    counts: Floats
    variance: float
    freedom: float

    @classmethod
    def of(cls, count: Floats, total: Floats, squares: Floats, *, share: bool) -> "Sampled":
        """The measure from sums over the samples of each problem, all of shape (problems,).

        Args:
            count: samples, at least one of each problem.
            total: their sum.
            squares: the sum of their squares.
            share: whether the measure lies in [0, 1].
        """
        means = total / count
        inside = np.maximum(squares - count * means**2, 0.0)
        freedom = float((count - 1).sum())
        if share:
            mean = (float(total.sum()) + 1) / (float(count.sum()) + 2)
            expected = _WITHIN * mean * (1 - mean)
        else:
            # Of single samples nothing is known but how far they lie apart.
            average = float(total.sum() / count.sum())
            expected = float(squares.sum() / count.sum()) - average**2
            expected = expected if len(count) > 1 else average**2
        known = freedom + _PRIOR_SAMPLES
        variance = (float(inside.sum()) + _PRIOR_SAMPLES * max(expected, 0.0)) / known
        # The variance of a share follows from its mean: each problem tells of it.
        return cls(means, count, variance, known + len(count) if share else known)


def not_asked(problems: tuple[ProblemRow, ...], asked: NDArray[np.bool_]) -> Floats:
    """For each problem asked, the share of its probe's problems that were not, held-out included.

    Args:
        problems: all problems of the study.
        asked: which of them were asked, shape (all problems,).
    """
    names, place = probe_index(problems)
    every = np.bincount(place, minlength=len(names))
    some = np.bincount(place[asked], minlength=len(names))
    return np.asarray((1 - some / every)[place[asked]], dtype=np.float64)


def share_interval(
    sampled: Sampled, weights: Floats, left_out: Floats, level: float = 0.95
) -> Estimate:
    """A weighted mean of shares: Wilson's interval with the size that gives its sampling noise.

    Args:
        sampled: the measure.
        weights: the problems' weights, summing to one.
        left_out: what :func:`not_asked` gives.
        level: the nominal coverage.
    """
    mean = min(max(float(weights @ sampled.means), 0.0), 1.0)
    number = float(sampled.counts.sum())
    smoothed = (number * mean + 1) / (number + 2)
    variance = _variance(weights, left_out, sampled.means, noise_of(sampled))
    size = smoothed * (1 - smoothed) / max(variance, 1e-12)
    t = t_quantile(level, sampled.freedom)
    spread = t * math.sqrt(mean * (1 - mean) / size + t * t / (4 * size * size))
    centre, scale = mean + t * t / (2 * size), 1 + t * t / size
    low, high = max((centre - spread) / scale, 0.0), min((centre + spread) / scale, 1.0)
    return Estimate(value=mean, low=min(low, mean), high=max(high, mean))


def length_interval(
    sampled: Sampled, weights: Floats, left_out: Floats, level: float = 0.95
) -> Estimate:
    """A weighted mean of positive values, its interval symmetric in the logarithm."""
    mean = float(weights @ sampled.means)
    if mean <= 0:
        return Estimate(value=mean, low=mean, high=mean)
    error = math.sqrt(_variance(weights, left_out, sampled.means, noise_of(sampled))) / mean
    reach = math.exp(min(t_quantile(level, sampled.freedom) * error, 50.0))
    return Estimate(value=mean, low=mean / reach, high=mean * reach)


def difference_interval(
    first: Sampled, second: Sampled, weights: Floats, left_out: Floats, level: float = 0.95
) -> Estimate:
    """The mean of the differences of shares, ``first − second``, over problems both answered.

    Samples of two recipes share their random numbers, which makes the difference surer than it is
    said to be here.
    """
    noise = noise_of(first) + noise_of(second)
    freedom = min(first.freedom, second.freedom)
    return signed_interval(first.means - second.means, noise, freedom, weights, left_out, level)


def signed_interval(
    values: Floats,
    noise: Floats,
    freedom: float,
    weights: Floats,
    left_out: Floats,
    level: float = 0.95,
) -> Estimate:
    """The mean over the problems of values in [-1, 1], such as differences of shares.

    Args:
        values: one of each problem.
        noise: the variance of each from its samples, shape (problems,).
        freedom: on how many responses these variances rest.
        weights: the problems' weights, summing to one.
        left_out: what :func:`not_asked` gives.
        level: the nominal coverage.
    """
    mean = float(weights @ values)
    error = math.sqrt(_variance(weights, left_out, values, noise))
    reach = t_quantile(level, freedom) * error
    return Estimate(value=mean, low=max(mean - reach, -1.0), high=min(mean + reach, 1.0))


def ratio_interval(
    first: Sampled, second: Sampled, weights: Floats, left_out: Floats, level: float = 0.95
) -> Estimate:
    """The ratio of two weighted means of positive values measured on the same problems."""
    above, below = float(weights @ first.means), float(weights @ second.means)
    if above <= 0 or below <= 0:
        return Estimate(value=1.0, low=0.0, high=math.inf)
    influence = first.means / above - second.means / below
    noise = noise_of(first) / above**2 + noise_of(second) / below**2
    error = math.sqrt(_variance(weights, left_out, influence, noise))
    reach = math.exp(min(t_quantile(level, min(first.freedom, second.freedom)) * error, 50.0))
    value = above / below
    return Estimate(value=value, low=value / reach, high=value * reach)


def noise_of(sampled: Sampled) -> Floats:
    """The variance of each problem's mean over its samples, shape (problems,)."""
    return np.asarray(sampled.variance / sampled.counts, dtype=np.float64)


def _variance(weights: Floats, left_out: Floats, means: Floats, noise: Floats) -> float:
    """The variance of a weighted mean around that of the whole population.

    The samples' noise, and the spread between problems for those that were not asked.
    """
    sampled = float(weights**2 @ noise)
    if not left_out.any():
        return sampled
    effective = 1.0 / float(weights @ weights)
    spread = float(weights @ (means - weights @ means) ** 2) * effective / max(effective - 1, 0.5)
    between = max(spread - float(weights @ noise), 0.0)
    return sampled + between * float(weights**2 @ left_out)
