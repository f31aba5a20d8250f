"""The rule of which models can use slots, and which need transformers' own cache."""

from typing import Any

from transformers import DynamicCache, cache_utils

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
