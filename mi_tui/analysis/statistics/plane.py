"""Surfaces over two knobs, λ of attention and λ of the FFN: score, length and think ratio.

The model is that of the curves over one λ: whether a response thinks, and score and length given
that, here as functions of both λ. A problem's effects are shared with the uniform recipes, which
lie where both λ are equal, so that what was asked of them counts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.observations import Observations
from mi_tui.analysis.statistics.cells import Floats
from mi_tui.analysis.statistics.curve import Curves, fit_at
from mi_tui.plan.budget import About
from mi_tui.plan.recipe import Recipe, with_knobs

STEP = 0.1
"""The distance of the λ that two knobs are chosen from."""

Knobs = tuple[float, float]
"""λ of attention, λ of the FFN."""


@dataclass(frozen=True, slots=True)
class Surface:
    """Draws of score, length and think ratio over two knobs.

    ``knobs`` has shape (points, 2), λ of attention and λ of the FFN; the last point is Thinking.
    ``curves`` has the draws there; its ``lambdas`` number the points.
    """

    knobs: Floats
    curves: Curves

    def at(self, knobs: Knobs) -> int:
        """The index of a point.

        Raises:
            ValueError: it is none of the surface's.
        """
        found = np.flatnonzero(np.abs(self.knobs - np.array(knobs)).max(axis=1) < 1e-6)
        if not len(found):
            raise ValueError(f"({knobs[0]:g}, {knobs[1]:g}) is no point of the surface")
        return int(found[0])


def knob_family(recipes: tuple[Recipe, ...], like: Recipe) -> NDArray[np.int64]:
    """The recipes that differ from ``like`` in both knobs at most, as indices."""
    return np.array([i for i, one in enumerate(recipes) if is_like(one, like)], dtype=np.int64)


def is_like(recipe: Recipe, like: Recipe) -> bool:
    """Whether a recipe differs from ``like``, which has a λ, in both knobs at most."""
    return recipe.knobs is not None and with_knobs(recipe, 0.0, 0.0) == with_knobs(like, 0.0, 0.0)


def lattice(further: list[Knobs]) -> Floats:
    """The points of a surface, shape (points, 2): a square grid and further ones, Thinking last."""
    steps = np.round(np.arange(0.0, 1.0 + STEP / 2, STEP), 6).tolist()
    points = dict.fromkeys([(a, f) for a in steps for f in steps])
    points.update(dict.fromkeys(further))
    points.pop((1.0, 1.0), None)
    return np.array([*points, (1.0, 1.0)], dtype=np.float64)


def fit_surface(
    observations: Observations,
    like: Recipe,
    *,
    further: list[Knobs],
    draws: int = 600,
    seed: int = 0,
    about: About = "new-problems",
) -> Surface:
    """Fit the surfaces to the search problems, on the lattice and at further points.

    Args:
        observations: the study's rollouts; held-out problems are left aside.
        like: a recipe of the study's search.
        further: points beside the lattice; those that were asked come along anyway.
        draws: how many draws.
        seed: of the draws; equal stores and seeds give equal draws.
        about: what the means are over.

    Raises:
        CurveError: no recipe of the search has rollouts on search problems.
    """
    mine = knob_family(observations.recipes, like)
    both = [recipe.knobs or (0.0, 0.0) for recipe in observations.recipes]
    asked = [both[i] for i in mine if both[i][0] != both[i][1]]
    points = lattice([*further, *asked])
    places = np.array(both, dtype=np.float64).reshape(-1, 2)
    curves = fit_at(observations, mine, places, points, draws=draws, seed=seed, about=about)
    return Surface(points, curves)
