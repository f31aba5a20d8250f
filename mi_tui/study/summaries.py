"""The rows of the results table, computed anew only for recipes that have new rollouts."""

import numpy as np

from mi_tui.study.latency import Latency
from mi_tui.study.observations import Observations
from mi_tui.study.results import RecipeSummary
from mi_tui.study.statistics.metrics import summarise


class Summaries:
    """Keeps the rows of one study, whose rollouts only ever grow."""

    def __init__(self) -> None:
        self._rows: dict[str, RecipeSummary] = {}
        self._counted = 0
        self._latency: Latency | None = None

    def of(self, observations: Observations, latency: Latency | None) -> tuple[RecipeSummary, ...]:
        """One row per recipe with rollouts, as :func:`summarise` gives them."""
        if latency != self._latency:
            self._counted, self._latency = 0, latency
        if self._counted < len(observations):
            self._update(observations)
        keys = [recipe.key for recipe in observations.recipes]
        return tuple(self._rows[key] for key in keys if key in self._rows)

    def _update(self, observations: Observations) -> None:
        changed = np.zeros(len(observations.recipes), dtype=bool)
        changed[observations.recipe[self._counted :]] = True
        mine = observations.where(changed[observations.recipe])
        for row in summarise(mine, latency=self._latency):
            self._rows[row.recipe.key] = row
        self._counted = len(observations)
