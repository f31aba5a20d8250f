"""The highest score within a number of tokens per response."""

import math
from typing import TYPE_CHECKING

from mi_tui.analysis.recommendation.goals import highest_score, logarithmic_steps, token_range
from mi_tui.analysis.recommendation.objective import CurveObjective, Goal, Margin, Question
from mi_tui.plan.objective import OBJECTIVES, Limit

if TYPE_CHECKING:
    from mi_tui.analysis.results import Recommendation
    from mi_tui.analysis.statistics.cells import Floats
    from mi_tui.analysis.statistics.curve import Curves


class ScoreWithinTokens(CurveObjective):
    """The highest score while the mean or the 95th percentile of the tokens keeps a limit."""

    name = "score-within-tokens"
    order = 2
    title = "Best score within tokens"
    summary = "a limit on response length"
    words = "highest score within {limit:g} tokens {held}"
    limit = Limit(
        "tokens",
        "<=",
        unit="tokens per response",
        default=2000,
        axis="tokens",
        words="at most {limit:g} tokens {held}",
    )
    takes_statistic = True

    def goal(self, curves: "Curves") -> Goal:
        """The score."""
        return highest_score(curves)

    def margin(self, question: Question) -> Margin:
        """The logarithm of the limit minus that of the tokens."""
        import numpy as np

        points = len(question.curves.lambdas)
        values = np.asarray(math.log(question.limit) - np.log(question.tokens), dtype=np.float64)
        return Margin(values, np.zeros((points, points)), -np.ones(points))

    def measure(self, question: Question) -> "Floats":
        """The tokens."""
        return question.tokens

    def nearest_limit(self, question: Question) -> float | None:
        """The limit moved by the best margin that is surely reached, up to whole tokens."""
        from mi_tui.analysis.recommendation.decision import surely_reached

        best = surely_reached(self.margin(question).values, question).max()
        return float(math.ceil(question.limit * math.exp(-best))) if math.isfinite(best) else None

    def useful_limits(self, answer: "Recommendation") -> tuple[float, ...]:
        """From the shortest to the longest responses of the curve."""
        return logarithmic_steps(*token_range(answer))


OBJECTIVES.register(ScoreWithinTokens())
