"""Records of the store: planned and finished rollouts, and requests."""

from dataclasses import dataclass
from typing import Any, Literal

RequestKind = Literal["pause", "resume", "stop", "add", "more", "drop", "budget"]


@dataclass(frozen=True, slots=True)
class PlannedAsk:
    """A rollout that is planned: the indices of recipe, problem and sample."""

    recipe: int
    problem: int
    sample: int
    round: int


@dataclass(frozen=True, slots=True)
class Rollout:
    """One scored response, as it is stored. ``seconds`` is the time it took to generate."""

    ask: PlannedAsk
    seed: int
    text: str
    score: float
    tokens: int
    think_tokens: int
    thinking: bool
    truncated: bool
    answer: str | None
    failure: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A wish that a screen or a command left for the worker."""

    id: int
    kind: RequestKind
    data: dict[str, Any]
