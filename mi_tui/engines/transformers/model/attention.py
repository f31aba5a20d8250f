"""Attention over a :class:`SlotCache`, registered with transformers under the name ``slots``.

transformers leaves the mask to an attention function it does not know, so causality, sliding
windows and sequences of different lengths are settled here, in one place for every architecture.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from mi_tui.engines.transformers.model import paged_attention
from mi_tui.engines.transformers.model.kv_cache import KVCache
from mi_tui.engines.transformers.model.paged_cache import PagedCache
from mi_tui.engines.transformers.model.slot_cache import SlotCache

ATTENTION = "slots"
"""The value of ``attn_implementation`` that selects :func:`slot_attention`."""


_ATTENDED: ContextVar[SlotCache] = ContextVar("slots")


@contextmanager
def attended(slots: SlotCache) -> Iterator[None]:
    """While it lasts, attention is over these slots.

    Not every architecture hands on what its forward pass is given.
    """
    token = _ATTENDED.set(slots)
    try:
        yield
    finally:
        _ATTENDED.reset(token)


def attended_slots() -> SlotCache | None:
    """The slots of the pass under way, if it has any."""
    return _ATTENDED.get(None)


def slot_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    slots: SlotCache | None = None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attend as transformers' own functions do, masked by the sequences' positions.

    Args:
        module: the attention layer.
        query: ``[batch, heads, tokens, head_dim]``.
        key: ``[batch, kv_heads, length, head_dim]``, or the layer's pages, as the cache's
            ``update`` returned it.
        value: like ``key``.
        attention_mask: not used.
        slots: the cache of this pass, which knows each sequence's position; by default the one of
            :func:`attended`.
        scaling: what scores are multiplied by; by default 1/√head_dim.
        sliding_window: how many tokens back a token may look, itself included.
        s_aux: attention sinks, ``[heads]``: scores of a token that is attended to and says nothing
            (gpt-oss, MiMo).
        softcap: scores s become softcap · tanh(s / softcap) (Gemma 2).

    Returns:
        The output ``[batch, tokens, heads, head_dim]``, and no weights.
    """
    del attention_mask
    slots = _ATTENDED.get() if slots is None else slots
    chunk = _chunk_of(module)
    plain = softcap is None and s_aux is None
    if isinstance(slots, PagedCache) and not slots.is_prefill:
        if query.device.type == "cuda":
            if not plain or chunk is not None or key.shape[3] != value.shape[3]:
                raise paged_attention.CannotPageError("attention over pages knows no such layer")
            found = paged_attention.attend(
                query[:, :, 0], key, value, slots.pages, scaling=scaling, window=sliding_window
            )
            return found[:, None], None
        key, value = (paged_attention.gathered(stored, slots.pages) for stored in (key, value))
    sequences, heads, tokens, dim = query.shape
    groups = heads // key.shape[1]
    length = key.shape[2]
    window = sliding_window if sliding_window is not None and sliding_window < length else None
    chunk = chunk if chunk is not None and chunk < length else None
    if slots.is_prefill:
        if groups > 1:
            key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    else:
        # One token per sequence: the query heads that share keys take the place of tokens.
        query = query.reshape(sequences, key.shape[1], groups, dim)
    if slots.is_prefill and window is None and chunk is None and plain:
        output = scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling)
    else:
        bias = slots.bias(window, query, length, chunk)
        sinks = None if s_aux is None else s_aux.view(1, query.shape[1], -1, 1)
        masked = partial(_masked, scaling=scaling, softcap=softcap, sinks=sinks)
        parts = slots.blocks if isinstance(slots, KVCache) and not slots.is_prefill else ()
        if len(parts) < 2:
            output = masked(query, key, value, bias)
        else:
            output = torch.cat([masked(*part.of(query, key, value, bias)) for part in parts])
    output = output.reshape(sequences, heads, tokens, value.shape[-1])
    return output.transpose(1, 2), None


def _masked(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor,
    scaling: float | None,
    softcap: float | None,
    sinks: Tensor | None,
) -> Tensor:
    if softcap is None and sinks is None:
        return scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=scaling)
    scores = query @ key.transpose(2, 3) * (scaling or query.shape[-1] ** -0.5)
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    scores = scores + bias
    if sinks is None:
        return scores.softmax(dim=-1, dtype=torch.float32).to(value.dtype) @ value
    sinks = sinks.to(scores.dtype).expand(len(scores), -1, scores.shape[2], 1)
    shares = torch.cat([scores, sinks], -1).softmax(dim=-1, dtype=torch.float32)
    return shares[..., :-1].to(value.dtype) @ value


def _chunk_of(module: nn.Module) -> int | None:
    """The tokens of a chunk in a layer that attends within chunks (Llama 4); transformers leaves
    that to the mask, which is made here."""
    config: Any = getattr(module, "config", None)
    types = getattr(config, "layer_types", None)
    layer = getattr(module, "layer_idx", None)
    if types is None or layer is None or types[layer] != "chunked_attention":
        return None
    chunk: int = config.attention_chunk_size
    return chunk


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, slot_attention)
