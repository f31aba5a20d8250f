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

from mi_tui.analysis.statistics.cells import Floats
from mi_tui.analysis.statistics.gaussian_process import AnySmoothness, Posterior, posterior

_STEPS = 5
_SHARED = 0.8
_REACH = 0.4
_NEAR, _FAR = 0.12, 0.25
_SHARED_PAIRS = 200.0
_PRIOR_CORRELATION, _PRIOR_PAIRS = 0.3, 100.0
_STRATUM_PRIOR = 8.0
_MUCH_WORK, _SHARED_PARTS = 1e6, 6
"""Multiplications beyond which patterns of counts are not solved exactly, and how many parts of the
problems' effects are then shared between recipes."""


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
IDENTITY = Link(lambda mean: mean, lambda value: value, np.ones_like)


@dataclass(frozen=True, slots=True)
class Responses:
    """Sums of one measure per (recipe, problem), float64 of shape (recipes, problems).

    ``stratum`` (problems,) numbers the groups of like problems; ``shares`` (strata,) are the
    groups' shares of all problems of the probe, asked or not. ``population`` is the number of
    problems over which the mean is meant; ``None`` where those asked are a sample of any number.
    """

    count: Floats
    total: Floats
    squares: Floats
    stratum: NDArray[np.int64]
    shares: Floats
    population: int | None = None


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
    smoothness: AnySmoothness,
    spread: Callable[[Floats], Floats],
    apart: Floats | None = None,
) -> Fit:
    """Fit the curve of a mean over λ.

    Args:
        responses: the data; every recipe has at least one response.
        seen: positions of the recipes as the smoothness takes them, such as (λ, think ratio), shape
            (recipes, coordinates).
        wanted: positions at which the curve is wanted, shape (points, coordinates).
        link: the scale of the curve.
        smoothness: the hypotheses about it.
        spread: the variance of one response, from the means, shape (recipes,).
        apart: places on a line or in a space, shape (recipes,) or (recipes, coordinates): a
            problem's effects at two of them are the less alike the further they lie apart; by
            default λ.
    """
    places = seen[:, 0] if apart is None else apart
    given, count, total = responses, responses.count, responses.total
    rollouts = count.sum(axis=1)
    pooled = total.sum() / rollouts.sum()
    if link is LOGIT:
        pooled = (total.sum() + 1) / (rollouts.sum() + 2)
    means = (total.sum(axis=1) + pooled) / (rollouts + 1)
    centre = float(link.forward(np.array([_inside(np.array([pooled]), link)[0]]))[0])
    means = _inside(means, link)
    similarity = _similarity(places, _SHARED)
    correlation, kept = _PRIOR_CORRELATION, 1.0
    curve = None
    nowhere = wanted[:0]
    problems = max(int((count.sum(axis=0) > 0).sum()), 4)
    patterns = _Patterns.of(count)
    for step in range(_STEPS):
        variance = kept * spread(means)
        if step in (1, _STEPS - 2):
            responses, kept = _levelled(given, means, spread(means))
            variance = kept * spread(means)
            pairs = _pairs(responses, means, variance)
            similarity = _similarity(places, _shared_part(pairs, places))
            correlation = _problem_correlation(pairs, similarity)
        information, score = _information(responses, patterns, variance, correlation, similarity)
        slope = link.slope(means)
        precision = information * np.outer(slope, slope)
        noise = _inverse(precision)
        if given.population is not None:
            noise = noise - _fixed(correlation, similarity, variance, slope) / given.population
            problems = max(int(rollouts.mean()), 4)
        noise = noise * (problems + 1) / (problems - 2)
        values = link.forward(means) + _solve(information, score - information @ means) / slope
        if link is LOG:
            # The mean of few skewed values lies below its expectation more often than above.
            values = values + 0.5 * np.diagonal(noise)
        at = wanted if step == _STEPS - 1 else nowhere
        among = curve.plausible if curve is not None else None
        curve = posterior(smoothness, seen, values, noise, at, centre, among)
        moved = np.clip(curve.fitted - link.forward(means), -2.0, 2.0)
        means = _inside(link.inverse(link.forward(means) + moved), link)
    assert curve is not None
    return Fit(curve, link, means, kept * spread(means), correlation)


