"""One probe's rollouts as a model of the curves takes them, and the curves it gives back."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.statistics.cells import Floats
from mi_tui.analysis.statistics.gaussian_process import Smoothness, posterior
from mi_tui.analysis.statistics.lengths import LengthTail
from mi_tui.analysis.statistics.marginal import Responses

_TAIL = Smoothness(level=0.5, slope=0.3, amplitudes=(0.1, 0.3), stretches=(0.0,))
_TYPICAL_TAIL = 0.8


@dataclass(frozen=True, slots=True)
class Strata:
    """The strata of a probe's asked problems, and their shares of all its search problems.

    ``population`` is as in :class:`mi_tui.analysis.statistics.marginal.Responses`.
    """

    stratum: NDArray[np.int64]
    shares: Floats
    population: int | None = None

    @classmethod
    def of(
        cls,
        names: list[str],
        problems: NDArray[np.int64],
        asked: NDArray[np.int64],
        population: int | None = None,
    ) -> "Strata":
        """The strata of ``asked``, from the names of all of a probe's search problems."""
        known, number = np.unique(names, return_inverse=True)
        shares = np.bincount(number, minlength=len(known)) / len(names)
        stratum = number[np.searchsorted(problems, asked)].astype(np.int64)
        return cls(stratum, shares, population)

    def responses(self, count: Floats, total: Floats, squares: Floats) -> Responses:
        """The sums of a measure with these strata."""
        return Responses(count, total, squares, self.stratum, self.shares, self.population)


@dataclass(frozen=True, slots=True)
class ProbeRollouts:
    """The scored rollouts of one probe on its search problems.

    ``recipe``, ``problem``, ``score``, ``tokens`` and ``thinking`` have shape (rollouts,); the
    first two number the recipes and the asked problems of this probe. ``tokens`` of a truncated
    response hold what it would on average have gone on for. ``lambdas`` and ``tails`` belong to
    the recipes. ``lambdas`` has shape (recipes,), or (recipes, 2) where attention and FFN have a λ
    of their own.
    """

    recipe: NDArray[np.int64]
    problem: NDArray[np.int64]
    score: Floats
    tokens: Floats
    thinking: NDArray[np.bool_]
    lambdas: Floats
    tails: list[LengthTail]
    strata: Strata

    def responses(
        self, values: Floats, row: NDArray[np.int64] | None = None, rows: int | None = None
    ) -> Responses:
        """The sums of a measure per row and problem; by default a row is a recipe.

        Args:
            values: the measure, shape (rollouts,).
            row: the row of each rollout, shape (rollouts,).
            rows: how many rows there are.
        """
        row = self.recipe if row is None else row
        shape = (rows or len(self.lambdas), len(self.strata.stratum))
        cell = row * shape[1] + self.problem

        def total(weights: Floats | None = None) -> Floats:
            sums = np.bincount(cell, weights, minlength=shape[0] * shape[1])
            return sums.astype(np.float64, copy=False).reshape(shape)

        return self.strata.responses(total(), total(values), total(values**2))

    def tail_draws(self, lambdas: Floats, normals: Floats) -> Floats:
        """Draws of log(95th percentile / mean length) at some λ, shape of ``normals``.

        Of two λ their mean counts.
        """
        return posterior(
            _TAIL,
            flat_positions(_one(self.lambdas)),
            np.array([tail.log_ratio for tail in self.tails]),
            np.diag([tail.error**2 for tail in self.tails]),
            flat_positions(_one(lambdas)),
            _TYPICAL_TAIL,
        ).draws(normals)


def _one(lambdas: Floats) -> Floats:
    """One λ of each recipe, shape (recipes,)."""
    return lambdas if lambdas.ndim == 1 else np.asarray(lambdas.mean(axis=1), dtype=np.float64)


def flat_positions(lambdas: Floats) -> Floats:
    """Positions of curves that follow λ, or two λ, alone: a column of zeros behind them."""
    return np.column_stack([lambdas, np.zeros(len(lambdas))])


def bernoulli(means: Floats) -> Floats:
    """The variance of a yes-or-no measure."""
    return means * (1 - means)


def dispersion(data: Responses) -> float:
    """The variance of a score relative to that of a yes-or-no score with the same mean."""
    rollouts = data.count.sum(axis=1)
    means = data.total.sum(axis=1) / rollouts
    found = (data.squares.sum(axis=1) - rollouts * means**2).sum()
    possible = (rollouts * bernoulli(means)).sum()
    return float(np.clip((found + 1.0) / (possible + 1.0), 0.02, 1.0))


@dataclass(frozen=True, slots=True)
class ProbeCurves:
    """Draws of one probe's curves; shapes and meaning as in :class:`Curves`.

    ``tail`` (draws, points) is log(95th percentile / mean length).
    """

    score: Floats
    tokens: Floats
    thinking: Floats
    tail: Floats
    score_covariance: Floats
    log_tokens_covariance: Floats
    score_variance: Floats
    tokens_variance: Floats


class CurveModel(Protocol):
    """A model of one probe's curves over λ."""

    def __call__(
        self, data: ProbeRollouts, lambdas: Floats, draws: int, random: np.random.Generator
    ) -> ProbeCurves:
        """Fit the rollouts and draw the curves at ``lambdas`` from their posterior."""
