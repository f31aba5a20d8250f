"""Curves by regime: what responses are like with and without thinking, and their mixture.

Whether a response thinks decides its length and score together. The think ratio, and score and
length given the regime, change slowly with λ; cliffs in the curves that a user sees are the think
ratio's (arXiv 2510.10977, stage 2). Lengths are fitted in the logarithm, in which they are nearly
normal.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.statistics.cells import Floats
from mi_tui.analysis.statistics.gaussian_process import (
    AnySmoothness,
    PlaneSmoothness,
    RegimeSmoothness,
    Smoothness,
)
from mi_tui.analysis.statistics.marginal import IDENTITY, LOGIT, Responses, expit, fit_mean
from mi_tui.analysis.statistics.probe import (
    ProbeCurves,
    ProbeRollouts,
    bernoulli,
    dispersion,
    flat_positions,
)


@dataclass(frozen=True, slots=True)
class _Shapes:
    """The hypotheses about score and length given the regime, and about the think ratio."""

    score: AnySmoothness
    length: AnySmoothness
    thinking: AnySmoothness


_LINE = _Shapes(
    RegimeSmoothness(level=2.0, slope=1.0, apart=1.5, slope_apart=1.0, amplitudes=(0.1, 0.3, 0.8)),
    RegimeSmoothness(
        level=1.5, slope=0.7, apart=1.0, slope_apart=0.7, amplitudes=(0.05, 0.15, 0.4)
    ),
    Smoothness(
        level=3.0, slope=10.0, amplitudes=(1.0, 3.0), lengths=(0.15, 0.35), stretches=(0.0,)
    ),
)
_PLANE = _Shapes(
    PlaneSmoothness(level=2.0, slope=1.0, apart=1.5, slope_apart=1.0, amplitudes=(0.1, 0.3, 0.8)),
    PlaneSmoothness(level=1.5, slope=0.7, apart=1.0, slope_apart=0.7, amplitudes=(0.05, 0.15, 0.4)),
    PlaneSmoothness(level=3.0, slope=10.0, amplitudes=(1.0, 3.0), lengths=(0.15, 0.35)),
)
_LENGTH_VARIANCE, _PRIOR_ROLLOUTS, _OWN_ROLLOUTS = 0.5, 5.0, 20.0
_FREEDOM = 3.0
"""About how many responses the curves of the log length take for themselves."""
_NOT_NORMAL = 0.05
"""By how much the mean of lengths may differ, in the logarithm, from that of a log-normal one."""
_OTHER_REGIME = 0.3
"""How far apart in λ a problem's effects in both regimes are taken to be."""
_CALIBRATION = 0.85
"""The errors of the log length in parts of what the posterior says, where a search has chosen what
was asked; tuned on benchmarks/cliff_surfaces.csv."""