def _fixed(correlation: float, similarity: Floats, variance: Floats, slope: Floats) -> Floats:
    """The covariance of one problem's effect on the scale of the link, shape (recipes, recipes).

    The best linear prediction of the mean over a finite number of problems is the estimated mean
    itself, and the covariance of its error is smaller than the estimate's by this over the number
    of problems (Robinson 1991, "That BLUP is a good thing"): of the problems that were asked their
    effects are part of what is meant. With all problems asked only the samples' noise is left.
    """
    sd = np.sqrt(variance) / slope
    return np.asarray(correlation * similarity * np.outer(sd, sd), dtype=np.float64)


def _inside(means: Floats, link: Link) -> Floats:
    """Means kept off the ends of the link's range, where its slope vanishes."""
    if link is LOGIT:
        return np.clip(means, 1e-3, 1 - 1e-3)
    return np.maximum(means, 1e-6)


def _similarity(places: Floats, shared: float) -> Floats:
    """How alike a problem's effect is at two places: partly one for all, partly local."""
    near = np.exp(-_distances(places) / _REACH)
    return np.asarray(shared + (1 - shared) * near, dtype=np.float64)


def _distances(places: Floats) -> Floats:
    """The distances between places on a line, (recipes,), or in a space: (recipes, recipes)."""
    steps = places[:, None] - places[None, :]
    if places.ndim == 1:
        return np.abs(steps)
    return np.asarray(np.sqrt((steps**2).sum(axis=-1)), dtype=np.float64)


def _levelled(responses: Responses, means: Floats, variance: Floats) -> tuple[Responses, float]:
    """The responses with the differences between strata taken out, and what variance is left.

    Drawing problems by strata then costs no certainty, and problems asked out of proportion
    bias nothing. A stratum's effect is taken as the same at every λ in units of the standard
    deviation there, and is shrunk while few of its problems were asked.
    """
    strata = len(responses.shares)
    if strata < 2:
        return responses, 1.0
    sd = np.sqrt(variance)[:, None]
    residuals = ((responses.total - responses.count * means[:, None]) / sd).sum(axis=0)
    total = np.bincount(responses.stratum, residuals, minlength=strata)
    rollouts = np.bincount(responses.stratum, responses.count.sum(axis=0), minlength=strata)
    asked = np.bincount(responses.stratum, minlength=strata)
    effects = total / np.maximum(rollouts, 1.0) * asked / (asked + _STRATUM_PRIOR / strata)
    effects -= responses.shares @ effects
    shift = sd * effects[responses.stratum]
    squares = responses.squares - 2 * shift * responses.total + responses.count * shift**2
    levelled = replace(responses, total=responses.total - responses.count * shift, squares=squares)
    before, after = (
        float(_squares(which, means[:, None], sd).sum()) for which in (responses, levelled)
    )
    return levelled, float(np.clip(after / max(before, 1e-9), 0.05, 1.0))


