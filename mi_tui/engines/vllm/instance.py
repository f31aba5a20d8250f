"""A running vLLM with the pair loaded, and the requests that its weights can serve."""

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mi_tui.engines.protocol import EngineError, Request
from mi_tui.engines.vllm.arguments import sampling_arguments
from mi_tui.engines.vllm.request_queue import INSTRUCT, RequestQueue, Weights
from mi_tui.engines.vllm.response import Response

if TYPE_CHECKING:  # importing it imports vLLM
    from mi_tui.engines.vllm.client import Client


@dataclass(frozen=True, slots=True)
class Description:
    """What vLLM's ranks say of themselves.

    ``reason`` says why one pass cannot be had, and is empty when it can; ``batch_size`` is how many
    requests run at once, ``longest`` how many tokens prompt and response may have together.
    """

    reason: str
    device: str
    dtype: str
    batch_size: int
    longest: int


class Instance:
    """Requests in, responses out; switches the weights when the loaded ones serve no more.

    Args:
        client: a started vLLM with our worker extension.
        loaded: the weights it was started with.
        end_tokens: the ids that end a response.
    """

    def __init__(self, client: "Client", loaded: Weights, end_tokens: Collection[int]) -> None:
        self._client = client
        self._loaded = loaded
        self._was_reloaded = False
        self._end_tokens = end_tokens
        self._requests: dict[int, Request] = {}
        ranks = [Description(**answer) for answer in client.call("mi_tui_describe")]
        reasons = [rank.reason for rank in ranks if rank.reason]
        self.description = ranks[0] if not reasons else _because(ranks[0], reasons[0])
        self._queue = RequestQueue(one_pass=not reasons)

    @property
    def client(self) -> "Client":
        """The vLLM underneath."""
        return self._client

    @property
    def one_pass(self) -> bool:
        """Whether requests of different λ run together."""
        return self._queue.one_pass

    @property
    def is_fresh(self) -> bool:
        """Whether it has the weights that it was started with, never reloaded."""
        return not self._was_reloaded

    @property
    def pending(self) -> int:
        """Requests queued or running."""
        return len(self._queue) + self._client.running

    def add(self, requests: Iterable[Request]) -> None:
        """Queue requests."""
        fresh = list(requests)
        self._requests.update((request.id, request) for request in fresh)
        self._queue.add(fresh)
        self._hand_over()

    def step(self, seconds: float) -> list[tuple[Request, Response]]:
        """What finishes within about ``seconds``; earlier when nothing is pending.

        Raises:
            EngineError: vLLM failed.
        """
        until = time.perf_counter() + seconds
        finished: list[Response] = []
        while self.pending:
            self._hand_over()
            left = until - time.perf_counter()
            finished += self._client.collect(max(0.0, left))
            if left <= 0:
                break
        return [(self._requests.pop(response.id), response) for response in finished]

    def cancel(self, ids: set[int]) -> None:
        """Forget requests; unknown ids are ignored."""
        self._queue.drop(ids)
        self._client.abort(ids)
        for number in ids:
            self._requests.pop(number, None)

    def load(self, weights: Weights) -> None:
        """Switch the weights; nothing may be running.

        Raises:
            EngineError: vLLM could not reload them.
        """
        self._client.call("mi_tui_load", weights.recipe.canonical_json(), weights.as_exported)
        if not self._client.reset_prefix_cache():
            raise EngineError("vLLM could not forget its cached prompts after a change of weights")
        self._was_reloaded = True
        self._loaded = weights

    def answer(
        self, requests: Sequence[Request], *, mixed: bool, logprobs: int, salt: str
    ) -> list[Response]:
        """Run requests by themselves and return the responses in their order.

        Args:
            requests: with ids of their own.
            mixed: mix each by its recipe, or take the loaded weights as they are.
            logprobs: how many alternatives to report for each token.
            salt: keeps their cached prompts apart from all others.
        """
        for request in requests:
            recipe = request.recipe if mixed else INSTRUCT.recipe
            sampling = sampling_arguments(request, recipe, (), logprobs)
            self._client.submit(request.id, request.prompt, salt, sampling)
        done: dict[int, Response] = {}
        while len(done) < len(requests):
            done |= {response.id: response for response in self._client.collect(60.0)}
        return [done[request.id] for request in requests]

    def close(self) -> None:
        """End vLLM's processes."""
        self._client.close()

    def _hand_over(self) -> None:
        self._submit(self._queue.take(self._loaded))
        wanted = self._queue.most_wanted()
        if wanted is not None and not self._client.running:
            self.load(wanted)
            self._submit(self._queue.take(wanted))

    def _submit(self, requests: Iterable[Request]) -> None:
        for request in requests:
            weights = Weights.of(request)
            mixes = self.one_pass and self._queue.needs(request) == INSTRUCT
            recipe = weights.recipe if mixes else INSTRUCT.recipe
            sampling = sampling_arguments(request, recipe, self._end_tokens)
            self._client.submit(request.id, request.prompt, weights.salt, sampling)


def _because(rank: Description, reason: str) -> Description:
    return Description(reason, rank.device, rank.dtype, rank.batch_size, rank.longest)
