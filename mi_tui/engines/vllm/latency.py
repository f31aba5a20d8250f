"""The speed of the model in a vLLM, at a given number of concurrent requests."""

import random
import statistics
from typing import TYPE_CHECKING

from mi_tui.engines.protocol import LatencyPoint
from mi_tui.engines.vllm.response import Response

if TYPE_CHECKING:  # importing it imports vLLM
    from mi_tui.engines.vllm.client import Client

_PROMPT_TOKENS = 32
_TOKENS = 32
_REPEATS = 3


def measure(
    client: "Client", concurrency: int, vocabulary: int, recipe: dict[str, str]
) -> LatencyPoint:
    """Medians over requests that start together, once to warm up and then three times.

    Args:
        client: a vLLM with nothing running.
        concurrency: how many requests at once.
        vocabulary: token ids are drawn below this.
        recipe: extra arguments of a request that leaves the weights as they are.
    """
    runs = [_run(client, concurrency, vocabulary, recipe, seed) for seed in range(_REPEATS + 1)]
    responses = [response for run in runs[1:] for response in run]
    return LatencyPoint(
        concurrency,
        statistics.median(response.first_token for response in responses),
        statistics.median(response.per_token for response in responses),
    )


def _run(
    client: "Client", concurrency: int, vocabulary: int, recipe: dict[str, str], seed: int
) -> list[Response]:
    drawn = random.Random(seed)
    for at in range(concurrency):
        prompt = tuple(drawn.randrange(vocabulary) for _ in range(_PROMPT_TOKENS))
        sampling = {
            "temperature": 1.0,
            "seed": at,
            "max_tokens": _TOKENS,
            "ignore_eos": True,
            "detokenize": False,
            "extra_args": recipe,
        }
        client.submit(-1 - at, prompt, f"latency/{concurrency}/{seed}/{at}", sampling)
    done: list[Response] = []
    while len(done) < concurrency:
        done += client.collect(60.0)
    return done
