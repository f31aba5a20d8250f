"""Gaussian processes over λ: smoothness hypotheses weighed by the data, and draws.

The paper's curves are flat in places and steep in stage 2. Two means let one process follow
both: the λ axis may be stretched where the think ratio changes, and length scale, amplitude and
stretch are averaged over a grid of hypotheses by their evidence instead of being fixed.
All hypotheses are alike before any data: a prior for simple curves fits a first few rollouts with a
straight line, and the search then never looks where it would have found the dip.
"""

from dataclasses import dataclass, replace

import numpy as np

from mi_tui.analysis.statistics.cells import Floats

_JITTER = 1e-8
_NEGLIGIBLE = 0.005
_IMPLAUSIBLE = 1e-4
"""The weight of a hypothesis below which a little more knowledge will not bring it back."""
_SHORTEST_BEND = 0.3
"""The shortest length over which a surface over two λ deviates from a curve over their mean."""


@dataclass(frozen=True, slots=True)
class Smoothness:
    """The hypotheses about one curve, on its link scale.

    ``level`` is the standard deviation of the curve's overall level, ``slope`` that of a linear
    trend over the whole axis; ``amplitudes`` are those of deviations with the given
    ``lengths`` on the λ axis; ``stretches`` say how much a full change of the think ratio
    lengthens the axis, in λ.
    """

    level: float
    slope: float
    amplitudes: tuple[float, ...]
    lengths: tuple[float, ...] = (0.12, 0.3, 0.8)
    stretches: tuple[float, ...] = (0.0, 0.5, 1.5)

    @property
    def hypotheses(self) -> Floats:
        """All combinations of amplitude, length and stretch, shape (hypotheses, 3)."""
        grid = np.meshgrid(self.amplitudes, self.lengths, self.stretches, indexing="ij")
        return np.column_stack([values.ravel() for values in grid])

    def covariance(self, hypotheses: Floats, first: Floats, second: Floats) -> Floats:
        """Level, linear trend and Matérn-5/2 deviations on the stretched axis.

        The covariances between the positions ``first`` and ``second``, shape (hypotheses, first,
        second).
        """
        amplitude, length, stretch = (column[:, None, None] for column in hypotheses.T)
        row = first[:, 0, None] + stretch * first[:, 1, None]
        column = second[:, 0] + stretch * second[:, 1]
        trend = self.slope**2 * (row - 0.5) * (column - 0.5)
        deviations = amplitude**2 * matern(np.abs(row - column) / length)
        return np.asarray(self.level**2 + trend + deviations, dtype=np.float64)


