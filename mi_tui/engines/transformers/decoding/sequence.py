"""A sequence: a request, the weights it needs, and its tokens so far."""

import time
from dataclasses import dataclass, field

from mi_tui.engines.protocol import Request

_SIGN = 1 << 63


@dataclass(slots=True)
class Sequence:
    """A request while it is queued or running.

    ``recipe`` is the number of the request's weights. ``tokens`` holds what was generated before
    the sequence last left the batch: a sequence that had to give way goes on where it was, because
    its random numbers depend on its seed and position alone. ``parked`` marks the last few
    sequences of a recipe that gave way to the next recipe.
    """

    request: Request
    recipe: int
    tokens: list[int] = field(default_factory=list)
    joined: float | None = None
    parked: bool = False

    @property
    def alone(self) -> bool:
        """Whether the recipe cannot share a batch with others.

        A baseline is not linear in λ, another backbone is not of the pair, and rounding to the
        export's dtype needs the mixed weights themselves.
        """
        return self.request.as_exported or not self.request.recipe.is_of_the_pair

    @property
    def length(self) -> int:
        """The number of token ids to read before the next one can be drawn."""
        return len(self.request.prompt) + len(self.tokens)

    @property
    def end(self) -> int:
        """The length at which it has reached its cap."""
        return len(self.request.prompt) + self.request.max_new_tokens

    @property
    def context(self) -> tuple[int, ...]:
        """The token ids to read before the next one can be drawn."""
        return (*self.request.prompt, *self.tokens)

    @property
    def seed(self) -> int:
        """The request's seed as a signed 64-bit integer."""
        return ((self.request.seed + _SIGN) % (1 << 64)) - _SIGN

    def join(self) -> None:
        """Note the time of joining the batch, once."""
        if self.joined is None:
            self.joined = time.perf_counter()

    @property
    def seconds(self) -> float:
        """The time since joining the batch."""
        return time.perf_counter() - self.joined if self.joined is not None else 0.0


@dataclass(frozen=True, slots=True)
class Finished:
    """A sequence that reached its end token or its cap, with all tokens, end token included."""

    sequence: Sequence
    tokens: tuple[int, ...]
    stopped: bool
    seconds: float
