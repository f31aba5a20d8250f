"""Logits of prompts' last tokens, by plain transformers and through the engine's caches."""

from collections import abc
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mi_tui.engines.transformers.model.forward import Weights
from mi_tui.engines.transformers.model.generation_cache import GenerationCache
from mi_tui.engines.transformers.model.paged_cache import slots_for

COMPARED = 8
"""Tokens at the end of each prompt of which log-probabilities are compared."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What plain transformers says of one prompt.

    ``number`` is the recipe's. ``logits`` (float32, ``[tokens, vocabulary]``) are those of the
    prompt's last tokens.
    """

    number: int
    prompt: tuple[int, ...]
    logits: Tensor


@torch.inference_mode()
def plain_logits(model: Any, prompt: abc.Sequence[int], *, cached: bool) -> Tensor:
    """Logits of a prompt's last tokens by transformers' own code and attention.

    ``cached``: as ``generate`` reads them, one by one; else all at once.
    """
    ids = torch.tensor([list(prompt)], device=model.get_input_embeddings().weight.device)
    keep = {"logits_to_keep": COMPARED} if model._supports_logits_to_keep() else {}
    attention = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        if cached:
            return _stepwise(model, ids)[0]
        output = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False, **keep)
    finally:
        model.set_attn_implementation(attention)
    logits: Tensor = output.logits[0, -COMPARED:].float()
    return logits


@torch.inference_mode()
def read_slots(
    weights: Weights, batch: abc.Sequence[Reference], device: torch.device
) -> list[Tensor]:
    """Logits of the prompts' last tokens, read one by one from a cache of slots."""
    cache = slots_for(len(batch), in_pages=weights.in_pages)
    ends = np.array([len(reference.prompt) for reference in batch], dtype=np.int64)
    starts = ends - COMPARED + 1
    found = []
    # A long prompt joins by itself, rather than pad all the others.
    order = np.argsort(ends, kind="stable").tolist()
    first: list[Tensor] = [torch.empty(0)] * len(batch)
    for rows in (order[:-1], order[-1:]):
        if not rows:
            continue
        width = int(starts[rows].max())
        tokens = torch.zeros((len(rows), width), dtype=torch.long)
        for line, row in zip(tokens, rows, strict=True):
            line[: starts[row]] = torch.tensor(batch[row].prompt[: starts[row]])
        weights.prepare([batch[row].number for row in rows])
        cache.ends = ends[rows]
        numbers = torch.tensor(rows, device=device)
        cache.begin_prefill(numbers, width, int(ends.max()), starts[rows])
        logits = weights.forward(
            tokens.to(device),
            torch.arange(width, device=device).expand(len(rows), -1),
            cache,
            torch.from_numpy(starts[rows] - 1).to(device),
        )
        for row, line in zip(rows, logits, strict=True):
            first[row] = line
    found.append(torch.stack(first))
    weights.prepare([reference.number for reference in batch])
    cache.ends = ends
    numbers = torch.arange(len(batch), device=device)
    for step in range(COMPARED - 1):
        at = starts + step
        tokens = torch.tensor(
            [[reference.prompt[here]] for reference, here in zip(batch, at, strict=True)]
        )
        positions = torch.from_numpy(at).to(device)
        cache.begin_decode(numbers, positions, at + 1, int(ends.max()))
        found.append(weights.forward(tokens.to(device), positions[:, None], cache))
    return list(torch.stack(found, 1).float().unbind())


@torch.inference_mode()
def read_own_cache(
    weights: Weights, batch: abc.Sequence[Reference], device: torch.device
) -> list[Tensor]:
    """The same with transformers' own cache, prompts of one length together."""
    found: dict[int, Tensor] = {}
    lengths = sorted({len(reference.prompt) for reference in batch})
    for length in lengths:
        rows = [at for at, reference in enumerate(batch) if len(reference.prompt) == length]
        weights.prepare([batch[row].number for row in rows])
        tokens = torch.tensor([batch[row].prompt for row in rows], device=device)
        found |= zip(rows, _stepwise(weights.model, tokens).unbind(), strict=True)
    return [found[at] for at in range(len(batch))]


def _stepwise(model: Any, tokens: Tensor) -> Tensor:
    """Logits of the last tokens ``[batch, tokens, vocabulary]``, read as ``generate`` does."""
    cache = GenerationCache(model)
    length = tokens.shape[1]
    start = length - COMPARED + 1
    logits = [cache.read(tokens[:, :start])]
    logits += [cache.read(tokens[:, at : at + 1]) for at in range(start, length)]
    return torch.stack(logits, 1).float()
