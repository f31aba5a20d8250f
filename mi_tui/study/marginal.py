"""Means of clustered responses as a function of λ: quasi-likelihood with problem effects.

The mean over problems at each λ (Mean@k, Token #N, Think #R) is modelled itself, as in
generalised estimating equations (Liang and Zeger 1986), and is given a Gaussian process prior.
A problem's effect is shared across λ, the more the closer two λ are; so the same problems asked
at several λ make their difference certain sooner than their level.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mi_tui.study.cells import Floats
from mi_tui.study.gaussian_process import Posterior, Smoothness, posterior

_STEPS = 5
_SHARED = 0.5
_REACH = 0.4
_PRIOR_CORRELATION, _PRIOR_PAIRS = 0.3, 25.0
_STRATUM_PRIOR = 8.0


@dataclass(frozen=True, slots=True)
class Link:
    """A scale on which a mean is unbounded: the function, its inverse and slope d mean / d link."""

    forward: Callable[[Floats], Floats]
    inverse: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats]


def _logit(mean: Floats) -> Floats:
    return np.asarray(np.log(mean) - np.log1p(-mean), dtype=np.float64)


def expit(value: Floats) -> Floats:
    """The inverse of the logit, without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * value)), dtype=np.float64)


LOGIT = Link(_logit, expit, lambda mean: mean * (1 - mean))
LOG = Link(np.log, np.exp, lambda mean: mean)


@dataclass(frozen=True, slots=True)
class Responses:
    """Sums of one measure per (recipe, problem), float64 of shape (recipes, problems).

    ``stratum`` (problems,) numbers the groups of like problems; ``shares`` (strata,) are the
    groups' shares of all problems of the probe, asked or not.
    """

    count: Floats
    total: Floats
    squares: Floats
    stratum: NDArray[np.int64]
    shares: Floats


@dataclass(frozen=True, slots=True)
class Fit:
    """The posterior of a mean's curve, and what a further rollout would tell.

    ``variance`` is that of one response at each seen λ; ``correlation`` the share of it that
    belongs to the problem.
    """

    curve: Posterior
    link: Link
    means: Floats
    variance: Floats
    correlation: float


def fit_mean(
    responses: Responses,
    seen: Floats,
    wanted: Floats,
    link: Link,
    smoothness: Smoothness,
    spread: Callable[[Floats], Floats],
) -> Fit:
    """Fit the curve of a mean over λ.

    Args:
        responses: the data; every recipe has at least one response.
        seen: positions (λ, think ratio) of the recipes, shape (recipes, 2).
        wanted: positions at which the curve is wanted, shape (points, 2).
        link: the scale of the curve.
        smoothness: the hypotheses about it.
        spread: the variance of one response, from the means, shape (recipes,).
    """
    given, count, total = responses, responses.count, responses.total
    rollouts = count.sum(axis=1)
    pooled = total.sum() / rollouts.sum()
    means = (total.sum(axis=1) + pooled) / (rollouts + 1)
    centre = float(link.forward(np.array([_inside(np.array([pooled]), link)[0]]))[0])
    means = _inside(means, link)
    similarity = _similarity(seen[:, 0])
    everything = np.vstack([seen, wanted])
    correlation = _PRIOR_CORRELATION
    curve = None
    problems = max(int((count.sum(axis=0) > 0).sum()), 4)
    for step in range(_STEPS):
        variance = spread(means)
        if step in (1, _STEPS - 2):
            responses = _levelled(given, means, variance)
            correlation = _problem_correlation(responses, means, variance, similarity)
        information, score = _information(responses, variance, correlation, similarity)
        slope = link.slope(means)
        precision = information * np.outer(slope, slope)
        noise = _inverse(precision) * (problems + 1) / (problems - 2)
        values = link.forward(means) + _solve(information, score - information @ means) / slope
        if link is LOG:
            # The mean of few skewed values lies below its expectation more often than above.
            values = values + 0.5 * np.diagonal(noise)
        last = step == _STEPS - 1
        curve = posterior(smoothness, seen, values, noise, everything if last else seen, centre)
        moved = np.clip(curve.mean[: len(seen)] - link.forward(means), -2.0, 2.0)
        means = _inside(link.inverse(link.forward(means) + moved), link)
    assert curve is not None
    return Fit(curve.after(len(seen)), link, means, spread(means), correlation)