def _squares(responses: Responses, mean: Floats, sd: Floats) -> Floats:
    """The sums of squared standardised residuals, shape (recipes, problems)."""
    squares = responses.squares - 2 * mean * responses.total + responses.count * mean**2
    return np.asarray(squares / sd**2, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Pairs of responses to one problem, per pair of recipes, both of shape (recipes, recipes).

    ``products`` sums the products of their standardised residuals, ``number`` counts them.
    """

    products: Floats
    number: Floats


def _pairs(responses: Responses, means: Floats, variance: Floats) -> _Pairs:
    sd, mean = np.sqrt(variance)[:, None], means[:, None]
    count = responses.count
    residual = (responses.total - count * mean) / sd
    squares = _squares(responses, mean, sd)
    return _Pairs(
        residual @ residual.T - np.diag(squares.sum(axis=1)),
        count @ count.T - np.diag(count.sum(axis=1)),
    )


def _problem_correlation(pairs: _Pairs, similarity: Floats) -> float:
    """The correlation of two responses to one problem, by moments over all pairs of them."""
    products = float(pairs.products.sum())
    number = max(float((similarity * pairs.number).sum()), 0.0)
    found = (products + _PRIOR_CORRELATION * _PRIOR_PAIRS) / (number + _PRIOR_PAIRS)
    return float(np.clip(found, 0.02, 0.95))


def _shared_part(pairs: _Pairs, places: Floats) -> float:
    """The part of a problem's effect that is the same at all places, by moments.

    What pairs of responses at distant λ have in common, relative to pairs at near ones; drawn
    to a common value while few pairs are known.
    """
    distance = _distances(places)
    near, far = distance <= _NEAR, distance >= _FAR
    numbers = [float(pairs.number[which].sum()) for which in (near, far)]
    if min(numbers) <= 0:
        return _SHARED
    alike, distant = (
        float(pairs.products[which].sum()) / number
        for which, number in zip((near, far), numbers, strict=True)
    )
    found = float(np.clip(distant / alike, 0.0, 1.0)) if alike > 0 else _SHARED
    weight = min(numbers) / (min(numbers) + _SHARED_PAIRS)
    return weight * found + (1 - weight) * _SHARED


@dataclass(frozen=True, slots=True)
class _Patterns:
    """The different ways in which problems were asked, and which problem was asked which way.

    ``counts`` has shape (patterns, recipes), ``member`` (problems,).
    """

    counts: Floats
    member: NDArray[np.int64]

    @classmethod
    def of(cls, count: Floats) -> "_Patterns":
        counts, member = np.unique(count.T, axis=0, return_inverse=True)
        return cls(counts, member.reshape(-1))


def _information(
    responses: Responses,
    patterns: _Patterns,
    variance: Floats,
    correlation: float,
    similarity: Floats,
) -> tuple[Floats, Floats]:
    """The information on the recipes' means, and its product with what the data say they are.

    Problems asked in the same pattern of counts share one small matrix.
    """
    sd = np.sqrt(variance)
    effects = correlation * similarity * np.outer(sd, sd)
    own = patterns.counts / ((1 - correlation) * variance)
    n = len(variance)
    averages = responses.total / np.maximum(responses.count, 1)
    sums = np.zeros((len(own), n))
    np.add.at(sums, patterns.member, averages.T)
    times = np.bincount(patterns.member, minlength=len(own)).astype(np.float64)
    if len(own) * n**3 > _MUCH_WORK:
        return _information_by_parts(own, effects, sums, times)
    system = np.eye(n) + own[:, :, None] * effects
    weights = np.linalg.solve(system, own[:, :, None] * np.eye(n))
    information = np.einsum("k,kij->ij", times, weights)
    return (information + information.T) / 2, np.einsum("kij,kj->i", weights, sums)


def _information_by_parts(
    own: Floats, effects: Floats, sums: Floats, times: Floats
) -> tuple[Floats, Floats]:
    """The same for many recipes or patterns, in linear time of either.

    The few largest parts of the shared effects stay shared, and what is left of them counts as each
    recipe's own, so that Woodbury's formula leaves a small matrix to each pattern.

    Args:
        own: information of each pattern's responses by themselves, shape (patterns, recipes).
        effects: covariance of a problem's effect, shape (recipes, recipes).
        sums: summed averages of the problems of each pattern, shape (patterns, recipes).
        times: how many problems each pattern has, shape (patterns,).
    """
    values, vectors = np.linalg.eigh(effects)
    shared = vectors[:, -_SHARED_PARTS:] * np.sqrt(np.maximum(values[-_SHARED_PARTS:], 0.0))
    left = np.maximum(np.diagonal(effects) - (shared**2).sum(axis=1), 0.0)
    own = own / (1 + own * left)
    size = shared.shape[1]
    squares = (shared[:, :, None] * shared[:, None, :]).reshape(len(shared), -1)
    inner = np.eye(size) + (own @ squares).reshape(-1, size, size)
    roots = np.linalg.inv(np.linalg.cholesky(inner)).transpose(0, 2, 1)
    parts = own[:, :, None] * (shared @ roots)
    columns = (np.sqrt(times)[:, None, None] * parts).transpose(1, 0, 2).reshape(len(shared), -1)
    information = np.diag(times @ own) - columns @ columns.T
    explained = np.einsum("pkr,pk->pr", parts, sums)
    score = (own * sums).sum(axis=0) - np.einsum("pkr,pr->k", parts, explained)
    return information, score


def _inverse(matrix: Floats) -> Floats:
    inverse = np.linalg.inv(matrix + 1e-12 * np.trace(matrix) / len(matrix) * np.eye(len(matrix)))
    return np.asarray((inverse + inverse.T) / 2, dtype=np.float64)


def _solve(matrix: Floats, vector: Floats) -> Floats:
    return np.asarray(np.linalg.solve(matrix, vector), dtype=np.float64)
