"""The layout of a pair over vLLM's GPUs: how many share a model, how many copies there are.

Pure arithmetic on sizes in bytes, without vLLM, for whoever plans memory and for the engine.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mi_tui.engines.cache_size import CacheSize, cache_size
from mi_tui.machine.resources import Machine
from mi_tui.plan.engine import VllmOptions

SHARE = 0.92
"""The share of a GPU's memory that vLLM takes by itself (vLLM 0.32, ``CacheConfig``)."""

_OTHER = 2 << 30
"""Reckoned for the CUDA context, activations, logits and CUDA graphs of a rank."""
_OTHER_SHARE = 8
"""A part of the room that these take at most: small GPUs run small models."""

_CPU_CACHE_SHARE = 0.3
_MOST_CPU_CACHE = 4 << 30


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to run a pair; sizes in bytes, of each rank.

    ``tensor`` × ``pipeline`` ranks share a model, of which there are ``copies``. ``share`` is the
    share of each GPU's memory that vLLM is to take, ``room`` what that is. ``weights`` are those of
    one model, ``delta`` the other side's difference, in one pass alone. ``response`` is the cache
    of one response.
    """

    tensor: int
    pipeline: int
    copies: int
    one_pass: bool
    share: float
    room: int
    weights: int
    delta: int
    other: int
    response: CacheSize | None

    @property
    def ranks_each(self) -> int:
        """The ranks of one copy."""
        return self.tensor * self.pipeline

    @property
    def cache(self) -> int:
        """What is left for the KV cache."""
        return max(0, self.room - self.weights - self.delta - self.other)

    def rows(self, tokens: int) -> int:
        """How many responses of so many tokens run at once in all copies, as far as is known."""
        if self.response is None:
            return int(self.cache > 0)
        return self.copies * (self.cache // self.response.row(tokens))

    @property
    def longest(self) -> int:
        """The most tokens that one response's cache may have, prompt included; 0: not known."""
        return self.response.longest(self.cache) if self.response else 0


def layouts(
    options: VllmOptions,
    modes: tuple[bool, ...],
    model: int,
    config: Mapping[str, Any],
    item: float,
    machine: Machine,
) -> Iterator[Layout]:
    """Every way to run a pair on a machine with GPUs, the one to be preferred first.

    As few GPUs as possible share one model, and the others run copies of it: copies need not wait
    for one another.

    Args:
        options: what the preset fixes.
        modes: for one pass, ``True``, and in place, ``False``, as they are preferred.
        model: the size of one model.
        config: of the language model.
        item: bytes of one number in the cache.
        machine: what is free.
    """
    cards = len(machine.gpus)
    for tensor in _tensor_sizes(options, config, cards):
        split = tensor * options.pipeline_parallel_size
        copies = options.data_parallel_size or max(1, cards // split)
        if split * copies > cards:
            continue
        used = machine.gpus[: split * copies]
        share = options.gpu_memory_utilization or min(
            SHARE, *(_rounded_down(gpu.free / max(gpu.total, 1)) for gpu in used)
        )
        room = min(min(gpu.free, int(share * gpu.total)) for gpu in used)
        size = cache_size(config, item, ranks=tensor, forgets=True)
        for one_pass in modes:
            yield Layout(
                tensor,
                options.pipeline_parallel_size,
                copies,
                one_pass,
                share,
                room,
                weights=-(-model // split),
                delta=-(-model // split) if one_pass else 0,
                other=min(_OTHER, room // _OTHER_SHARE),
                response=size.shared(options.pipeline_parallel_size) if size else None,
            )


def layout_on_cpu(
    options: VllmOptions,
    one_pass: bool,
    model: int,
    config: Mapping[str, Any],
    item: float,
    free: int,
) -> Layout:
    """The way to run a pair in main memory, of which every rank has its part.

    Args:
        options: what the preset fixes.
        one_pass: whether Δ is wanted.
        model: the size of one model.
        config: of the language model.
        item: bytes of one number in the cache.
        free: bytes of main memory.
    """
    tensor, copies = options.tensor_parallel_size or 1, options.data_parallel_size or 1
    split = tensor * options.pipeline_parallel_size
    room = free // (split * copies)
    weights = -(-model // split)
    left = max(0, room - weights * (1 + one_pass))
    size = cache_size(config, item, ranks=tensor, forgets=True)
    return Layout(
        tensor,
        options.pipeline_parallel_size,
        copies,
        one_pass,
        share=1.0,
        room=room,
        weights=weights,
        delta=weights if one_pass else 0,
        other=left - min(left, cpu_cache(free, tensor)),
        response=size.shared(options.pipeline_parallel_size) if size else None,
    )


def cpu_cache(free: int, ranks: int) -> int:
    """Bytes of cache for each rank on a CPU, where vLLM would take most of the machine."""
    return min(_MOST_CPU_CACHE, int(free * _CPU_CACHE_SHARE) // ranks)


def _tensor_sizes(options: VllmOptions, config: Mapping[str, Any], cards: int) -> list[int]:
    """How many GPUs may share a model, the fewest first: vLLM shares out whole heads."""
    if options.tensor_parallel_size is not None:
        return [options.tensor_parallel_size]
    heads = config.get("num_attention_heads")
    most = cards // options.pipeline_parallel_size
    sizes = range(1, most + 1)
    if not isinstance(heads, int) or heads < 1:
        return [size for size in sizes if not size & (size - 1)]
    groups = config.get("num_key_value_heads")
    groups = groups if isinstance(groups, int) and groups > 0 else heads
    return [n for n in sizes if not heads % n and (not groups % n or not n % groups)]


def _rounded_down(share: float) -> float:
    return int(100 * share) / 100