def _inside(means: Floats, link: Link) -> Floats:
    """Means kept off the ends of the link's range, where its slope vanishes."""
    if link is LOGIT:
        return np.clip(means, 1e-3, 1 - 1e-3)
    return np.maximum(means, 1e-6)


def _similarity(lambdas: Floats) -> Floats:
    """How alike a problem's effect is at two λ: partly one for all λ, partly local."""
    distance = np.abs(lambdas[:, None] - lambdas[None, :])
    return np.asarray(_SHARED + (1 - _SHARED) * np.exp(-distance / _REACH), dtype=np.float64)


def _levelled(responses: Responses, means: Floats, variance: Floats) -> Responses:
    """The responses with the differences between strata taken out.

    Drawing problems by strata then costs no certainty, and problems asked out of proportion
    bias nothing. A stratum's effect is taken as the same at every λ in units of the standard
    deviation there, and is shrunk while few of its problems were asked.
    """
    strata = len(responses.shares)
    if strata < 2:
        return responses
    sd = np.sqrt(variance)[:, None]
    residuals = ((responses.total - responses.count * means[:, None]) / sd).sum(axis=0)
    total = np.bincount(responses.stratum, residuals, minlength=strata)
    rollouts = np.bincount(responses.stratum, responses.count.sum(axis=0), minlength=strata)
    asked = np.bincount(responses.stratum, minlength=strata)
    effects = total / np.maximum(rollouts, 1.0) * asked / (asked + _STRATUM_PRIOR / strata)
    effects -= responses.shares @ effects
    shift = sd * effects[responses.stratum]
    squares = responses.squares - 2 * shift * responses.total + responses.count * shift**2
    return replace(responses, total=responses.total - responses.count * shift, squares=squares)


def _problem_correlation(
    responses: Responses, means: Floats, variance: Floats, similarity: Floats
) -> float:
    """The correlation of two responses to one problem, by moments over all pairs of them."""
    sd = np.sqrt(variance)[:, None]
    total = (responses.total - responses.count * means[:, None]) / sd
    squares = (
        responses.squares
        - 2 * means[:, None] * responses.total
        + responses.count * means[:, None] ** 2
    ) / sd**2
    products = float((total.sum(axis=0) ** 2).sum() - squares.sum())
    pairs = float(np.einsum("ip,ij,jp->", responses.count, similarity, responses.count))
    pairs -= float(responses.count.sum())
    found = (products + _PRIOR_CORRELATION * _PRIOR_PAIRS) / (max(pairs, 0.0) + _PRIOR_PAIRS)
    return float(np.clip(found, 0.02, 0.95))


def _information(
    responses: Responses, variance: Floats, correlation: float, similarity: Floats
) -> tuple[Floats, Floats]:
    """The information on the recipes' means, and its product with what the data say they are.

    Problems asked in the same pattern of counts share one small matrix.
    """
    patterns, member = np.unique(responses.count.T, axis=0, return_inverse=True)
    member = member.reshape(-1)
    sd = np.sqrt(variance)
    effects = correlation * similarity * np.outer(sd, sd)
    own = patterns / ((1 - correlation) * variance)
    n = len(variance)
    system = np.eye(n) + own[:, :, None] * effects
    weights = np.linalg.solve(system, own[:, :, None] * np.eye(n))
    averages = responses.total / np.maximum(responses.count, 1)
    sums = np.zeros((len(patterns), n))
    np.add.at(sums, member, averages.T)
    times = np.bincount(member, minlength=len(patterns))
    information = np.einsum("k,kij->ij", times.astype(np.float64), weights)
    return (information + information.T) / 2, np.einsum("kij,kj->i", weights, sums)


def _inverse(matrix: Floats) -> Floats:
    inverse = np.linalg.inv(matrix + 1e-12 * np.trace(matrix) / len(matrix) * np.eye(len(matrix)))
    return np.asarray((inverse + inverse.T) / 2, dtype=np.float64)


def _solve(matrix: Floats, vector: Floats) -> Floats:
    return np.asarray(np.linalg.solve(matrix, vector), dtype=np.float64)
