"""Calibration of vLLM: speed at a number of concurrent requests and a context length."""

import random
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mi_tui.analysis.results import LatencyPoint
from mi_tui.engines.transformers.calibration import calibrate, longest_within
from mi_tui.engines.transformers.decoding.timing import Speed
from mi_tui.engines.vllm.response import PrefixCache, Response

if TYPE_CHECKING:  # importing it imports vLLM
    from mi_tui.engines.vllm.client import Client

_PROMPT_TOKENS = 32
_TOKENS = 32
_REPEATS = 3
_MOST_READ = {"cuda": 1 << 17}
_MOST_READ_ELSEWHERE = 1 << 13
"""Tokens of context that all requests of a measurement may have together: reading them takes
seconds on a GPU, and many on a CPU."""


def measure(
    client: "Client",
    concurrencies: Sequence[int],
    *,
    device_type: str,
    vocabulary: int,
    recipe: dict[str, str],
) -> tuple[LatencyPoint, ...]:
    """One point for each concurrency.

    Args:
        client: a vLLM with nothing running.
        concurrencies: how many requests at once.
        device_type: ``cpu`` or ``cuda``.
        vocabulary: token ids are drawn below this.
        recipe: extra arguments of a request that leaves the weights as they are.
    """

    def timed(sequences: int, context: int) -> Speed:
        return _speed(client, sequences, context, vocabulary, recipe)

    cache = client.cache
    return calibrate(
        concurrencies,
        lambda sequences: longest_context(cache, device_type, sequences),
        timed,
        cache.block,
    )


def longest_context(cache: PrefixCache, device_type: str, sequences: int) -> int:
    """The longest context to time with so many requests at once; 0 where prompts are not cached.

    Half the cache stays free, so that no prompt is forgotten between two runs.

    Args:
        cache: of the vLLM that is timed.
        device_type: ``cpu`` or ``cuda``.
        sequences: requests at once.
    """
    if not cache.enabled:
        return 0
    sequences_of_a_copy = -(-sequences // cache.copies)
    own = _PROMPT_TOKENS + _TOKENS
    room = min(
        cache.tokens // 2 // sequences_of_a_copy - own,
        _MOST_READ.get(device_type, _MOST_READ_ELSEWHERE) // sequences,
    )
    return longest_within(device_type, cache.longest - own, room)


def _speed(
    client: "Client", sequences: int, context: int, vocabulary: int, recipe: dict[str, str]
) -> Speed:
    """Medians over requests that start together, once to warm up and then three times.

    Short prompts are new in each run. Long contexts stay the same, so that the runs that count
    find them in the cache: else some requests would generate while others still read.
    """
    runs = [
        _run(client, sequences, context, vocabulary, recipe, prompts=0 if context else run)
        for run in range(_REPEATS + 1)
    ]
    responses = [response for run in runs[1:] for response in run]
    return Speed(
        statistics.median(response.first_token for response in responses),
        statistics.median(response.per_token for response in responses),
    )


def _run(
    client: "Client",
    sequences: int,
    context: int,
    vocabulary: int,
    recipe: dict[str, str],
    prompts: int,
) -> list[Response]:
    drawn = random.Random(prompts)
    copies = client.cache.copies
    for at in range(sequences):
        length = context + _PROMPT_TOKENS
        prompt = tuple(drawn.randrange(vocabulary) for _ in range(length))
        sampling = {
            "temperature": 1.0,
            "max_tokens": _TOKENS,
            "ignore_eos": True,
            "detokenize": False,
            "extra_args": recipe,
        }
        salt = f"latency/{sequences}/{context}/{prompts}/{at}"
        client.submit(-1 - at, prompt, salt, sampling, at % copies if copies > 1 else None)
    done: list[Response] = []
    while len(done) < sequences:
        done += client.collect(60.0)
    return done
