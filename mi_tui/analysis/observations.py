"""Observations: the rollouts of a study as columns."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_tui.plan.recipe import Recipe


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """A problem as the statistics see it.

    ``weight`` is the probe's weight shared out over its problems; ``cap`` is the probe's token
    cap; ``held_out`` problems only confirm.
    """

    probe: str
    id: str
    stratum: str
    weight: float
    cap: int
    held_out: bool


@dataclass(frozen=True, slots=True)
class Observations:
    """Rollouts, one per row of equally long columns.

    ``recipe`` and ``problem`` (int64) index ``recipes`` and ``problems``; ``sample`` (int64) is
    the sample index, whose random numbers are the same under every recipe; ``score`` (float64)
    lies in [0, 1], and is NaN where a response could not be scored: no statistics count such a row,
    and nothing asks for it again; ``tokens`` (int64) counts generated tokens; ``thinking`` and
    ``truncated`` (bool) say whether a thought was closed and whether the cap cut the response;
    ``answer`` (int64) numbers the distinct extracted answers of a problem, -1 for none.
    """

    recipes: tuple[Recipe, ...]
    problems: tuple[ProblemRow, ...]
    recipe: NDArray[np.int64]
    problem: NDArray[np.int64]
    sample: NDArray[np.int64]
    score: NDArray[np.float64]
    tokens: NDArray[np.int64]
    thinking: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    answer: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.recipe)

    @property
    def not_scored(self) -> NDArray[np.bool_]:
        """Which rows have no score."""
        return np.isnan(self.score)

    def scored(self) -> "Observations":
        """The rows that have a score: what every statistic is made of."""
        missing = self.not_scored
        return self.where(~missing) if missing.any() else self

    def in_order(self) -> "Observations":
        """The rows by recipe, problem and sample.

        They arrive in an order that depends on timing, and the last digit of a sum on theirs.
        """
        cell = self.recipe * len(self.problems) + self.problem
        place = cell * (int(self.sample.max(initial=0)) + 1) + self.sample
        if (place[1:] > place[:-1]).all():
            return self
        order = np.argsort(_narrow(self.sample), kind="stable")
        for column in (self.problem, self.recipe):
            order = order[np.argsort(_narrow(column)[order], kind="stable")]
        return self.where(order)

    def where(self, mask: NDArray[Any] | slice) -> "Observations":
        """The rows that a mask, an index array or a slice selects; recipes and problems stay."""
        return Observations(
            self.recipes,
            self.problems,
            self.recipe[mask],
            self.problem[mask],
            self.sample[mask],
            self.score[mask],
            self.tokens[mask],
            self.thinking[mask],
            self.truncated[mask],
            self.answer[mask],
        )


def _narrow(column: NDArray[np.int64]) -> NDArray[np.integer[Any]]:
    """Indices in 16 bits where they fit: NumPy sorts those in linear time."""
    return column.astype(np.uint16) if column.max(initial=0) < 1 << 16 else column
