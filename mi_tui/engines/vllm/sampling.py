"""A request in vLLM's words."""

from collections.abc import Collection
from typing import Any

from mi_tui.engines.protocol import Request
from mi_tui.engines.vllm.worker.spec import RECIPE
from mi_tui.plan.recipe import Recipe


def sampling_arguments(
    request: Request, mixed: Recipe, end_tokens: Collection[int], logprobs: int | None = None
) -> dict[str, Any]:
    """The keyword arguments of ``vllm.SamplingParams`` for a request.

    A response ends with the donor's end tokens alone, so vLLM is told to ignore the one that it
    finds by itself.

    Args:
        request: what is wanted.
        mixed: the recipe that one pass is to mix for it.
        end_tokens: the ids that end a response.
        logprobs: how many alternatives to report for each token.
    """
    decoding = request.recipe.decoding
    return {
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        "top_k": decoding.top_k,
        "seed": request.seed,
        "max_tokens": request.max_new_tokens,
        "stop_token_ids": sorted(end_tokens),
        "ignore_eos": True,
        "logprobs": logprobs,
        "detokenize": False,
        "extra_args": {RECIPE: mixed.canonical_json()},
    }
