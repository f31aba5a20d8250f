"""The fewest tokens for a score of at least so much."""

import math
from typing import TYPE_CHECKING

from mi_tui.analysis.recommendation.goals import fewest_tokens, hundredths
from mi_tui.analysis.recommendation.objective import CurveObjective, Goal, Margin, Question
from mi_tui.plan.objective import OBJECTIVES, Limit

if TYPE_CHECKING:
    from mi_tui.analysis.results import Recommendation
    from mi_tui.analysis.statistics.cells import Floats
    from mi_tui.analysis.statistics.curve import Curves


class FewestTokensForScore(CurveObjective):
    """The shortest responses while the score reaches a number from 0 to 1."""

    name = "fewest-tokens-for-score"
    order = 4
    title = "Fewest tokens for a score"
    summary = "a score that must be reached"
    words = "fewest tokens for a score of at least {limit:.1%}"
    limit = Limit(
        "score",
        ">=",
        unit="% correct",
        default=0.8,
        most=1.0,
        percent=True,
        axis="score",
        words="a score of at least {limit:.1%}",
    )
    aim = "tokens"

    def goal(self, curves: "Curves") -> Goal:
        """Few tokens."""
        return fewest_tokens(curves)

    def margin(self, question: Question) -> Margin:
        """The score minus the one that is wanted."""
        import numpy as np

        points = len(question.curves.lambdas)
        values = np.asarray(question.curves.score - question.limit, dtype=np.float64)
        return Margin(values, np.eye(points), np.zeros(points), question.limit)

    def measure(self, question: Question) -> "Floats":
        """The score."""
        return question.curves.score

    def nearest_limit(self, question: Question) -> float | None:
        """The best score that is surely reached, down to a tenth of a per cent."""
        from mi_tui.analysis.recommendation.decision import surely_reached

        best = surely_reached(question.curves.score, question).max()
        return math.floor(1000 * best) / 1000 if math.isfinite(best) else None

    def useful_limits(self, answer: "Recommendation") -> tuple[float, ...]:
        """From the lowest to the highest score of the curve."""
        scores = [point.value for point in answer.curve.score]
        return hundredths(min(scores), max(scores))


OBJECTIVES.register(FewestTokensForScore())