def matern(distance: Floats) -> Floats:
    """The Matérn-5/2 correlation at distances in units of the length scale."""
    scaled = np.sqrt(5.0) * distance
    return np.asarray((1 + scaled * (1 + scaled / 3)) * np.exp(-scaled), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class RegimeSmoothness:
    """The hypotheses about two curves, those of responses without and with thinking.

    The positions' second coordinate is the regime, 0 or 1. ``level``, ``slope`` and ``amplitudes``
    are as in :class:`Smoothness` and common to both; ``apart`` is the standard deviation of the
    difference between both levels, ``slope_apart`` that of the difference between both trends, and
    ``own`` the part of the deviations that each regime has for itself.
    """

    level: float
    slope: float
    apart: float
    slope_apart: float
    amplitudes: tuple[float, ...]
    lengths: tuple[float, ...] = (0.12, 0.3, 0.8)
    own: float = 0.5

    @property
    def hypotheses(self) -> Floats:
        """All combinations of amplitude and length, shape (hypotheses, 2)."""
        grid = np.meshgrid(self.amplitudes, self.lengths, indexing="ij")
        return np.column_stack([values.ravel() for values in grid])

    def covariance(self, hypotheses: Floats, first: Floats, second: Floats) -> Floats:
        """The covariances between positions, shape (hypotheses, first, second)."""
        amplitude, length = (column[:, None, None] for column in hypotheses.T)
        row, column = first[:, 0, None] - 0.5, second[:, 0] - 0.5
        regimes = (first[:, 1, None] - 0.5) * (second[:, 1] - 0.5)
        trend = (self.slope**2 + self.slope_apart**2 * regimes) * row * column
        alike = np.where(regimes > 0, 1.0, 1.0 - self.own)
        deviations = amplitude**2 * alike * matern(np.abs(row - column) / length)
        flat = self.level**2 + self.apart**2 * regimes
        return np.asarray(flat + trend + deviations, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class PlaneSmoothness:
    """The hypotheses about surfaces over two λ, of one regime or, like curves, of both.

    Positions are (λ of attention, λ of the FFN, regime); the think ratio itself has regime 0
    everywhere. A surface is a curve over a weighted mean of both λ, the weight of the FFN being one
    of ``weights``, and a deviation from that. So where both λ are equal it is a curve over λ, and
    each hypothesis says how much of the way to Thinking the FFN makes. ``bend`` is the share of the
    deviations' variance that follows both λ; all else is as in :class:`RegimeSmoothness`.
    """

    level: float
    slope: float
    amplitudes: tuple[float, ...]
    apart: float = 0.0
    slope_apart: float = 0.0
    lengths: tuple[float, ...] = (0.15, 0.35, 0.8)
    weights: tuple[float, ...] = (0.2, 0.5, 0.8)
    own: float = 0.5
    bend: float = 0.3

    @property
    def hypotheses(self) -> Floats:
        """All combinations of amplitude, length and the FFN's weight, shape (hypotheses, 3)."""
        grid = np.meshgrid(self.amplitudes, self.lengths, self.weights, indexing="ij")
        return np.column_stack([values.ravel() for values in grid])

    def covariance(self, hypotheses: Floats, first: Floats, second: Floats) -> Floats:
        """The covariances between positions, shape (hypotheses, first, second)."""
        amplitude, length, weight = (column[:, None, None] for column in hypotheses.T)
        steps = first[:, None, :2] - second[None, :, :2]
        mixed = (1 - weight) * steps[..., 0] + weight * steps[..., 1]
        distance = np.sqrt((steps**2).sum(axis=-1))
        regimes = (first[:, 2, None] - 0.5) * (second[:, 2] - 0.5)
        centred = first[:, :2] - 0.5, second[:, :2] - 0.5
        # The two slopes' variances are as unlike as the weights, and add up to the uniform one.
        shares = weight**2, (1 - weight) ** 2
        trend = sum(
            share * np.outer(centred[0][:, at], centred[1][:, at])
            for share, at in zip(shares, (1, 0), strict=True)
        ) / sum(shares)
        own_slope = self.slope**2 + self.slope_apart**2 * regimes
        alike = np.where(regimes > 0, 1.0, 1.0 - self.own)
        along = (1 - self.bend) * matern(np.abs(mixed) / length)
        across = self.bend * matern(distance / np.maximum(length, _SHORTEST_BEND))
        flat = self.level**2 + self.apart**2 * regimes
        deviations = amplitude**2 * alike * (along + across)
        return np.asarray(flat + own_slope * trend + deviations, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Posterior:
    """A mixture of Gaussians over the curve's values at some λ, one for each hypothesis.

    Shapes: ``weights`` (hypotheses,), ``means`` (hypotheses, points), ``covariances``
    (hypotheses, points, points). ``fitted`` (recipes,) is the mean where values were seen;
    ``plausible`` has a row for each hypothesis that the values do not rule out.
    """

    weights: Floats
    means: Floats
    covariances: Floats
    fitted: Floats
    plausible: Floats

    @property
    def mean(self) -> Floats:
        """The mean of the mixture, shape (points,)."""
        return np.asarray(self.weights @ self.means, dtype=np.float64)

    @property
    def covariance(self) -> Floats:
        """The covariance of the mixture, shape (points, points)."""
        apart = self.means - self.mean
        within = np.einsum("h,hij->ij", self.weights, self.covariances)
        return np.asarray(within + np.einsum("h,hi,hj->ij", self.weights, apart, apart))

    def after(self, skipped: int) -> "Posterior":
        """The same at all points but the first few."""
        rest = slice(skipped, None)
        return replace(self, means=self.means[:, rest], covariances=self.covariances[:, rest, rest])

    def draws(self, normals: Floats) -> Floats:
        """Turn standard normal numbers into draws of the curve, both (draws, points).

        Each hypothesis gets its share of the draws, spread evenly among them.
        """
        count, points = normals.shape
        ends = np.concatenate([[0.0], np.cumsum(self.weights)]) * count
        slots = (np.arange(count) + 0.5) * _golden_stride(count) % count
        out = np.empty_like(normals)
        for which, (mean, covariance) in enumerate(zip(self.means, self.covariances, strict=True)):
            mine = (slots >= ends[which]) & (slots < ends[which + 1])
            if mine.any():
                scale = np.trace(covariance) / points
                root = np.linalg.cholesky(covariance + (_JITTER + 1e-6 * scale) * np.eye(points))
                out[mine] = mean + normals[mine] @ root.T
        return out


AnySmoothness = Smoothness | RegimeSmoothness | PlaneSmoothness


def posterior(
    smoothness: AnySmoothness,
    seen: Floats,
    values: Floats,
    noise: Floats,
    wanted: Floats,
    centre: float,
    among: Floats | None = None,
) -> Posterior:
    """The curve at ``wanted`` after noisy values at ``seen``.

    Args:
        smoothness: the hypotheses.
        seen: positions of the values as the smoothness takes them, shape (recipes, coordinates).
        values: the values on the link scale, shape (recipes,).
        noise: their covariance, shape (recipes, recipes).
        wanted: positions, shape (points, coordinates).
        centre: the prior mean of the level.
        among: the hypotheses to weigh; by default all of them.
    """
    hypotheses = smoothness.hypotheses if among is None else among
    n = len(seen)
    prior = smoothness.covariance(hypotheses, seen, seen)
    root = np.linalg.cholesky(prior + noise + _JITTER * np.eye(n))
    residual = np.broadcast_to((values - centre)[:, None], (len(root), n, 1))
    white = np.linalg.solve(root, residual)[..., 0]
    determinant = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    evidence = -0.5 * (white**2).sum(axis=1) - determinant
    weights = np.exp(evidence - evidence.max())
    weights /= weights.sum()
    plausible, kept = hypotheses[weights > _IMPLAUSIBLE], weights > _NEGLIGIBLE
    weights = weights[kept] / weights[kept].sum()
    root, white = root[kept], white[kept]
    pull = np.linalg.solve(root.transpose(0, 2, 1), white[..., None])[..., 0]
    fitted = centre + np.einsum("h,hij,hj->i", weights, prior[kept], pull)
    between = smoothness.covariance(hypotheses[kept], seen, wanted)
    means = centre + np.einsum("hnp,hn->hp", between, pull)
    cross = np.linalg.solve(root, between)
    before = smoothness.covariance(hypotheses[kept], wanted, wanted)
    covariances = before - cross.transpose(0, 2, 1) @ cross
    return Posterior(weights, means, covariances, fitted, plausible)


def _golden_stride(count: int) -> int:
    """A step with which 0, 1, …, count − 1 are visited once each, far from in order."""
    stride = max(1, round(count * 0.6180339887))
    while np.gcd(stride, count) > 1:
        stride += 1
    return stride
