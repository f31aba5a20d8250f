"""The three stages of interpolation, read from the think ratio (paper, section 4.1)."""

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.results import Estimate, Stage, StageLimits
from mi_tui.analysis.statistics.cells import Floats

BEGINS, SATURATED = 0.05, 0.95
"""Stage 2 lies where the share of responses with explicit thinking is between these."""


def stage_of(think_ratio: float) -> Stage:
    """The stage of a recipe: 1 without explicit thinking, 3 with it always, 2 between."""
    if think_ratio < BEGINS:
        return 1
    return 2 if think_ratio < SATURATED else 3


def stage_limits(lambdas: Floats, think_ratios: Floats, level: float = 0.95) -> StageLimits:
    """Where stages 2 and 3 begin, from draws of the think ratio's curve.

    Args:
        lambdas: increasing λ, shape (points,).
        think_ratios: draws of the curve, shape (draws, points).
        level: the level of the intervals.

    Returns:
        The limits; one is ``None`` when most draws never cross its threshold, or when the
        curve lies above it already at the first λ.
    """
    return StageLimits(
        first=_crossing(lambdas, think_ratios, BEGINS, level),
        second=_crossing(lambdas, think_ratios, SATURATED, level),
    )


def _crossing(lambdas: Floats, curves: Floats, threshold: float, level: float) -> Estimate | None:
    above: NDArray[np.bool_] = curves >= threshold
    crosses = above.any(axis=1) & ~above[:, 0]
    if crosses.mean() < 0.5:
        return None
    curves, above = curves[crosses], above[crosses]
    after = above.argmax(axis=1)
    row = np.arange(len(after))
    low, high = curves[row, after - 1], curves[row, after]
    share = (threshold - low) / np.maximum(high - low, 1e-12)
    at = lambdas[after - 1] + share * (lambdas[after] - lambdas[after - 1])
    tail = (1 - level) / 2
    middle, first, last = np.quantile(at, [0.5, tail, 1 - tail])
    return Estimate(value=float(middle), low=float(first), high=float(last))
