"""transformers' own generation cache, for a batch whose sequences are all of one length.

Layers that keep a state (Mamba, short convolutions, linear attention) cannot be held by slots:
what a state has read cannot be masked. A batch of one length needs no mask and no padding, so
whatever cache a model has, each sequence is computed as if it were alone.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.generation.utils import ALL_CACHE_NAMES

_READ = 40
"""Tokens with which it is tried whether reading them one by one is the same."""

_NEAR = {torch.float32: 1e-4, torch.float64: 1e-8}
_NEAR_IN_HALF = 2.0**-5
"""By how much of the largest logit both may differ, from rounding alone."""


class GenerationCache:
    """The cache of one batch, and the forward pass that fills it as ``generate`` does.

    Args:
        model: a transformers model that generates text.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._length = 0
        self._extra: dict[str, Any] = {"use_cache": True}
        if model._supports_logits_to_keep():
            self._extra["logits_to_keep"] = 1
        self._cache: dict[str, Any] = {}

    @property
    def length(self) -> int:
        """How many tokens of each sequence have been read."""
        return self._length

    @torch.inference_mode()
    def read(self, tokens: Tensor) -> Tensor:
        """Read the next tokens of every sequence (int64, ``[batch, tokens]``).

        Returns:
            Logits of the last one, ``[batch, vocabulary]``.
        """
        batch, count = tokens.shape
        after = self._length + count
        first = not self._length
        if first and self._model._supports_default_dynamic_cache():
            self._cache = {self._cache_name: self._new_cache()}
        inputs = self._model.prepare_inputs_for_generation(
            tokens,
            is_first_iteration=first,
            attention_mask=tokens.new_ones((batch, after)),
            position_ids=torch.arange(self._length, after, device=tokens.device).expand(batch, -1),
            **self._cache,
            **self._extra,
        )
        output = self._model(**inputs, return_dict=True)
        name = next(name for name in ALL_CACHE_NAMES if output.get(name) is not None)
        self._cache = {name: output[name]}
        self._length = after
        logits: Tensor = output.logits[:, -1]
        return logits

    def keep(self, sequences: Tensor) -> None:
        """Keep only these sequences (int64, shape [n]), in this order."""
        (cache,) = self._cache.values()
        cache.reorder_cache(sequences)  # which every kind of layer knows
        states: list[Any] = getattr(cache, "linear_cache", [])  # MiniMax keeps those elsewhere
        for layer, state in enumerate(states):
            if isinstance(state, Tensor):
                states[layer] = state[sequences]

    def pretend(self, tokens: int) -> None:
        """Lengthen every sequence by so many empty tokens, as far as that costs time."""
        (cache,) = self._cache.values()
        for layer in getattr(cache, "layers", ()):
            keys = getattr(layer, "keys", None)
            if isinstance(keys, Tensor) and keys.dim() == 4 and not layer.is_sliding:
                layer.keys, layer.values = (
                    torch.nn.functional.pad(stored, (0, 0, tokens, 0))
                    for stored in (layer.keys, layer.values)
                )
        self._length += tokens

    @property
    def _cache_name(self) -> str:
        # As transformers' own ``generate`` tells them apart.
        return (
            "cache_params" if "mamba" in type(self._model).__name__.lower() else "past_key_values"
        )

    def _new_cache(self) -> Cache:
        return DynamicCache(config=self._model.config.get_text_config(decoder=True))


def use_own_attention(model: Any) -> None:
    """Let a model attend with transformers' own functions."""
    model.set_attn_implementation("sdpa" if model._supports_sdpa else "eager")


@torch.inference_mode()
def reads_alike(model: Any, vocabulary: int) -> bool:
    """Whether tokens read one by one leave a model where reading them at once does.

    Args:
        model: a transformers model that generates text, on any device.
        vocabulary: token ids are drawn below this.
    """
    device = model.get_input_embeddings().weight.device
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(vocabulary, (1, _READ), generator=generator).to(device)
    at_once = GenerationCache(model).read(tokens).float()
    cache = GenerationCache(model)
    one_by_one = cache.read(tokens[:, :2])
    for at in range(2, _READ):
        one_by_one = cache.read(tokens[:, at : at + 1])
    near = _NEAR.get(model.dtype, _NEAR_IN_HALF) * float(at_once.abs().max())
    return float((at_once - one_by_one.float()).abs().max()) <= near
