"""Limits of a study: tokens and time it may spend, has spent, and can still afford."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mi_tui.analysis.observations import Observations
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.search import Search


@dataclass(frozen=True, slots=True)
class Spent:
    """What the stored rollouts have cost; ``seconds`` is working time, pauses left out."""

    rollouts: int = 0
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a search, translated into rollouts at the mean cost so far.

    ``by_count`` is the limit of rollouts; ``by_cost`` how many rollouts the limits of tokens and
    minutes allow from the study's start to its end, 0 before any cost is known. Either is
    ``None`` without such a limit. ``asked`` counts what is stored or in flight. ``nearest`` says
    in words which limit is the nearest, and how near; ``exhausted`` is the same once it is spent,
    and empty before.
    """

    by_count: int | None
    by_cost: int | None
    asked: int
    exhausted: str
    nearest: str = ""

    @classmethod
    def of(
        cls, search: Search, spent: Spent, observations: Observations, in_flight: int
    ) -> "Limits":
        """The state of the limits."""
        stored = len(observations)
        costs = [
            (search.max_tokens, float(spent.tokens), "tokens"),
            (search.max_minutes, spent.seconds / 60, "minutes"),
        ]
        share, nearest = max(
            (
                (cost / limit, f"max_{unit} reached ({_amount(cost)} of {_amount(limit)})")
                for limit, cost, unit in [(search.max_rollouts, spent.rollouts, "rollouts"), *costs]
                if limit is not None
            ),
            default=(0.0, ""),
        )
        affordable = [
            int(limit * stored / cost) if cost > 0 else 0
            for limit, cost, _ in costs
            if limit is not None
        ]
        return cls(
            search.max_rollouts,
            min(affordable, default=None),
            stored + in_flight,
            nearest if share >= 1 else "",
            nearest,
        )

    @property
    def in_all(self) -> int | None:
        """How many rollouts the study can have; ``None`` without limits or known costs."""
        return min((limit for limit in (self.by_count, self.by_cost) if limit), default=None)

    def left_before(self, reserve: float) -> int | None:
        """How many rollouts are left before the reserve, a share of the whole, is touched."""
        in_all = self.in_all
        if in_all is None:
            return None
        return max(in_all - self.asked - math.ceil(reserve * in_all), 0)

    def at_most(self, count: int) -> int:
        """So many, or what is left if that is fewer."""
        left = self.left_before(0.0)
        return count if left is None else min(count, left)

    def each(self, recipes: Sequence[Recipe], observations: Observations) -> int | None:
        """How many rollouts each recipe could have if all were spent on these recipes evenly.

        0 while their cost is not known, ``None`` without limits.
        """
        found = [] if self.by_count is None else [self.by_count // len(recipes)]
        if self.by_cost is not None:
            wanted = [i for i, recipe in enumerate(observations.recipes) if recipe in recipes]
            means = [observations.tokens[observations.recipe == i] for i in wanted]
            costs = [tokens.mean() for tokens in means if len(tokens)]
            scale = 0.0
            if costs and np.mean(costs) > 0:
                scale = float(observations.tokens.mean() / np.mean(costs))
            found.append(int(scale * self.by_cost / len(recipes)))
        return min(found, default=None)


def _amount(number: float) -> str:
    """A count or some minutes: ``1,344``, ``2.5``."""
    return f"{number:,.1f}".removesuffix(".0")
