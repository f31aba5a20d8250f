"""Free memory of a device, and the batch size that fits into it."""

from typing import Any

import torch

from mi_tui.engines.transformers.devices.placement import SMALL_MODEL as SMALL_MODEL
from mi_tui.engines.transformers.devices.placement import Room, most_rows
from mi_tui.machine.host import main_memory
from mi_tui.text.sizes import GIB

_NOMINAL_LENGTH = 4096
"""Tokens a sequence is expected to reach; beyond, the batch shrinks when memory runs out."""

_SHARE = 0.8


def free_bytes(device: torch.device) -> int:
    """Bytes that may still be allocated on the device, in this process's limits."""
    if device.type != "cuda":
        return main_memory().available
    free, _ = torch.cuda.mem_get_info(device)
    if _is_unified(device):
        # CUDA does not count the page cache, which the system gives back when asked.
        free = max(free, main_memory().available)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free + unused)


def room_beside(device: torch.device) -> Room:
    """What is free now for a pair on this device: on all GPUs, where it names no one of them."""
    host = main_memory().available
    if device.type != "cuda":
        return Room((), host)
    # Asking a GPU takes memory there: only those are asked that may be used.
    gpus = tuple(
        free_bytes(torch.device("cuda", at)) if device.index in (None, at) else 0
        for at in range(torch.cuda.device_count())
    )
    return Room(gpus, host, unified=_is_unified(device))


def in_use(device: torch.device) -> str:
    """An accelerator's memory in use, such as ``21.4 of 79.2 GiB``; empty on a CPU."""
    if device.type != "cuda":
        return ""
    free, total = torch.cuda.mem_get_info(device)
    return f"{(total - free) / GIB:.1f} of {total / GIB:.1f} GiB"


def cache_bytes_per_token(config: Any, dtype: torch.dtype) -> int:
    """The keys and values of one token in all layers, in bytes.

    A model without attention keeps a state instead, which never grows: it is taken for one head of
    the hidden size, at 4096 tokens more than any state takes.
    """
    config = config.get_text_config()
    # Layers may differ in their heads: Gemma 4 has two head sizes.
    layers = (config.per_layer_config[at] for at in range(config.num_hidden_layers))
    return int(2 * sum(_key_elements(layer) for layer in layers) * dtype.itemsize)


def _key_elements(layer: Any) -> int:
    """The elements of one token's keys in a layer, as wide as its values."""
    attention_heads = getattr(layer, "num_attention_heads", None)
    if not attention_heads:
        return int(layer.hidden_size)
    heads = getattr(layer, "num_key_value_heads", None) or attention_heads
    head_dim = getattr(layer, "head_dim", None) or layer.hidden_size // attention_heads
    return int(heads * head_dim)


def sequences_that_fit(
    config: Any, dtype: torch.dtype, device: torch.device, *, model_bytes: int
) -> int:
    """How many sequences to generate at once, at least one.

    Args:
        config: the model's configuration.
        dtype: the cache's dtype.
        device: where the model is.
        model_bytes: the size of its weights.
    """
    config = config.get_text_config()
    length = min(_NOMINAL_LENGTH, getattr(config, "max_position_embeddings", _NOMINAL_LENGTH))
    sequence = cache_bytes_per_token(config, dtype) * length
    most = most_rows(device.type, model_bytes)
    return max(1, min(most, int(_SHARE * free_bytes(device)) // sequence))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that an allocation failed, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def release_unused(device: torch.device) -> None:
    """Hand cached blocks back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _is_unified(device: torch.device) -> bool:
    return bool(getattr(torch.cuda.get_device_properties(device), "is_integrated", False))
