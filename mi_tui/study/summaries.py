"""Summaries per recipe, computed anew only where there are new rollouts."""

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.observations import Observations
from mi_tui.analysis.results import RecipeSummary
from mi_tui.analysis.statistics.metrics import summarise
from mi_tui.plan.budget import About


class Summaries:
    """Keeps the rows of one study, whose complete rounds only ever grow."""

    def __init__(self) -> None:
        self._rows: dict[str, RecipeSummary] = {}
        self._counts: NDArray[np.int64] = np.zeros(0, np.int64)
        self._asked: tuple[Latency | None, About] = (None, "new-problems")

    def of(
        self,
        complete: Observations,
        begun: Observations,
        latency: Latency | None,
        about: About = "new-problems",
    ) -> tuple[RecipeSummary, ...]:
        """One row per recipe with rollouts, as :func:`summarise` gives them.

        Args:
            complete: the rollouts of complete rounds.
            begun: the others; they make the preliminary row of a recipe that has no more.
            latency: the speed of the merged model.
            about: what the intervals speak of.
        """
        if (latency, about) != self._asked:
            self._rows, self._asked = {}, (latency, about)
            self._counts = np.zeros(0, np.int64)
        self._update(complete)
        rows = self._rows | self._preliminary(begun)
        keys = [recipe.key for recipe in complete.recipes]
        return tuple(rows[key] for key in keys if key in rows)

    def _update(self, complete: Observations) -> None:
        counts = np.bincount(complete.recipe, minlength=len(complete.recipes))
        known = np.zeros_like(counts)
        known[: len(self._counts)] = self._counts
        if (changed := counts != known).any():
            mine = complete.where(changed[complete.recipe])
            for row in self._summarised(mine):
                self._rows[row.recipe.key] = row
        self._counts = counts

    def _preliminary(self, begun: Observations) -> dict[str, RecipeSummary]:
        fresh = np.array([recipe.key not in self._rows for recipe in begun.recipes], dtype=bool)
        if not len(begun) or not fresh.any():
            return {}
        mine = begun.where(fresh[begun.recipe])
        return {
            row.recipe.key: row.model_copy(update={"preliminary": True, "stage": None})
            for row in self._summarised(mine)
        }

    def _summarised(self, rows: Observations) -> tuple[RecipeSummary, ...]:
        latency, about = self._asked
        return summarise(rows, latency=latency, about=about)
