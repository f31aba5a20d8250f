"""Tokens and seconds of a budget, one in terms of the other, in words."""

from typing import TYPE_CHECKING

from mi_tui.plan.budget import Budget, Constraint
from mi_tui.plan.engine import ServerSpeed
from mi_tui.present import numbers

if TYPE_CHECKING:
    from mi_tui.analysis.latency import Latency
    from mi_tui.study.known_speeds import KnownSpeed

CONVERTIBLE = ("tokens", "seconds")
"""The axes on which a limit can be said in the other's unit."""


def tokens_and_seconds(
    budget: Budget, server: ServerSpeed | None, known: "KnownSpeed | None"
) -> tuple[str, ...]:
    """What a limit means in the other unit, and whose speed that is, a line each.

    The user's figures come before what an earlier study measured; empty for objectives without
    a limit on tokens or seconds.
    """
    if not any(limit.axis in CONVERTIBLE for limit in budget.limits):
        return ()
    if server is not None:
        from mi_tui.analysis.latency import latency_of_server  # it brings NumPy along

        latency = latency_of_server(server)
        return (*_means(budget, latency), f"{_speed(latency)}: the figures you give.")
    if known is None:
        return ("The speed of a merged model is measured here when the study starts.",)
    lines = [
        *_means(budget, known.latency),
        f"{_speed(known.latency)}: measured in {known.study} on {known.machine}.",
    ]
    busier = [point.concurrency for point in known.points if point.concurrency > 1]
    if busier:
        lines.append(f"With more at once: {', '.join(_at(budget, known, n) for n in busier)}.")
    return tuple(lines)


def _means(budget: Budget, latency: "Latency") -> list[str]:
    return [_said(limit, latency) for limit in budget.limits if limit.axis in CONVERTIBLE]


def _said(limit: Constraint, latency: "Latency") -> str:
    value = limit.limit
    if limit.axis == "tokens":
        return f"{value:,g} tokens take about {numbers.seconds(latency.seconds(value))}."
    tokens = latency.tokens(value)
    if tokens < 1:
        return f"{value:g} s end before the first token."
    return f"{value:g} s hold about {tokens:,.0f} tokens."


def _speed(latency: "Latency") -> str:
    first = numbers.milliseconds(latency.time_to_first_token)
    each = numbers.milliseconds(latency.time_per_output_token)
    return f"{first} to the first token, then {each} each"


def _at(budget: Budget, known: "KnownSpeed", concurrency: int) -> str:
    from mi_tui.analysis.latency import latency_from_points

    latency = latency_from_points(known.points, concurrency) or known.latency
    first = next(limit for limit in budget.limits if limit.axis in CONVERTIBLE)
    limit = first.limit
    if first.axis == "tokens":
        return f"{numbers.seconds(latency.seconds(limit))} at {concurrency}"
    return f"{latency.tokens(limit):,.0f} tokens at {concurrency}"
