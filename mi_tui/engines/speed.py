"""Measure how long a model takes to read a prompt and to draw a token, at a given batch."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mi_tui.engines.decoder import SlotDecoder
from mi_tui.engines.protocol import Request
from mi_tui.engines.row import Row
from mi_tui.engines.weights import Weights
from mi_tui.plan.recipe import Recipe

_PROMPT_TOKENS = 64
_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds to the first token of a batch whose prompts are read together, and per step after."""

    first_token: float
    step: float


def measure(
    weights: Weights,
    recipes: Sequence[int],
    *,
    device: torch.device,
    vocabulary: int,
    steps: int = 16,
    prompt_tokens: int = _PROMPT_TOKENS,
) -> Speed:
    """Medians over three runs after a warm-up, with prompts of random tokens.

    Args:
        weights: the model to measure.
        recipes: the recipe number of each row; as many rows as there are numbers.
        device: where the rows' state lies.
        vocabulary: token ids are drawn below this.
        steps: tokens per row and run.
        prompt_tokens: the length of each prompt.
    """
    first, step = [], []
    for run in range(_REPEATS + 1):
        rows = _rows(recipes, vocabulary, steps, prompt_tokens)
        decoder = SlotDecoder(weights, capacity=len(rows), end_tokens=(), device=device)
        started = _now(device)
        decoder.admit(rows)
        read = _now(device)
        for _ in range(steps):
            decoder.step()
            decoder.collect()
            if not decoder.rows:
                break
        ended = _now(device)
        if run:
            first.append(read - started)
            step.append((ended - read) / (steps - 1))
    return Speed(statistics.median(first), statistics.median(step))


def _rows(recipes: Sequence[int], vocabulary: int, steps: int, prompt_tokens: int) -> list[Row]:
    generator = torch.Generator().manual_seed(0)
    prompts = torch.randint(vocabulary, (len(recipes), prompt_tokens), generator=generator)
    return [
        Row(
            Request(
                id=number,
                recipe=Recipe(lambda_=0.5),
                prompt=tuple(prompt),
                seed=number,
                max_new_tokens=steps,
            ),
            recipe,
        )
        for number, (recipe, prompt) in enumerate(zip(recipes, prompts.tolist(), strict=True))
    ]


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
