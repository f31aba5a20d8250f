"""The knee of the curve of score against tokens."""

from typing import TYPE_CHECKING

from mi_tui.analysis.recommendation.objective import CurveObjective, Goal
from mi_tui.plan.objective import OBJECTIVES

if TYPE_CHECKING:
    from mi_tui.analysis.statistics.curve import Curves


class Knee(CurveObjective):
    """The λ where more tokens stop buying score; no limit."""

    name = "knee"
    order = 1
    title = "The knee"
    summary = "where more tokens stop buying score"
    words = "the knee: where more tokens stop buying score"
    trades = True

    def goal(self, curves: "Curves") -> Goal:
        """The score minus the price of the tokens, in score.

        Over the whole curve, from its shortest to its longest responses, tokens cost as much as
        there is score to win: the knee is where the curve of score against tokens lies farthest
        above its chord (Satopää et al., "Finding a Kneedle in a Haystack", 2011).
        """
        import numpy as np

        tokens = curves.tokens.mean(axis=0)
        price = _price(curves)
        utility = curves.score - price * (curves.tokens - float(tokens.min()))
        return Goal(np.asarray(utility), np.ones(len(tokens)), -(price * tokens))


def _price(curves: "Curves") -> float:
    """The score that one token costs at the knee."""
    import numpy as np

    score, tokens = curves.score.mean(axis=0), curves.tokens.mean(axis=0)
    return float(np.ptp(score) / max(float(np.ptp(tokens)), 1e-9))


OBJECTIVES.register(Knee())
