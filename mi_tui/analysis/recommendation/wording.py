"""The sentence of a recommendation."""

from collections.abc import Callable

from mi_tui.analysis.recommendation.objective import objective_of
from mi_tui.analysis.recommendation.remarks import highest_score, lowest_score
from mi_tui.analysis.recommendation.verdict import Certainty, Verdict
from mi_tui.analysis.results import Estimate, Recommendation, Remark


def answer(found: Recommendation, verdict: Verdict, tolerance: float) -> str:
    """The answer in one sentence: λ, what it gives, how sure that is, what is missing."""
    if "not-scored" in found.remarks:
        return _not_scored(found)
    if not found.recommended:
        return _nothing(verdict)
    certainty = verdict.certainty
    objective = objective_of(found.budget)
    here = "" if found.budget.about == "new-problems" else ", over these problems themselves"
    parts = [f"{objective.claim(found)}: {_measures(found)}{here}"]
    parts += [_REMARKS[one](verdict, tolerance) for one in found.remarks if one in _REMARKS]
    if "some-not-scored" in found.remarks:
        parts.append(
            f"{found.not_scored:.1%} of the responses could not be scored and count nowhere"
        )
    if objective.limit is not None:
        parts.append(f"it keeps the limit with probability {_share(found.probability)}")
    if found.lambda_ != 1.0:
        parts.append(_against_thinking(found))
    if certainty is Certainty.NO_MORE_TO_LEARN:
        parts.append(_caution(found))
    if not found.resolved:
        parts.append(_missing(found))
    return "; ".join(parts) + "."


def _nothing(verdict: Verdict) -> str:
    most = highest_score(verdict.curves)
    return (
        f"nothing is recommended: no λ solves more than {most:.1%} of the problems, and scores so"
        " near to nothing cannot tell one λ from another; choose an easier probe, or a larger cap"
        " if many responses are cut."
    )


def _not_scored(found: Recommendation) -> str:
    return (
        f"nothing is recommended: {found.not_scored:.1%} of the responses could not be scored,"
        " which says nothing of their answers; mi-tui log has the reasons"
    )


def _ceiling(verdict: Verdict, tolerance: float) -> str:
    del tolerance
    least = lowest_score(verdict.curves)
    return (
        f"every λ solves at least {least:.1%} of the problems, so that this probe is too easy to"
        " tell them apart: a harder one may need another λ"
    )


def _no_difference(verdict: Verdict, tolerance: float) -> str:
    del tolerance
    limited = verdict.decision.question.budget.limit is not None
    which = "the λ that keep the limit" if limited else "all λ"
    return f"the scores of {which} cannot be told apart, so that this is the shortest of them"


def _shortest_alike(verdict: Verdict, tolerance: float) -> str:
    curves, decision = verdict.curves, verdict.decision
    other = float(curves.lambdas[decision.promising])
    saved = 1 - float(
        (curves.tokens[:, decision.chosen] / curves.tokens[:, decision.promising]).mean()
    )
    return (
        f"λ = {other:.2f} promises at most {100 * tolerance:.2g} points more, which cannot be told"
        f" from none, so that this is the shortest within that, with {saved:.0%} fewer tokens"
    )


def _above_cap(verdict: Verdict, tolerance: float) -> str:
    del verdict, tolerance
    return (
        "the limit is not below the token cap, so that it excludes nothing: no response is longer"
    )


def _thinking(verdict: Verdict, tolerance: float) -> str:
    del verdict, tolerance
    return "this is Thinking itself: no mixture does better here"


_REMARKS: dict[Remark, Callable[[Verdict, float], str]] = {
    "ceiling": _ceiling,
    "no-difference": _no_difference,
    "shortest-alike": _shortest_alike,
    "limit-above-cap": _above_cap,
    "thinking-best": _thinking,
}


def _measures(found: Recommendation) -> str:
    score, tokens = found.score, found.tokens
    text = (
        f"score {score.value:.1%} ({score.low:.1%} to {score.high:.1%}),"
        f" {tokens.value:,.0f} tokens ({tokens.low:,.0f} to {tokens.high:,.0f})"
    )
    if found.seconds is not None:
        text += f", {found.seconds.value:.3g} s"
    return text


def _against_thinking(found: Recommendation) -> str:
    saved, given_up = found.tokens_saved, found.score_given_up
    cost = f"{abs(saved.value):.0%} {'fewer' if saved.value >= 0 else 'more'} tokens"
    points = 100 * abs(given_up.value)
    if _includes_zero(given_up):
        gain = "a score that cannot be told from its"
    else:
        gain = f"{points:.1f} points {'less' if given_up.value > 0 else 'more'} score"
    return f"against Thinking: {cost}, {gain}"


def _includes_zero(estimate: Estimate) -> bool:
    return estimate.low <= 0.0 <= estimate.high


def _caution(found: Recommendation) -> str:
    """What being sure on so few problems costs; only more problems lower it."""
    loss = objective_of(found.budget).loss_in_words(found.expected_loss)
    return f"being sure costs about {loss}, which more problems, not more rollouts, would lower"


def _missing(found: Recommendation) -> str:
    text = f"not resolved: about {found.more_rollouts:,} more rollouts"
    if found.more_seconds is not None:
        minutes = found.more_seconds / 60
        text += f" ({minutes:.0f} minutes)" if minutes >= 1.5 else f" ({found.more_seconds:.0f} s)"
    return text + " would do"


def _share(probability: float) -> str:
    return "over 99%" if probability > 0.99 else f"{probability:.0%}"
