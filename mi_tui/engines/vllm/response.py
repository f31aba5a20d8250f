"""A response of vLLM, and its prefix cache."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Response:
    """What vLLM generated for one request.

    ``tokens`` hold the end token where there is one (``stopped``). Times in seconds:
    ``first_token`` from handing over the request, ``per_token`` for each one after, ``running``
    from joining the batch to finishing. ``cached`` counts the prompt's tokens that were found in
    the prefix cache. ``logprobs`` are, per token, those of the likeliest tokens, where asked for.
    """

    id: int
    tokens: tuple[int, ...]
    stopped: bool
    first_token: float
    per_token: float
    running: float
    cached: int = 0
    logprobs: tuple[dict[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class PrefixCache:
    """Where vLLM keeps prompts that may come again.

    ``block``: tokens that are cached together. ``tokens``: how many each copy of the model has
    room for, all requests together. ``copies``: data-parallel ones. ``longest``: tokens that
    prompt and response of a request may have together.
    """

    enabled: bool
    block: int
    tokens: int
    copies: int
    longest: int
