"""Curves by regime: what responses are like with and without thinking, and their mixture."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.statistics.cells import Floats
from mi_tui.analysis.statistics.gaussian_process import RegimeSmoothness, Smoothness
from mi_tui.analysis.statistics.marginal import (
    IDENTITY,
    LOGIT,
    Fit,
    Responses,
    expit,
    fit_mean,
)

_SCORE = RegimeSmoothness(
    level=2.0, slope=1.0, apart=1.5, slope_apart=1.0, amplitudes=(0.1, 0.3, 0.8)
)
_LENGTH = RegimeSmoothness(
    level=1.5, slope=0.7, apart=1.0, slope_apart=0.7, amplitudes=(0.05, 0.15, 0.4)
)
_THINKING = Smoothness(
    level=3.0, slope=10.0, amplitudes=(1.0, 3.0), lengths=(0.15, 0.35), stretches=(0.0,)
)
_LENGTH_VARIANCE, _PRIOR_ROLLOUTS, _OWN_ROLLOUTS, _FREEDOM = 0.5, 5.0, 20.0, 3.0
_MISFIT = 0.05
_OTHER_REGIME = 0.3


@dataclass(frozen=True, slots=True)
class Rollouts:
    """The rollouts of one probe; arrays of shape (rollouts,), ``lambdas`` (recipes,)."""

    recipe: NDArray[np.int64]
    problem: NDArray[np.int64]
    score: Floats
    tokens: Floats
    thinking: NDArray[np.bool_]
    lambdas: Floats
    stratum: NDArray[np.int64]
    shares: Floats


class RegimeCurves:
    def __init__(self, data: Rollouts, lambdas: Floats, draws: int, random: np.random.Generator):
        points = len(lambdas)

        def normals(n: int = points) -> Floats:
            return random.standard_normal((draws, n))

        k, p = len(data.lambdas), len(data.stratum)
        regime = data.thinking.astype(np.int64)
        both = 0 < regime.sum() < len(regime)
        row = 2 * data.recipe + regime
        used, row = np.unique(row, return_inverse=True)
        seen = np.column_stack([data.lambdas[used // 2], used % 2])
        shape = (len(used), p)
        flat = row * p + data.problem

        def sums(values: Floats, flat: NDArray[np.int64] = flat, shape: tuple[int, int] = shape) -> Floats:
            return np.bincount(flat, values, minlength=shape[0] * shape[1]).reshape(shape)

        def responses(values: Floats) -> Responses:
            return Responses(
                sums(np.ones(len(values))), sums(values), sums(values**2), data.stratum, data.shares
            )

        regimes = (0, 1) if both else (int(regime[0]),)
        wanted = np.vstack([np.column_stack([lambdas, np.full(points, z)]) for z in regimes])
        apart = seen[:, 0] + _OTHER_REGIME * seen[:, 1]
        # think ratio
        if both:
            flat_k = data.recipe * p + data.problem
            count = sums(np.ones(len(regime)), flat_k, (k, p))
            total = sums(regime.astype(float), flat_k, (k, p))
            known = np.column_stack([data.lambdas, np.zeros(k)])
            ratio = fit_mean(
                Responses(count, total, total, data.stratum, data.shares),
                known,
                np.column_stack([lambdas, np.zeros(points)]),
                LOGIT,
                _THINKING,
                lambda m: m * (1 - m),
            )
            self.thinking = expit(ratio.curve.draws(normals()))
            r = expit(ratio.curve.mean)
            slope_r = LOGIT.slope(r)
            cov_r = np.outer(slope_r, slope_r) * ratio.curve.covariance
        else:
            self.thinking = np.full((draws, points), float(regimes[0]))
            r = np.full(points, float(regimes[0]))
            cov_r = np.zeros((points, points))
        # score
        score_data = responses(data.score)
        dispersion = _dispersion(score_data)
        score = fit_mean(
            score_data, seen, wanted, LOGIT, _SCORE, lambda m: dispersion * m * (1 - m), apart
        )
        s_draws = expit(score.curve.draws(normals(len(wanted))))
        s_mean = expit(score.curve.mean)
        s_slope = LOGIT.slope(s_mean)
        # lengths
        logs = np.log(np.maximum(data.tokens, 1.0))
        length_data = responses(logs)
        of_regime = seen[:, 1].astype(np.int64)
        length = fit_mean(
            length_data,
            seen,
            wanted,
            IDENTITY,
            _LENGTH,
            lambda m: _length_variance(length_data, m, of_regime),
            apart,
        )
        variance = np.zeros(2)
        for at, z in enumerate(of_regime):
            variance[z] = length.variance[at]
        number = np.bincount(regime, minlength=2)
        residual = logs - length.means[row]
        g_draws = length.curve.draws(normals(len(wanted)))
        g_mean = length.curve.mean.copy()
        for i, z in enumerate(regimes):
            part = slice(i * points, (i + 1) * points)
            mine = residual[regime == z]
            v, n = variance[z], max(len(mine), 1)
            noise = (np.exp(v) - 1) / n
            w = _MISFIT**2 / (_MISFIT**2 + noise)
            found = float(np.log(np.mean(np.exp(mine - v / 2)))) if len(mine) else 0.0
            shift = v / 2 + w * found
            sd = np.sqrt(0.5 * v**2 / n + _MISFIT**2 * (1 - w))
            g_mean[part] += shift
            g_draws[:, part] += shift + sd * random.standard_normal((draws, 1))
        # mixture
        if both:
            self.score = (1 - self.thinking) * s_draws[:, :points] + self.thinking * s_draws[:, points:]
            t_draws = np.exp(g_draws)
            self.tokens = (1 - self.thinking) * t_draws[:, :points] + self.thinking * t_draws[:, points:]
            s0, s1 = s_mean[:points], s_mean[points:]
            a = np.hstack([np.diag((1 - r) * s_slope[:points]), np.diag(r * s_slope[points:])])
            self.score_covariance = a @ score.curve.covariance @ a.T + np.outer(s1 - s0, s1 - s0) * cov_r
            t0, t1 = np.exp(g_mean[:points]), np.exp(g_mean[points:])
            t = (1 - r) * t0 + r * t1
            b = np.hstack([np.diag((1 - r) * t0 / t), np.diag(r * t1 / t)])
            step = (t1 - t0) / t
            self.log_tokens_covariance = b @ length.curve.covariance @ b.T + np.outer(step, step) * cov_r
            gap = np.log(t1 / t0)
            self.tokens_variance = (1 - r) * variance[0] + r * variance[1] + r * (1 - r) * gap**2
            mean_score = (1 - r) * s0 + r * s1
        else:
            self.score, self.tokens = s_draws, np.exp(g_draws)
            self.score_covariance = np.outer(s_slope, s_slope) * score.curve.covariance
            self.log_tokens_covariance = length.curve.covariance
            self.tokens_variance = np.full(points, variance[regimes[0]])
            mean_score = s_mean
        self.score_variance = dispersion * mean_score * (1 - mean_score)


def _dispersion(data: Responses) -> float:
    rollouts = data.count.sum(axis=1)
    means = data.total.sum(axis=1) / rollouts
    found = (data.squares.sum(axis=1) - rollouts * means**2).sum()
    possible = (rollouts * means * (1 - means)).sum()
    return float(np.clip((found + 1.0) / (possible + 1.0), 0.02, 1.0))


def _length_variance(data: Responses, means: Floats, regime: NDArray[np.int64]) -> Floats:
    rollouts = data.count.sum(axis=1)
    deviations = data.squares.sum(axis=1) - 2 * data.total.sum(axis=1) * means + rollouts * means**2
    known = rollouts.sum()
    pooled = (deviations.sum() + _LENGTH_VARIANCE * _PRIOR_ROLLOUTS) / (
        known - min(_FREEDOM, known / 2) + _PRIOR_ROLLOUTS
    )
    n = np.bincount(regime, rollouts, minlength=2)
    d = np.bincount(regime, deviations, minlength=2)
    own = (d + _OWN_ROLLOUTS * pooled) / (n + _OWN_ROLLOUTS)
    return np.asarray(own[regime])
