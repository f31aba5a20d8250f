"""Steps on a GPU: eager, CUDA graph, ``torch.compile`` and flash attention.

Used by ``benchmarks/gpu.py``. A step is one forward pass for one more token of every sequence,
without drawing it. *Eager* is what the engine does. *Graph* replays a CUDA graph of the same pass
with the cache at a fixed length; *compiled* is ``torch.compile`` of the model. Attention is timed
by
itself: with the engine's mask for sequences of different lengths, and without one, which lets torch
choose its flash kernel: the most that another implementation could win.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from mi_tui.engines.transformers.model.forward import Weights
from mi_tui.engines.transformers.model.kv_cache import KVCache

_STEPS = 20


@dataclass(frozen=True)
class Step:
    """What is measured: sequences of these recipes (numbers) on these weights."""

    name: str
    weights: Weights
    recipes: Sequence[int]


def seconds_each(act: Callable[[], object], device: torch.device, times: int = _STEPS) -> float:
    """The mean time of several calls, after three to warm up."""
    for _ in range(3):
        act()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    for _ in range(times):
        act()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - started) / times


def step_of(
    weights: Weights, recipes: Sequence[int], context: int, device: torch.device
) -> Callable[[], Tensor]:
    """A pass for one token of each sequence, at positions from ``context`` down to its half."""
    sequences = len(recipes)
    cache = KVCache(sequences)
    ids = torch.ones((sequences, 1), dtype=torch.long, device=device)
    lengths = np.linspace(context, context // 2 + 1, sequences, dtype=np.int64)
    positions = torch.from_numpy(lengths - 1).to(device)
    numbers = torch.arange(sequences, device=device)
    weights.prepare(recipes)
    cache.begin_decode(numbers, positions, lengths)

    def step() -> Tensor:
        # As begin_decode leaves it, without its work on the host, which a graph cannot hold.
        cache.forget_biases()
        return weights.forward(ids, positions[:, None], cache)

    return step


def graphed(step: Callable[[], Tensor]) -> Callable[[], object]:
    """The step as a CUDA graph; its inputs stay where they are."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch gives it no types
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph: Any = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    replay: Callable[[], object] = graph.replay
    return replay


def compiled(weights: Weights, recipes: Sequence[int], context: int, device: torch.device) -> Any:
    """The same step compiled."""
    step: Any = torch.compile(step_of(weights, recipes, context, device), dynamic=False)
    return step


def milliseconds(build: Callable[[], Callable[[], object]], device: torch.device) -> str:
    """The time of what ``build`` makes, or why it cannot be had."""
    try:
        return f"{1000 * seconds_each(build(), device):.2f}"
    except Exception as error:  # a way that does not work is a result too
        return f"– ({type(error).__name__})"


@torch.inference_mode()
def print_steps(
    steps: Sequence[Step], context: int, device: torch.device, compile_too: bool
) -> None:
    """A table of each step's milliseconds."""
    print(f"| one step at context {context} (ms) | rows | eager | graph | compiled |")
    print("|---|---|---|---|---|")
    for one in steps:
        act = step_of(one.weights, one.recipes, context, device)
        eager = milliseconds(partial(_itself, act), device)
        graph = milliseconds(partial(graphed, act), device) if device.type == "cuda" else "–"
        fused = "–"
        if compile_too:
            build = partial(compiled, one.weights, one.recipes, context, device)
            fused = milliseconds(build, device)
        print(f"| {one.name} | {len(one.recipes)} | {eager} | {graph} | {fused} |", flush=True)


def _itself(act: Callable[[], object]) -> Callable[[], object]:
    return act


@torch.inference_mode()
def print_attention(
    sequences: int, heads: tuple[int, int], size: int, contexts: Sequence[int], like: Tensor
) -> None:
    """A table of one layer's attention, in microseconds.

    Args:
        sequences: sequences in the batch.
        heads: query heads and key/value heads.
        size: of one head.
        contexts: lengths of the cache.
        like: dtype and device of the tensors.
    """
    groups = heads[0] // heads[1]
    print(
        f"| attention of one layer, {sequences} sequences (µs) | masked | unmasked |\n|---|---|---|"
    )
    for context in contexts:
        query = torch.randn(sequences, heads[1], groups, size, dtype=like.dtype, device=like.device)
        key, value = torch.randn(
            2, sequences, heads[1], context, size, dtype=like.dtype, device=like.device
        ).unbind(0)
        mask = torch.zeros(sequences, 1, 1, context, dtype=like.dtype, device=like.device)

        def masked(
            q: Tensor = query, k: Tensor = key, v: Tensor = value, m: Tensor = mask
        ) -> Tensor:
            return scaled_dot_product_attention(q, k, v, attn_mask=m)

        def unmasked(q: Tensor = query, k: Tensor = key, v: Tensor = value) -> Tensor:
            return scaled_dot_product_attention(q, k, v)

        times = [1e6 * seconds_each(act, like.device) for act in (masked, unmasked)]
        print(f"| context {context} | {times[0]:.0f} | {times[1]:.0f} |", flush=True)
