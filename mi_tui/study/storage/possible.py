"""Bounds of stored numbers: those beyond them, in a file of others, are not computed with."""

import math
from collections.abc import Mapping
from typing import Any

from mi_tui.analysis.results import Estimate, Recommendation

SAMPLES = 10_000
"""Samples that can be asked of one problem under one recipe."""

MOST = 1 << 48
"""More than any study counts of anything; sums of such numbers are still exact."""

OVER_CAP = 4
"""How many times the cap a response's tokens may be counted: other versions may have counted
otherwise."""


def count(name: str, value: Any, most: int = MOST) -> int:
    """A number of things.

    Raises:
        ValueError: it is none, or cannot be; the message names it.
    """
    found = int(value)
    if isinstance(value, bool) or found != value or not 0 <= found <= most:
        raise ValueError(f"{name} is {value!s:.40}, not a count")
    return found


def amount(name: str, value: Any) -> float:
    """A number of at least 0, such as seconds.

    Raises:
        ValueError: it is none; the message names it.
    """
    found = float(value)
    if not (math.isfinite(found) and 0.0 <= found <= MOST):
        raise ValueError(f"{name} is {found:g}, not an amount")
    return found


def positive(name: str, value: Any) -> float:
    """A finite number above 0.

    Raises:
        ValueError: it is none; the message names it.
    """
    found = float(value)
    if not 0 < found < math.inf:
        raise ValueError(f"{name} is {found:g}")
    return found


def require_rollout(row: Mapping[str, Any], recipes: int, problems: int) -> None:
    """See that a rollout's row has numbers where numbers belong, as the store has written it.

    Raises:
        ValueError: it does not, or its recipe or problem is none.
    """
    count("a recipe", row["recipe"], recipes - 1)
    count("a problem", row["problem"], problems - 1)
    for name in ("id", "sample", "tokens", "think_tokens"):
        count(name, row[name])
    amount("seconds", row["seconds"])
    if row["score"] is not None:
        amount("score", row["score"])


def impossible_answer(answer: Recommendation) -> str:
    """What of a stored recommendation cannot be, in a few words; empty where all can."""
    shares = {
        "lambda_low": answer.lambda_low,
        "lambda_high": answer.lambda_high,
        "probability": answer.probability,
        "not_scored": answer.not_scored,
    }
    shares |= {f"λ {at} of the curve": each for at, each in enumerate(answer.curve.lambdas)}
    for name, share in shares.items():
        if not 0.0 <= share <= 1.0:
            return f"{name} is {share:g}, not from 0 to 1"
    confirmation = answer.confirmation
    for name, score in (
        ("score", answer.score),
        ("think_ratio", answer.think_ratio),
        *(("a score of the curve", each) for each in answer.curve.score),
        *(("a think ratio of the curve", each) for each in answer.curve.think_ratio),
        *(("an alternative's score", each.score) for each in answer.alternatives),
        ("the confirmed score", confirmation.score if confirmation else None),
        ("the rival's score", confirmation.rival_score if confirmation else None),
    ):
        if score is not None and not _is_within(score, 1.0):
            return f"{name} is {score.value:g} ({score.low:g} to {score.high:g})"
    for name, tokens in (
        ("tokens", answer.tokens),
        ("seconds", answer.seconds),
        *(("tokens of the curve", each) for each in answer.curve.tokens),
        *(("an alternative's tokens", each.tokens) for each in answer.alternatives),
        ("the confirmed tokens", confirmation.tokens if confirmation else None),
    ):
        if tokens is not None and not _is_within(tokens, float(MOST)):
            return f"{name}: {tokens.value:g} ({tokens.low:g} to {tokens.high:g})"
    for name, amount_ in (
        ("expected_loss", answer.expected_loss),
        ("more_rollouts", answer.more_rollouts),
        ("more_seconds", answer.more_seconds),
    ):
        if amount_ is not None and not 0.0 <= amount_ <= MOST:
            return f"{name} is {amount_:g}"
    return ""


def _is_within(estimate: Estimate, most: float) -> bool:
    """Whether an estimate lies between 0 and ``most``, and its interval is one and is near."""
    slack = 1e-6  # of rounding
    ends = -most <= estimate.low <= estimate.high <= 2 * most
    return ends and -slack <= estimate.value <= most + slack
