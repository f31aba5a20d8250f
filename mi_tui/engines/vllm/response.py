"""What comes back from vLLM."""

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
