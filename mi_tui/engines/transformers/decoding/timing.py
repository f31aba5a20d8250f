"""Timing of a model: seconds to read prompts and seconds per step, at a given batch size."""

import statistics
import time
from collections import abc
from collections.abc import Callable
from dataclasses import dataclass

import torch

from mi_tui.engines.protocol import Request
from mi_tui.engines.transformers.decoding.batch_kind import AnyDecoder, decoder_for
from mi_tui.engines.transformers.decoding.sequence import Sequence
from mi_tui.engines.transformers.model.forward import Weights
from mi_tui.plan.recipe import Recipe

PROMPT_TOKENS = 32
"""The length of the prompts that are timed."""

_WARM_UP_STEPS = 3
_ENDLESS = float("inf")

_RECIPE = Recipe(lambda_=0.5)


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds to the first token of a batch whose prompts are read together, and per step after."""

    first_token: float
    step: float


Clock = Callable[[torch.device], float]


def wall_clock(device: torch.device) -> float:
    """Seconds that pass for the user, once the device has finished what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def own_clock(device: torch.device) -> float:
    """Seconds of work: on one CPU thread those in which other processes run are not counted."""
    if device.type == "cpu" and torch.get_num_threads() == 1:
        return time.thread_time()
    return wall_clock(device)


def measure(
    weights: Weights,
    recipes: abc.Sequence[int],
    *,
    device: torch.device,
    vocabulary: int,
    steps: int = 16,
    repeats: int = 3,
    of: Callable[[abc.Sequence[float]], float] = statistics.median,
    clock: Clock = wall_clock,
    context: int = 0,
    prompt_tokens: int = PROMPT_TOKENS,
    enough: float = _ENDLESS,
) -> Speed:
    """Time prompts of random tokens and the steps after, once to warm up and then ``repeats`` ×.

    Args:
        weights: the model to measure.
        recipes: the recipe number of each sequence; as many sequences as there are numbers.
        device: where the sequences' state lies.
        vocabulary: token ids are drawn below this.
        steps: tokens per sequence and run, at least 3.
        repeats: runs that count.
        of: what is taken of them.
        clock: what time is read from.
        context: tokens that the sequences are taken to have read beside the prompt.
        prompt_tokens: the length of the prompts.
        enough: seconds after which no run is repeated: long ones need no second look.
    """

    def run(steps: int = steps) -> Speed:
        sequences = _sequences(recipes, vocabulary, prompt_tokens, steps)
        decoder = decoder_for(weights, capacity=len(sequences), end_tokens=(), device=device)
        return _time(decoder, sequences, steps, clock, device, context)

    run(_WARM_UP_STEPS)
    runs: list[Speed] = []
    until = time.perf_counter() + enough
    while not runs or (len(runs) < repeats and time.perf_counter() < until):
        runs.append(run())
    return Speed(of([run.first_token for run in runs]), of([run.step for run in runs]))


def _time(
    decoder: AnyDecoder,
    sequences: abc.Sequence[Sequence],
    steps: int,
    clock: Clock,
    device: torch.device,
    context: int,
) -> Speed:
    started = clock(device)
    decoder.admit(sequences)
    read = clock(device)
    first = read - started
    left = steps - 1
    if context:
        decoder.pretend_context(context)
        decoder.step()  # makes room in the cache
        read, left = clock(device), left - 1
    for _ in range(left):
        decoder.step()
        decoder.collect()
    return Speed(first, (clock(device) - read) / left)


def _sequences(
    recipes: abc.Sequence[int], vocabulary: int, prompt_tokens: int, steps: int
) -> list[Sequence]:
    generator = torch.Generator().manual_seed(0)
    prompts = torch.randint(vocabulary, (len(recipes), prompt_tokens), generator=generator)
    return [
        Sequence(Request(at, _RECIPE, tuple(prompt), seed=at, max_new_tokens=steps), recipe)
        for at, (recipe, prompt) in enumerate(zip(recipes, prompts.tolist(), strict=True))
    ]
