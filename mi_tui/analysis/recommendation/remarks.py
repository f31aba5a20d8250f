"""Remarks on an answer: a probe too hard or too easy, no difference in score, idle limits."""

import numpy as np

from mi_tui.analysis.observations import Observations
from mi_tui.analysis.recommendation.decision import Decision, no_difference
from mi_tui.analysis.results import Remark
from mi_tui.analysis.statistics.curve import Curves

FLOOR, CEILING = 0.05, 0.95
NOT_SCORED_WARNING, NOT_SCORED_LIMIT = 0.01, 0.05
_SURE = 0.9


def highest_score(curves: Curves) -> float:
    """What the score of no λ exceeds, with a probability of 90 %."""
    return float(np.quantile(curves.score.max(axis=1), _SURE))


def lowest_score(curves: Curves) -> float:
    """What the score of every λ exceeds, with a probability of 90 %."""
    return float(np.quantile(curves.score.min(axis=1), 1 - _SURE))


def on_the_floor(curves: Curves) -> bool:
    """Whether hardly any problem is solved at any λ: what remains are differences of luck."""
    return highest_score(curves) <= FLOOR


def share_not_scored(observations: Observations) -> float:
    """The share of responses that could not be scored, held-out problems included."""
    return float(observations.not_scored.mean()) if len(observations) else 0.0


def remarks(observations: Observations, curves: Curves, decision: Decision) -> tuple[Remark, ...]:
    """What is to be known of a decision beside its numbers, the gravest first."""
    missing = share_not_scored(observations)
    if missing > NOT_SCORED_LIMIT:
        return ("not-scored",)
    if on_the_floor(curves):
        return ("floor",)
    found: list[Remark] = ["some-not-scored"] if missing > NOT_SCORED_WARNING else []
    if lowest_score(curves) >= CEILING:
        found.append("ceiling")
    if decision.feasible:
        if not decision.logarithmic:
            found += _on_the_score(curves, decision)
        if decision.lambda_ == 1.0 and "no-difference" not in found:
            found.append("thinking-best")
    if _above_every_cap(observations, decision):
        found.append("limit-above-cap")
    return tuple(found)


def _on_the_score(curves: Curves, decision: Decision) -> tuple[Remark, ...]:
    allowed = decision.probability >= decision.question.budget.confidence
    shortest = int(np.where(allowed, curves.tokens.mean(axis=0), np.inf).argmin())
    if allowed.sum() > 1 and decision.chosen == shortest and no_difference(curves, allowed):
        return ("no-difference",)
    return ("shortest-alike",) if decision.chosen != decision.promising else ()


def _above_every_cap(observations: Observations, decision: Decision) -> bool:
    return any(
        limit.axis == "tokens" and limit.limit >= _largest_cap(observations, limit.probe)
        for limit in decision.question.budget.limits
    )


def _largest_cap(observations: Observations, probe: str | None) -> float:
    caps = [
        row.cap for row in observations.problems if not row.held_out and probe in (None, row.probe)
    ]
    return float(max(caps, default=np.inf))
