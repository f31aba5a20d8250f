"""The design: how often each λ was asked, and what a rollout more there can tell."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.statistics.cells import Floats
from mi_tui.analysis.statistics.curve import family
from mi_tui.plan.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Design:
    """How often each λ of the family was asked.

    ``lambdas``, ``rollouts`` and ``problems`` (distinct ones) have shape (recipes,);
    ``distinct`` is the number of problems asked of any of them, ``available`` that of all search
    problems. ``fixed`` says that the answer is about these problems themselves: what makes one
    harder than another is then no noise, once it was asked.
    """

    lambdas: Floats
    rollouts: Floats
    problems: Floats
    distinct: int
    available: int
    fixed: bool = False


def design_of(
    recipes: tuple[Recipe, ...],
    counts: NDArray[Any],
    like: Recipe | None = None,
    *,
    fixed: bool = False,
) -> Design:
    """The design of a family.

    Args:
        recipes: all recipes of a study.
        counts: rollouts per recipe and search problem, shape (recipes, search problems).
        like: a member of the family; by default the largest family is meant.
        fixed: whether the answer is about these problems themselves.
    """
    members = family(recipes, like)
    mine = counts[members]
    return Design(
        np.array([recipes[i].lambda_ or 0.0 for i in members]),
        mine.sum(axis=1).astype(np.float64),
        (mine > 0).sum(axis=1).astype(np.float64),
        int((mine > 0).any(axis=0).sum()),
        counts.shape[1],
        fixed,
    )
