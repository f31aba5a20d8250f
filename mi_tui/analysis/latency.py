"""Latency: seconds of a response from its tokens, by measured or given speed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.results import Estimate, LatencyPoint
from mi_tui.errors import MiTuiError
from mi_tui.plan.engine import ServerSpeed

GIVEN = "your server"
"""What a study keeps as the machine of a speed that was not measured but given."""


class LatencyError(MiTuiError):
    """Speeds that no server can have."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds of a response: time to first token, then so much per token.

    Times are in seconds. Each token that was written before adds ``time_per_context_token`` to
    the time of the next (attention). ``relative_error`` is the half-width of a 95 % interval of the
    measured speed, as a share of it; it widens every interval in seconds.
    """

    time_to_first_token: float
    time_per_output_token: float
    concurrency: int = 1
    relative_error: float = 0.05
    time_per_context_token: float = 0.0

    def __post_init__(self) -> None:
        if self.time_per_output_token <= 0 or self.time_to_first_token < 0:
            raise LatencyError(
                "the time per output token must be above 0 s and the time to first token"
                " at least 0 s: give the figures of your server"
            )

    def seconds(self, tokens: float) -> float:
        """The seconds of a response of so many tokens."""
        return float(self.seconds_of(np.asarray(tokens, dtype=np.float64)))

    def seconds_of(self, tokens: NDArray[np.float64]) -> NDArray[np.float64]:
        """The seconds of responses of so many tokens each, of any shape."""
        steps = np.maximum(tokens - 1.0, 0.0)
        context = 0.5 * self.time_per_context_token * steps * np.maximum(tokens, 0.0)
        return np.asarray(self.time_to_first_token + self.time_per_output_token * steps + context)

    def tokens(self, seconds: float) -> float:
        """The tokens that fit into so many seconds: the inverse of :meth:`seconds`, or 0."""
        left = seconds - self.time_to_first_token
        if left < 0:
            return 0.0
        # With s steps after the first token: left = each · s + context · s (s + 1) / 2.
        half = 0.5 * self.time_per_context_token
        each = self.time_per_output_token + half
        return 1.0 + 2.0 * left / (each + math.sqrt(each * each + 4.0 * half * left))

    def project(self, tokens: Estimate) -> Estimate:
        """An estimate of tokens as one of seconds, the error of the speed added."""
        value = self.seconds(tokens.value)
        error = (self.relative_error * value) ** 2
        below = (value - self.seconds(tokens.low)) ** 2
        above = (self.seconds(tokens.high) - value) ** 2
        return Estimate(
            value=value,
            low=max(value - (below + error) ** 0.5, 0.0),
            high=value + (above + error) ** 0.5,
        )


def latency_from_points(points: Sequence[LatencyPoint], concurrency: int = 1) -> Latency | None:
    """The latency at a concurrency, interpolated between measured ones; ``None`` without any.

    Outside the measured range the nearest point holds.
    """
    if not points:
        return None
    ordered = sorted(points, key=lambda point: point.concurrency)
    below = [p for p in ordered if p.concurrency <= concurrency] or ordered[:1]
    above = [p for p in ordered if p.concurrency >= concurrency] or ordered[-1:]
    first, second = below[-1], above[0]
    span = second.concurrency - first.concurrency
    share = (concurrency - first.concurrency) / span if span > 0 else 0.0
    share = min(max(share, 0.0), 1.0)
    return Latency(
        time_to_first_token=first.time_to_first_token
        + share * (second.time_to_first_token - first.time_to_first_token),
        time_per_output_token=first.time_per_output_token
        + share * (second.time_per_output_token - first.time_per_output_token),
        time_per_context_token=first.time_per_context_token
        + share * (second.time_per_context_token - first.time_per_context_token),
        concurrency=concurrency,
    )


def latency_of_server(server: ServerSpeed) -> Latency:
    """The figures of the user's server, taken as exact."""
    return Latency(server.time_to_first_token, server.time_per_output_token, relative_error=0.0)