@dataclass(frozen=True, slots=True)
class _Split:
    """The rollouts of each recipe parted by regime: a row for each of both that was seen.

    ``row`` (rollouts,) is the row of each rollout; ``seen`` (rows, coordinates) and ``wanted``
    (2 · points, coordinates) are positions of λ, or two λ, and regime, the wanted ones without
    thinking first.
    """

    row: NDArray[np.int64]
    seen: Floats
    wanted: Floats
    shapes: _Shapes

    @classmethod
    def of(cls, data: ProbeRollouts, lambdas: Floats) -> "_Split":
        numbers = 2 * data.recipe + data.thinking
        number_of = np.bincount(numbers, minlength=2 * len(data.lambdas))
        used = np.flatnonzero(number_of)
        row = np.cumsum(number_of > 0)[numbers] - 1
        seen = np.column_stack([data.lambdas[used // 2], used % 2])
        twice = np.concatenate([lambdas, lambdas])
        wanted = np.column_stack([twice, np.repeat([0.0, 1.0], len(lambdas))])
        shapes = _LINE if lambdas.ndim == 1 else _PLANE
        return cls(row.astype(np.int64), seen, wanted, shapes)

    @property
    def regime(self) -> NDArray[np.int64]:
        """The regime of each row, shape (rows,)."""
        return self.seen[:, -1].astype(np.int64)

    @property
    def places(self) -> Floats:
        """Where a problem's effects lie: on one line, shape (rows,), or in a space, (rows, 3)."""
        if self.shapes is _LINE:
            return np.asarray(self.seen[:, 0] + _OTHER_REGIME * self.seen[:, 1], dtype=np.float64)
        return np.column_stack([_in_plane(self.seen[:, :2]), _OTHER_REGIME * self.seen[:, 2]])


@dataclass(frozen=True, slots=True)
class _Measure:
    """A curve's draws (draws, …), mean and covariance; ``variance`` is that of one response.

    The think ratio has (points,) values, a measure given the regime (2 · points,).
    """

    draws: Floats
    mean: Floats
    covariance: Floats
    variance: Floats


def _in_plane(knobs: Floats) -> Floats:
    """Places of two λ each, (rows, 2), as far apart as one λ where both are equal."""
    return np.asarray(knobs / np.sqrt(2.0), dtype=np.float64)


def fit_regimes(
    data: ProbeRollouts, lambdas: Floats, draws: int, random: np.random.Generator
) -> ProbeCurves:
    """Fit the think ratio, and score and length given the regime, and mix them.

    With two λ of each recipe, ``lambdas`` of shape (points, 2), they are surfaces over both.

    Errors are carried from the three parts to the mixture to first order, as if the parts were
    independent.
    """
    split = _Split.of(data, lambdas)
    ratio = _think_ratio(data, lambdas, draws, random)
    score = _score(data, split, draws, random)
    length = _log_length(data, split, draws, random)
    tokens = np.exp(length.mean)
    mean_tokens = _mixed(ratio.mean, tokens)
    log_tokens = np.log(_mixed(ratio.draws, np.exp(length.draws)))
    centre = log_tokens.mean(axis=0)
    apart = np.log(tokens[len(lambdas) :] / tokens[: len(lambdas)])
    return ProbeCurves(
        thinking=ratio.draws,
        score=_mixed(ratio.draws, score.draws),
        tokens=np.exp(centre + _CALIBRATION * (log_tokens - centre)),
        tail=data.tail_draws(lambdas, random.standard_normal((draws, len(lambdas)))),
        score_covariance=_mixed_covariance(ratio, score.mean, score.covariance),
        log_tokens_covariance=_CALIBRATION**2
        * _mixed_covariance(ratio, tokens, np.outer(tokens, tokens) * length.covariance)
        / np.outer(mean_tokens, mean_tokens),
        score_variance=_mixed(ratio.mean, score.variance),
        tokens_variance=_mixed(ratio.mean, length.variance) + bernoulli(ratio.mean) * apart**2,
    )


def _mixed(ratio: Floats, values: Floats) -> Floats:
    """The mixture of both regimes: (…, points) and (…, 2 · points) to (…, points)."""
    without, thinking = np.split(values, 2, axis=-1)
    return np.asarray((1 - ratio) * without + ratio * thinking, dtype=np.float64)


def _mixed_covariance(ratio: _Measure, mean: Floats, covariance: Floats) -> Floats:
    """The covariance of a mixture, shape (points, points), from that of both regimes' values."""
    without, thinking = np.split(mean, 2)
    step = thinking - without
    weights = np.hstack([np.diag(1 - ratio.mean), np.diag(ratio.mean)])
    mixed = weights @ covariance @ weights.T + np.outer(step, step) * ratio.covariance
    return np.asarray(mixed, dtype=np.float64)


def _think_ratio(
    data: ProbeRollouts, lambdas: Floats, draws: int, random: np.random.Generator
) -> _Measure:
    """The share of responses that think; known where a probe has one regime alone."""
    points, share = len(lambdas), float(data.thinking.mean())
    if share in (0.0, 1.0):
        constant = np.full(points, share)
        none = np.zeros((points, points))
        return _Measure(np.tile(constant, (draws, 1)), constant, none, np.zeros(points))
    is_line = lambdas.ndim == 1
    fit = fit_mean(
        data.responses(data.thinking.astype(np.float64)),
        flat_positions(data.lambdas),
        flat_positions(lambdas),
        LOGIT,
        (_LINE if is_line else _PLANE).thinking,
        bernoulli,
        data.lambdas if is_line else _in_plane(data.lambdas),
    )
    mean = expit(fit.curve.mean)
    slope = LOGIT.slope(mean)
    return _Measure(
        expit(fit.curve.draws(random.standard_normal((draws, points)))),
        mean,
        np.outer(slope, slope) * fit.curve.covariance,
        bernoulli(mean),
    )


def _score(data: ProbeRollouts, split: _Split, draws: int, random: np.random.Generator) -> _Measure:
    """The score given the regime."""
    responses = data.responses(data.score, split.row, len(split.seen))
    spread = dispersion(responses)
    fit = fit_mean(
        responses,
        split.seen,
        split.wanted,
        LOGIT,
        split.shapes.score,
        lambda means: spread * bernoulli(means),
        split.places,
    )
    mean = expit(fit.curve.mean)
    slope = LOGIT.slope(mean)
    return _Measure(
        expit(fit.curve.draws(random.standard_normal((draws, len(mean))))),
        mean,
        np.outer(slope, slope) * fit.curve.covariance,
        spread * bernoulli(mean),
    )


def _log_length(
    data: ProbeRollouts, split: _Split, draws: int, random: np.random.Generator
) -> _Measure:
    """The logarithm of the mean length given the regime.

    That is the mean of the log lengths, half their variance, and what the lengths themselves say
    against a log-normal distribution, as far as there are enough to tell.
    """
    logs = np.log(np.maximum(data.tokens, 1.0))
    responses = data.responses(logs, split.row, len(split.seen))
    fit = fit_mean(
        responses,
        split.seen,
        split.wanted,
        IDENTITY,
        split.shapes.length,
        lambda means: _variance(responses, means, split.regime)[split.regime],
        split.places,
    )
    variance = _variance(responses, fit.means, split.regime)
    residuals = logs - fit.means[split.row]
    points = len(split.wanted) // 2
    mean = fit.curve.mean.copy()
    curves = fit.curve.draws(random.standard_normal((draws, len(mean))))
    for regime in (0, 1):
        mine = residuals[split.regime[split.row] == regime]
        rise, error = _mean_of_exponentials(mine, float(variance[regime]))
        half = slice(regime * points, (regime + 1) * points)
        mean[half] += rise
        curves[:, half] += rise + error * random.standard_normal((draws, 1))
    return _Measure(curves, mean, fit.curve.covariance, np.repeat(variance, points))


def _mean_of_exponentials(residuals: Floats, variance: float) -> tuple[float, float]:
    """The logarithm of the mean of exp(residual), and its standard error.

    A log-normal length gives half the variance. The measured mean counts the more, the smaller
    its own error is.
    """
    number = max(len(residuals), 1)
    noise = np.expm1(variance) / number
    weight = _NOT_NORMAL**2 / (_NOT_NORMAL**2 + noise)
    found = 0.0
    if len(residuals):
        found = float(np.log(np.exp(residuals - variance / 2).mean()))
    error = np.sqrt(variance**2 / (2 * number) + _NOT_NORMAL**2 * (1 - weight))
    return variance / 2 + weight * found, float(error)


def _variance(data: Responses, means: Floats, regime: NDArray[np.int64]) -> Floats:
    """The variance of one log length in each regime, shape (2,); pooled where few are known."""
    rollouts, total = data.count.sum(axis=1), data.total.sum(axis=1)
    deviations = data.squares.sum(axis=1) - 2 * total * means + rollouts * means**2
    number = np.bincount(regime, rollouts, minlength=2)
    squares = np.bincount(regime, deviations, minlength=2)
    known = float(number.sum())
    freedom = known - min(_FREEDOM, known / 2)
    pooled = (float(squares.sum()) + _LENGTH_VARIANCE * _PRIOR_ROLLOUTS) / (
        freedom + _PRIOR_ROLLOUTS
    )
    own = (squares + _OWN_ROLLOUTS * pooled) / (number + _OWN_ROLLOUTS)
    return np.asarray(own, dtype=np.float64)
