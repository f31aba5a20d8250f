"""The sentence of a recommendation."""

from mi_tui.analysis.recommendation.objective import objective_of
from mi_tui.analysis.recommendation.verdict import Certainty
from mi_tui.analysis.results import Estimate, Recommendation


def answer(found: Recommendation, certainty: Certainty) -> str:
    """The answer in one sentence: λ, what it gives, how sure that is, what is missing."""
    objective = objective_of(found.budget)
    parts = [f"{objective.claim(found)}: {_measures(found)}"]
    if objective.limit is not None:
        parts.append(f"it keeps the limit with probability {_share(found.probability)}")
    parts.append(_against_thinking(found))
    if certainty is Certainty.NO_MORE_TO_LEARN:
        parts.append(_caution(found))
    if not found.resolved:
        parts.append(_missing(found))
    return "; ".join(parts) + "."


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
