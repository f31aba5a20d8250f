"""The highest score within a number of seconds per response."""

import math
from typing import TYPE_CHECKING

from mi_tui.analysis.recommendation.goals import highest_score, logarithmic_steps, token_range
from mi_tui.analysis.recommendation.objective import CurveObjective, Goal, Margin, Question
from mi_tui.plan.objective import OBJECTIVES, Limit

if TYPE_CHECKING:
    from mi_tui.analysis.results import Recommendation
    from mi_tui.analysis.statistics.cells import Floats
    from mi_tui.analysis.statistics.curve import Curves


class ScoreWithinSeconds(CurveObjective):
    """The highest score while the mean or the 95th percentile of the seconds keeps a limit."""

    name = "score-within-seconds"
    order = 3
    title = "Best score within seconds"
    summary = "a limit on latency"
    words = "highest score within {limit:g} s {held}"
    limit = Limit(
        "seconds",
        "<=",
        unit="seconds per response",
        default=30,
        axis="seconds",
        words="at most {limit:g} s {held}",
    )
    takes_statistic = True
    needs_speed = True

    @property
    def example(self) -> str:
        """With the statistic that a latency is mostly held to."""
        return "p95 seconds<=30"

    def goal(self, curves: "Curves") -> Goal:
        """The score."""
        return highest_score(curves)

    def margin(self, question: Question) -> Margin:
        """The logarithm of the limit minus that of the seconds, the speed's error drawn too.

        The derivative takes the seconds as proportional to the tokens.

        Raises:
            DecisionError: no speed is known.
        """
        import numpy as np

        from mi_tui.analysis.recommendation.decision import DecisionError

        latency, tokens = question.latency, question.tokens
        if latency is None:
            raise DecisionError(
                "a budget in seconds needs the speed of the merged model: measure it or give your"
                " server's time to first token and per output token"
            )
        points = len(question.curves.lambdas)
        errors = np.random.default_rng(question.seed).standard_normal((len(tokens), 1))
        spread = np.exp(errors * latency.relative_error / 1.96)
        seconds = latency.seconds_of(tokens) * spread
        values = np.asarray(math.log(question.limit) - np.log(seconds), dtype=np.float64)
        return Margin(values, np.zeros((points, points)), -np.ones(points))

    def measure(self, question: Question) -> "Floats":
        """The seconds, the speed's error drawn too."""
        import numpy as np

        inside = self.margin(question).values
        return np.asarray(question.limit * np.exp(-inside), dtype=np.float64)

    def nearest_limit(self, question: Question) -> float | None:
        """The limit moved by the best margin that is surely reached, up to three digits."""
        from mi_tui.analysis.recommendation.decision import surely_reached

        best = surely_reached(self.margin(question).values, question).max()
        return _rounded_up(question.limit * math.exp(-best)) if math.isfinite(best) else None

    def useful_limits(self, answer: "Recommendation") -> tuple[float, ...]:
        """From the shortest to the longest responses of the curve, at the answer's speed."""
        if answer.seconds is None:
            return ()
        least, most = token_range(answer)
        speed = answer.seconds.value / answer.tokens.value
        return logarithmic_steps(least * speed, most * speed)


def _rounded_up(value: float) -> float:
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return float(f"{math.ceil(value / unit) * unit:.6g}")


OBJECTIVES.register(ScoreWithinSeconds())
