"""The engine protocol: requests, completions, capabilities and errors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from mi_tui.analysis.results import LatencyPoint
from mi_tui.errors import MiTuiError
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe

FinishReason = Literal["stop", "length"]


class EngineError(MiTuiError):
    """An engine that cannot start, or cannot go on."""


@dataclass(frozen=True, slots=True)
class Request:
    """One response wanted.

    ``id`` is the caller's and comes back on the completion. ``prompt`` holds token ids, the
    chat template applied. ``seed`` alone decides the random numbers of this response: the same
    seed under two recipes makes them comparable pairwise. ``max_new_tokens`` is the cap.
    The recipe carries λ per layer and module kind and the decoding. ``as_exported``: the weights
    are those that a merged checkpoint would hold, rounded to the dtype of the pair's files.
    """

    id: int
    recipe: Recipe
    prompt: tuple[int, ...]
    seed: int
    max_new_tokens: int
    as_exported: bool = False


def check_request(request: Request, pair: Pair) -> None:
    """Refuse what no engine can generate with this pair.

    Raises:
        EngineError: the prompt is empty, the recipe lacks the base it needs, or it caps thoughts,
            which :class:`mi_tui.engines.thinking_cap.CappedThinking` does around an engine.
    """
    if not request.prompt:
        raise EngineError(f"request {request.id} has an empty prompt")
    recipe = request.recipe
    if recipe.thinking_cap is not None:
        raise EngineError(f"{recipe.label} is no single request: it is asked for in two phases")
    if recipe.merge_method.needs_base and pair.of(recipe).base is None:
        raise EngineError(f"{recipe.label} needs a base model: name one as base in the pair")


@dataclass(frozen=True, slots=True)
class Completion:
    """A finished response, not yet scored.

    ``tokens`` are the generated ids without the end token; ``text`` is their decoding.
    ``token_count`` counts what was generated, the end token included. ``seconds`` is the wall
    time from joining the batch to finishing.
    """

    request_id: int
    text: str
    tokens: tuple[int, ...]
    token_count: int
    finish_reason: FinishReason
    seconds: float


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do with the pair it has loaded.

    ``mixes_recipes``: sequences of one batch may have different recipes. ``batch_size``: how many
    sequences it generates at once. ``note`` says in one line how it works on this machine and,
    when it fell back to a slower way, why. ``export_dtype`` is the dtype of the weights of
    requests ``as_exported``; empty where the engine does not tell them from others.
    """

    mixes_recipes: bool
    batch_size: int
    device: str
    dtype: str
    note: str = ""
    export_dtype: str = ""


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """The start-up comparison with a materialised merge, greedy, on a few tokens."""

    passed: bool
    message: str


class Engine(Protocol):
    """Generates responses for requests; used by one thread of the worker process."""

    @property
    def capabilities(self) -> Capabilities:
        """What the engine can do with this pair on this machine."""

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        """The prompt text: the chat template applied, the assistant's turn opened."""

    def encode(self, prompt: str) -> tuple[int, ...]:
        """The token ids of a rendered prompt."""

    def add(self, requests: Iterable[Request]) -> None:
        """Queue requests; sequences join the batch as room allows.

        Raises:
            EngineError: a request's recipe or prompt is more than the engine can take.
        """

    def step(self, seconds: float = 0.5) -> list[Completion]:
        """Generate for about ``seconds`` and return what finished, in any order.

        Returns early once nothing is pending. Raises EngineError when it cannot go on.
        """

    def cancel(self, request_ids: Iterable[int]) -> None:
        """Forget these requests, queued or running; unknown ids are ignored."""

    @property
    def pending(self) -> int:
        """The number of requests queued or running."""

    def self_check(self) -> SelfCheck:
        """Compare a few greedy tokens with a materialised merge."""

    def calibrate(self, concurrencies: Sequence[int] | None = None) -> tuple[LatencyPoint, ...]:
        """Measure the speed of the single merged model at each concurrency.

        By default at 1, 4, 16 and so on, as far as memory allows.
        """

    def device_memory(self) -> str:
        """The accelerator's memory in use, as text; empty on a CPU or where nobody can tell."""

    def close(self) -> None:
        """Free the memory; the engine is not used again."""
