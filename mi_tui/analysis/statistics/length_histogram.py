"""Histograms of response lengths: of each recipe, with thinking and without."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.observations import Observations
from mi_tui.plan.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Lengths:
    """How many responses fall into each bin, and their median in tokens; ``None`` without any."""

    counts: tuple[int, ...]
    median: float | None

    @property
    def responses(self) -> int:
        """How many responses there are."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class RecipeLengths:
    """The lengths of one recipe's responses that think, and of those that do not.

    A response that the token cap cut inside its thought does not close it, and is among the
    latter; ``truncated`` counts all that were cut, whose lengths are lower bounds.
    """

    recipe: Recipe
    thinking: Lengths
    direct: Lengths
    truncated: int


@dataclass(frozen=True, slots=True)
class LengthHistogram:
    """The recipes over the same bins; ``edges`` are in tokens, one more than there are bins."""

    edges: tuple[float, ...]
    recipes: tuple[RecipeLengths, ...]


def length_histogram(observations: Observations, bins: int) -> LengthHistogram:
    """Count the lengths of every recipe's responses; held-out problems are left aside.

    Args:
        observations: the study's rollouts; those without a score count here, too.
        bins: how many at most, growing from the shortest to the longest by one factor, but none
            narrower than a token.
    """
    search = np.array([not problem.held_out for problem in observations.problems], dtype=bool)
    found = observations.where(search[observations.problem])
    if not len(found):
        return LengthHistogram((), ())
    tokens = np.maximum(found.tokens, 1)
    wanted = np.geomspace(tokens.min(), tokens.max() + 1, bins + 1)
    edges = np.unique(np.round(wanted).astype(np.int64))

    def lengths(mask: NDArray[np.bool_]) -> Lengths:
        mine = tokens[mask]
        counts = np.histogram(mine, edges)[0]
        return Lengths(tuple(counts.tolist()), float(np.median(mine)) if len(mine) else None)

    rows = []
    for place, recipe in enumerate(found.recipes):
        mine = found.recipe == place
        if mine.any():
            rows.append(
                RecipeLengths(
                    recipe,
                    lengths(mine & found.thinking),
                    lengths(mine & ~found.thinking),
                    int(found.truncated[mine].sum()),
                )
            )
    rows.sort(key=lambda row: (not row.recipe.is_uniform, row.recipe.lambda_ or 0.0))
    return LengthHistogram(tuple(map(float, edges)), tuple(rows))
