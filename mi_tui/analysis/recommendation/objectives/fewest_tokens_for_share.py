"""The fewest tokens for at least a share of Thinking's score."""

import math
from typing import TYPE_CHECKING

from mi_tui.analysis.recommendation.goals import fewest_tokens, hundredths
from mi_tui.analysis.recommendation.objective import CurveObjective, Goal, Margin, Question
from mi_tui.plan.objective import OBJECTIVES, Limit

if TYPE_CHECKING:
    from mi_tui.analysis.results import Recommendation
    from mi_tui.analysis.statistics.cells import Floats
    from mi_tui.analysis.statistics.curve import Curves


class FewestTokensForShare(CurveObjective):
    """The shortest responses while the score reaches a share, from 0 to 1, of Thinking's.

    No nearest limit is named where it is the only one: Thinking itself reaches every share.
    """

    name = "fewest-tokens-for-share-of-thinking"
    order = 5
    title = "Fewest tokens for a share"
    summary = "a share of Thinking's score"
    words = "fewest tokens for at least {limit:.0%} of Thinking's score"
    limit = Limit(
        "score",
        ">=",
        unit="% of Thinking's score",
        default=0.95,
        most=1.0,
        percent=True,
        short_percent=True,
        words="at least {limit:.0%} of Thinking's score",
    )
    aim = "tokens"
    remark = "of Thinking"

    def goal(self, curves: "Curves") -> Goal:
        """Few tokens."""
        return fewest_tokens(curves)

    def margin(self, question: Question) -> Margin:
        """The score minus the share of the same draw's score at λ = 1, the last point."""
        import numpy as np

        score, share = question.curves.score, question.limit
        points = score.shape[1]
        values = np.asarray(score - share * score[:, -1:], dtype=np.float64)
        by_score = np.eye(points)
        by_score[:, -1] -= share
        return Margin(values, by_score, np.zeros(points), share * float(score[:, -1].mean()))

    def measure(self, question: Question) -> "Floats":
        """The score as a share of the same draw's at λ = 1."""
        import numpy as np

        score = question.curves.score
        return np.asarray(score / np.maximum(score[:, -1:], 1e-9), dtype=np.float64)

    def nearest_limit(self, question: Question) -> float | None:
        """The best share that is surely reached within the other limits, in whole per cent."""
        from mi_tui.analysis.recommendation.decision import surely_reached

        if question.kept is None:
            return None
        best = surely_reached(self.measure(question), question).max()
        return min(math.floor(100 * best) / 100, 1.0) if math.isfinite(best) else None

    def useful_limits(self, answer: "Recommendation") -> tuple[float, ...]:
        """From half of Thinking's score to all of it."""
        del answer
        return hundredths(0.5, 1.0)


OBJECTIVES.register(FewestTokensForShare())
