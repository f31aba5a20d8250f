"""The rules of which models can use slots and pages, and which need transformers' own cache."""

from typing import Any

import torch
from transformers import DynamicCache, cache_utils

from mi_tui.engines.transformers.model.paged_attention import why_no_kernel

_HELD = ("DynamicLayer", "DynamicSlidingWindowLayer", "DummyLayer")
"""The last keeps nothing: its layer has no attention, or attends to the keys of another layer.

transformers has it from 5.23 on; asked for by name, it is missed by nobody.
"""

_STATES = {
    "linear_attention": "linear attention or state space",
    "hybrid": "Mamba",
    "hybrid_sliding": "Mamba",
    "mamba": "Mamba",
    "conv": "short convolution",
}
"""What layers of a type are called that keep a state."""


_WIDEST_HEAD = 256
"""The largest head dimension that flash attention takes."""


def why_no_pages(model: Any, device: torch.device, dtype: torch.dtype) -> str:
    """Why sequences of a model with slots cannot hold pages of the cache; empty where they can.

    Then the cache is one rectangle, as long as its longest sequence.

    Args:
        model: a transformers model, with or without memory.
        device: where keys and values lie.
        dtype: of keys and values.
    """
    reason = why_no_kernel(device, dtype)
    if reason:
        return reason
    config = model.config.get_text_config(decoder=True)
    layers = [config.per_layer_config[at] for at in range(config.num_hidden_layers)]
    dims = {_head_dim(layer) for layer in layers}
    own = "which attention over pages does not know"
    if getattr(config, "kv_lora_rank", None):
        return f"keys and values are of different width (latent attention), {own}"
    if max(dims) > _WIDEST_HEAD or any(dim % 8 for dim in dims):
        return f"heads of {max(dims)}, {own}"
    if getattr(config, "attn_logit_softcapping", None):
        return f"scores are soft-capped, {own}"
    if "chunked_attention" in (getattr(config, "layer_types", None) or ()):
        return f"some layers attend within chunks, {own}"
    if any(name.rpartition(".")[2] in _SINKS for name, _ in model.named_parameters()):
        return f"layers have attention sinks, {own}"
    return ""


_SINKS = ("sinks", "attention_sink_bias")
"""What attention sinks are called in transformers' models."""


def _head_dim(layer: Any) -> int:
    return int(getattr(layer, "head_dim", None) or layer.hidden_size // layer.num_attention_heads)


def why_no_slots(model: Any) -> str:
    """Why sequences of different lengths cannot share a batch; empty where they can.

    Args:
        model: a transformers model, with or without memory.
    """
    if not model._supports_default_dynamic_cache():
        return f"{type(model).__name__} makes a cache of its own that slots cannot stand in for"
    config = model.config.get_text_config(decoder=True)
    layers = DynamicCache(config=config).layers
    held = [getattr(cache_utils, name) for name in _HELD if hasattr(cache_utils, name)]
    types = getattr(config, "layer_types", None) or ["hybrid"] * len(layers)
    for layer, name in zip(layers, types, strict=False):
        if getattr(layer, "recurrent_states", None) is not None:
            return f"its {_STATES.get(name, name)} layers keep a state that slots cannot hold"
        if type(layer) not in held:
            words = name.replace("_", " ")
            return f"its {words} layers keep more than keys and values"
    if not model._supports_attention_backend:
        return f"{type(model).__name__} computes attention in a way of its own"
    return ""
