"""The admission of requests in vLLM's front end: a λ that cannot be served is refused there.

vLLM asks the classes in its ``logits_processors`` to validate each request's parameters before the
request enters the queue; its server answers with status 400. Logits are left alone.
"""

from typing import Any

from vllm.v1.sample.logits_processor.interface import LogitsProcessor as FirstProcessor
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsProcessor as SecondProcessor

from mi_tui.engines.vllm.worker.requested_lambda import requested


class LambdaAdmission(FirstProcessor, SecondProcessor):  # type: ignore[misc]  # vLLM is not typed
    """One class for both of vLLM's model runners, each of which wants a base of its own."""

    def __init__(self, *_: Any) -> None:
        """Nothing to keep: vLLM makes one in each worker."""

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """Refuse a request whose λ cannot be served.

        Raises:
            ValueError: why, in one line.
        """
        requested(sampling_params.extra_args)
        if sampling_params.prompt_logprobs is not None:
            # vLLM computes them from a prompt's rows, where the head follows the batch's requests.
            raise ValueError("prompt_logprobs cannot be had while requests are mixed by their λ")

    def is_argmax_invariant(self) -> bool:
        """As nothing is changed."""
        return True

    def update_state(self, _batch_update: Any) -> None:
        """Nothing to follow."""

    def add_request(self, _slot: int, _sampling_params: Any) -> bool:
        """Whether the request's logits are changed: never."""
        return False

    def apply(self, logits: Any, *_: Any) -> Any:
        """The logits as they are."""
        return logits
