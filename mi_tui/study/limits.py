"""How much a study may spend, has spent, and can still afford."""

import math
from dataclasses import dataclass

from mi_tui.plan.preset import Search
from mi_tui.study.observations import Observations


@dataclass(frozen=True, slots=True)
class Spent:
    """What the stored rollouts have cost; ``seconds`` is working time, pauses left out."""

    rollouts: int = 0
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a search, translated into rollouts at the mean cost so far.

    ``rollouts_in_all`` is how many rollouts the study can have from its start to its end,
    ``None`` without limits or before the cost is known; ``rollouts_left`` what of them is
    neither stored nor in flight. ``exhausted`` names the limit that is spent, or is empty.
    """

    rollouts_in_all: int | None
    rollouts_left: int | None
    exhausted: str
    unknown_cost: bool

    @classmethod
    def of(
        cls, search: Search, spent: Spent, observations: Observations, in_flight: int
    ) -> "Limits":
        """The state of the limits."""
        exhausted = ""
        totals: list[int] = []
        stored = len(observations)
        unknown = False
        if search.max_rollouts is not None:
            totals.append(search.max_rollouts)
            if spent.rollouts >= search.max_rollouts:
                exhausted = f"the limit of {search.max_rollouts:,} rollouts is reached"
        if search.max_tokens is not None:
            if spent.tokens >= search.max_tokens:
                exhausted = f"the limit of {search.max_tokens:,} tokens is reached"
            if stored and spent.tokens:
                totals.append(int(search.max_tokens * stored / spent.tokens))
            else:
                unknown = True
        if search.max_minutes is not None:
            if spent.seconds >= 60 * search.max_minutes:
                exhausted = f"the limit of {search.max_minutes:g} minutes is reached"
            if stored and spent.seconds > 0:
                totals.append(int(60 * search.max_minutes * stored / spent.seconds))
            else:
                unknown = True
        in_all = min(totals, default=None)
        left = None if in_all is None else max(in_all - stored - in_flight, 0)
        return cls(in_all, left, exhausted, unknown)

    def left_before(self, reserve: float) -> int | None:
        """How many rollouts are left before the reserve, a share of the whole, is touched."""
        if self.rollouts_in_all is None or self.rollouts_left is None:
            return None
        return max(self.rollouts_left - math.ceil(reserve * self.rollouts_in_all), 0)

    def at_most(self, count: int) -> int:
        """So many, or what is left if that is fewer."""
        return count if self.rollouts_left is None else min(count, self.rollouts_left)
