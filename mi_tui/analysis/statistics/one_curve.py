"""The curves of score and length with one regime: each measure follows λ and the think ratio."""

import numpy as np

from mi_tui.analysis.statistics.cells import Floats
from mi_tui.analysis.statistics.gaussian_process import Smoothness
from mi_tui.analysis.statistics.marginal import LOG, LOGIT, Responses, expit, fit_mean
from mi_tui.analysis.statistics.probe import (
    ProbeCurves,
    ProbeRollouts,
    bernoulli,
    dispersion,
    flat_positions,
)

_SCORE = Smoothness(level=2.0, slope=1.5, amplitudes=(0.15, 0.5, 1.5))
_TOKENS = Smoothness(level=1.0, slope=1.0, amplitudes=(0.1, 0.3, 1.0))
_THINKING = Smoothness(
    level=3.0, slope=6.0, amplitudes=(1.5, 4.0), lengths=(0.15, 0.35), stretches=(0.0,)
)
_LENGTH_VARIANCE, _PRIOR_ROLLOUTS, _OWN_ROLLOUTS = 0.4, 5.0, 60.0
_FREEDOM = 4.0
"""About how many responses the curve of the mean length takes for itself."""


def fit_one_curve(
    data: ProbeRollouts, lambdas: Floats, draws: int, random: np.random.Generator
) -> ProbeCurves:
    """Fit each measure's mean over λ; the axis is longer where the think ratio changes."""

    def normals() -> Floats:
        return random.standard_normal((draws, len(lambdas)))

    known = len(data.lambdas)
    flat = flat_positions(np.concatenate([data.lambdas, lambdas]))
    ratio = data.responses(data.thinking.astype(np.float64))
    thinking = fit_mean(ratio, flat[:known], flat, LOGIT, _THINKING, bernoulli)
    positions = np.column_stack([flat[:, 0], expit(thinking.curve.mean)])
    seen, wanted = positions[:known], positions[known:]

    scores = data.responses(data.score)
    spread = dispersion(scores)
    score = fit_mean(scores, seen, wanted, LOGIT, _SCORE, lambda means: spread * bernoulli(means))
    slope = LOGIT.slope(expit(score.curve.mean))

    lengths = data.responses(data.tokens)
    tokens = fit_mean(
        lengths,
        seen,
        wanted,
        LOG,
        _TOKENS,
        lambda means: _relative_variance(lengths, means) * means**2,
    )
    return ProbeCurves(
        thinking=expit(thinking.curve.after(known).draws(normals())),
        score=expit(score.curve.draws(normals())),
        tokens=np.exp(tokens.curve.draws(normals())),
        tail=data.tail_draws(lambdas, normals()),
        score_covariance=np.outer(slope, slope) * score.curve.covariance,
        score_variance=np.interp(lambdas, data.lambdas, score.variance),
        log_tokens_covariance=tokens.curve.covariance,
        tokens_variance=np.interp(lambdas, data.lambdas, tokens.variance / tokens.means**2),
    )


def _relative_variance(lengths: Responses, means: Floats) -> Floats:
    """The variance of one length relative to the squared mean, shape (recipes,).

    Around the means of the curve and not the recipe's own: among few skewed lengths a small mean
    comes with a small spread, and would pass for certain. Pooled where a recipe has few.
    """
    rollouts = lengths.count.sum(axis=1)
    total, squares = lengths.total.sum(axis=1), lengths.squares.sum(axis=1)
    deviations = squares / means**2 - 2 * total / means + rollouts
    known = float(rollouts.sum())
    freedom = known - min(_FREEDOM, known / 2)
    pooled = (float(deviations.sum()) + _LENGTH_VARIANCE * _PRIOR_ROLLOUTS) / (
        freedom + _PRIOR_ROLLOUTS
    )
    own = (deviations + _OWN_ROLLOUTS * pooled) / (rollouts + _OWN_ROLLOUTS)
    return np.asarray(own, dtype=np.float64)
