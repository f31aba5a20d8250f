"""The sentence of a recommendation."""

import math
from collections.abc import Callable

from mi_tui.analysis.recommendation.objective import objective_of
from mi_tui.analysis.recommendation.remarks import highest_score, lowest_score
from mi_tui.analysis.recommendation.verdict import Certainty, Verdict
from mi_tui.analysis.results import CapComparison, Estimate, LimitOutcome, Recommendation, Remark
from mi_tui.text.percent import percent, percent_range

_NO_GAIN = 5e-4
"""A gain of score, or of tokens as a share, below which loosening a limit gives nothing."""


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
            f"{percent(found.not_scored, 1)} of the responses could not be scored and are left out"
        )
    if found.budget.limits:
        limits = _limits_said(found)
        parts.append(f"it meets {limits} with a probability of {_sure(found.probability)}")
        parts += _each_limit(found)
    if found.lambda_ != 1.0:
        parts.append(_against_thinking(found))
    if found.against_caps:
        parts.append(_against_the_cap(found))
    if certainty is Certainty.NO_MORE_TO_LEARN:
        parts.append(_caution(found))
    if not found.resolved:
        parts.append(_missing(found))
    return "; ".join(parts) + "."


def _nothing(verdict: Verdict) -> str:
    most = highest_score(verdict.curves)
    return (
        f"nothing is recommended: no λ solves more than {percent(most, 1)} of the problems, too"
        " few to compare λ by; choose an easier probe, or a larger token cap if many responses are"
        " cut."
    )


def _not_scored(found: Recommendation) -> str:
    return (
        f"nothing is recommended: {percent(found.not_scored, 1)} of the responses could not be"
        " scored; mi-tui log has the reasons"
    )


def _ceiling(verdict: Verdict, tolerance: float) -> str:
    del tolerance
    least = lowest_score(verdict.curves)
    return (
        f"every λ solves at least {percent(least, 1)} of the problems: this probe is too easy to"
        " compare λ by, and a harder one may need another λ"
    )


def _no_difference(verdict: Verdict, tolerance: float) -> str:
    del tolerance
    limits = verdict.decision.question.budget.limits
    which = f"the λ that meet the limit{'s' * (len(limits) > 1)}" if limits else "all λ"
    return f"no significant difference between the scores of {which}, so this is the shortest"


def _shortest_alike(verdict: Verdict, tolerance: float) -> str:
    curves, decision = verdict.curves, verdict.decision
    other = float(curves.lambdas[decision.promising])
    saved = 1 - float(
        (curves.tokens[:, decision.chosen] / curves.tokens[:, decision.promising]).mean()
    )
    return (
        f"λ = {other:.2f} may score up to {100 * tolerance:.2g} points more, no significant"
        f" difference, so this is the shortest of such λ, with {percent(saved)} fewer tokens"
    )


def _above_cap(verdict: Verdict, tolerance: float) -> str:
    del tolerance
    several = len(verdict.decision.question.budget.limits) > 1
    limit = "a limit on tokens" if several else "the limit"
    return f"{limit} is not below the token cap, so every response meets it"


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
        f"score {percent_range(score.value, score.low, score.high)},"
        f" {tokens.value:,.0f} tokens ({tokens.low:,.0f} – {tokens.high:,.0f})"
    )
    if found.seconds is not None:
        text += f", {found.seconds.value:.3g} s"
    return text


def _against_thinking(found: Recommendation) -> str:
    saved, given_up = found.tokens_saved, found.score_given_up
    cost = f"{percent(abs(saved.value))} {'fewer' if saved.value >= 0 else 'more'} tokens"
    points = 100 * abs(given_up.value)
    if _includes_zero(given_up):
        gain = "no significant difference from Thinking's score"
    else:
        side = "below" if given_up.value > 0 else "above"
        gain = f"{points:.1f} points {side} Thinking's score"
    return f"{cost} than Thinking, {gain}"


def _includes_zero(estimate: Estimate) -> bool:
    return estimate.low <= 0.0 <= estimate.high


def _caution(found: Recommendation) -> str:
    """What the confidence costs on so few problems; only more problems reduce it."""
    objective, budget = objective_of(found.budget), found.budget
    loss = objective.loss_in_words(found.expected_loss)
    if not budget.limits:
        return f"it may be about {loss} from the best; more problems would reduce that"
    sure = percent(budget.confidence)
    limits = _limits_said(found)
    return f"meeting {limits} with {sure} confidence costs about {loss}; more problems reduce it"


def _limits_said(found: Recommendation) -> str:
    count = len(found.budget.limits)
    return "the limit" if count < 2 else "both limits" if count == 2 else f"all {count} limits"


def _each_limit(found: Recommendation) -> list[str]:
    """Which of several limits binds and what loosening each gives, or what each alone would."""
    if len(found.limits) < 2:
        return []
    if not found.feasible:
        return [f"alone, {'; '.join(_alone(limit) for limit in found.limits)}"]
    binding = [limit for limit in found.limits if limit.binds]
    if not binding:
        return ["no limit binds: without any of them the choice would be the same"]
    ordered = [*binding, *(limit for limit in found.limits if not limit.binds)]
    return [f"{binding[0].limit} binds: {', '.join(_loosened(found, one) for one in ordered)}"]


def _alone(limit: LimitOutcome) -> str:
    alone = limit.alone
    assert alone is not None
    gives = f"λ = {alone.lambda_:.2f} with {percent(alone.score.value, 1)}"
    gives += f" and {alone.tokens.value:,.0f} tokens"
    return f"{limit.limit} {'gives' if alone.feasible else 'is not surely kept either:'} {gives}"


def _loosened(found: Recommendation, limit: LimitOutcome) -> str:
    if limit.gain < _NO_GAIN:
        return f"{limit.loosened} would give nothing"
    objective = objective_of(found.budget)
    more = objective.loss_in_words(limit.gain)
    gives = f"save {more}" if objective.aim == "tokens" else f"give {more} more"
    return f"{limit.loosened} would {gives} (λ = {limit.loosened_lambda:.2f})"


def _against_the_cap(found: Recommendation) -> str:
    """The capped row whose length is nearest to the answer's."""

    def apart(one: CapComparison) -> float:
        return abs(math.log(max(one.tokens.value, 1.0) / max(found.tokens.value, 1.0)))

    return min(found.against_caps, key=apart).sentence


def _sure(probability: float) -> str:
    """A probability from draws, which cannot show that something is certain."""
    return "more than 99 %" if probability > 0.99 else percent(probability)


def _missing(found: Recommendation) -> str:
    text = f"not settled: about {found.more_rollouts:,} more rollouts"
    if found.more_seconds is not None:
        minutes = found.more_seconds / 60
        text += f" ({minutes:.0f} minutes)" if minutes >= 1.5 else f" ({found.more_seconds:.0f} s)"
    return text + " would settle it"
