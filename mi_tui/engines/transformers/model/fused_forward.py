"""The forward pass of Llama-like models with a third of the operations.

A small model's step is bound by the number of operations, not by their size: transformers' own
forward pass takes some sixty for each layer. Here q, k and v are one product, gate and up another,
the heads of q and k are normalised and rotated together, and with a λ for each sequence W_i + λ·Δ
is one product too: [x, λ ⊙ x]·[W_i, Δ]ᵀ.

Only architectures whose layers are known to be computed this way are taken, and the start-up
check compares the result with transformers' own; what does not fit or differs goes on with
:class:`~mi_tui.engines.transformers.model.forward.PlainForward`.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, rms_norm

from mi_tui.engines.transformers.model.attention import slot_attention
from mi_tui.engines.transformers.model.forward import Forward, PlainForward
from mi_tui.engines.transformers.model.mixed_layers import MixedLinear, MixedNorm
from mi_tui.engines.transformers.model.slot_cache import SlotCache

_LLAMA_LIKE = frozenset(
    {
        "LlamaForCausalLM",
        "MistralForCausalLM",
        "Qwen2ForCausalLM",
        "Qwen3ForCausalLM",
        "Qwen3MoeForCausalLM",
    }
)


def can_fuse(model: Any) -> bool:
    """Whether a transformers model is computed as :class:`FusedForward` computes.

    Not when its parts carry hooks, as those of a model that is split over devices.
    """
    kind = type(model)
    known = kind.__name__ in _LLAMA_LIKE and kind.__module__.startswith("transformers.models.")
    return known and not any(hasattr(module, "_hf_hook") for module in model.modules())


def forward_of(model: Any, *, fuse: bool = True) -> Forward:
    """The forward pass with the fewest operations that this model allows."""
    return FusedForward(model) if fuse and can_fuse(model) else PlainForward(model)


class FusedForward:
    """See :class:`~mi_tui.engines.transformers.model.forward.Forward`.

    The model's linear layers become views of the stacked weights, so that whoever writes to them
    writes here, and a single model takes no more memory than before.

    Args:
        model: a model that :func:`can_fuse` takes; its modules may be mixed ones.
    """

    def __init__(self, model: Any) -> None:
        body = model.model
        self._embed = body.embed_tokens
        self._rotate = body.rotary_emb
        self._layers = [_Layer(layer, at) for at, layer in enumerate(body.layers)]
        self._norm = _Norm(body.norm)
        self._head = _stack([model.lm_head])
        self._dim = body.layers[0].self_attn.head_dim

    def __call__(
        self, tokens: Tensor, positions: Tensor, slots: SlotCache, last: Tensor | None = None
    ) -> Tensor:
        """See :class:`~mi_tui.engines.transformers.model.forward.Forward`."""
        hidden: Tensor = self._embed(tokens)
        cos, sin = self._rotate(hidden, positions)
        half = self._dim // 2
        # The first half turns by −sin: with the sign here, rolling the halves is all that is left.
        turn = cos[:, :, None], torch.cat((-sin[..., :half], sin[..., half:]), -1)[:, :, None]
        for layer in self._layers:
            hidden = layer(hidden, turn, slots)
        if last is not None:
            hidden = hidden[torch.arange(len(last), device=hidden.device), last][:, None]
        return self._head(self._norm(hidden))[:, -1]

    def refresh(self) -> None:
        """Take note that the weights, or the sequences' λ, have changed."""
        for layer in self._layers:
            layer.refresh()

    def mixed_parts(self) -> dict[int, Callable[[Tensor], Tensor]]:
        """What computes each mixed linear layer here, by the ``id`` of its module."""
        stacks = [self._head, *(stack for layer in self._layers for stack in layer.stacks)]
        found: dict[int, Callable[[Tensor], Tensor]] = {}
        for stack in stacks:
            if isinstance(stack, _MixedStack):
                found |= stack.parts()
        return found


class _Layer:
    """A decoder layer: attention and FFN, each after a norm and added to what came in."""

    def __init__(self, layer: Any, number: int) -> None:
        attention = layer.self_attn
        self._attention = attention
        self._number = number
        self._dim: int = attention.head_dim
        self._scaling: float = attention.scaling
        self._window = _window_of(attention)
        self._before_attention = _Norm(layer.input_layernorm)
        self._qkv = _stack([attention.q_proj, attention.k_proj, attention.v_proj])
        self._out = _stack([attention.o_proj])
        self._queries = attention.q_proj.out_features // self._dim
        self._rotated = self._queries + attention.k_proj.out_features // self._dim
        self._head_norm = _HeadNorm.of(attention, self._queries, self._rotated)
        self._before_ffn = _Norm(layer.post_attention_layernorm)
        self._ffn = _Ffn(layer.mlp) if hasattr(layer.mlp, "gate_proj") else layer.mlp

    def __call__(self, hidden: Tensor, turn: tuple[Tensor, Tensor], slots: SlotCache) -> Tensor:
        """``[batch, tokens, hidden]`` to the same."""
        hidden = hidden + self._attend(self._before_attention(hidden), turn, slots)
        return hidden + self._ffn(self._before_ffn(hidden))

    @property
    def stacks(self) -> "tuple[_PlainStack | _MixedStack, ...]":
        ffn = self._ffn.stacks if isinstance(self._ffn, _Ffn) else ()
        return (self._qkv, self._out, *ffn)

    def refresh(self) -> None:
        if self._head_norm is not None:
            self._head_norm.refresh()

    def _attend(self, x: Tensor, turn: tuple[Tensor, Tensor], slots: SlotCache) -> Tensor:
        heads = self._qkv(x).view(*x.shape[:2], -1, self._dim)
        turned = heads[:, :, : self._rotated]
        if self._head_norm is not None:
            turned = self._head_norm(turned)
        cos, sin = turn
        turned = torch.addcmul(turned * cos, turned.roll(self._dim // 2, -1), sin).transpose(1, 2)
        keys, values = slots.update(
            turned[:, self._queries :],
            heads[:, :, self._rotated :].transpose(1, 2),
            self._number,
        )
        found, _ = slot_attention(
            self._attention,
            turned[:, : self._queries],
            keys,
            values,
            None,
            slots=slots,
            scaling=self._scaling,
            sliding_window=self._window,
        )
        return self._out(found.flatten(2))


class _Ffn:
    """act(gate) ⊙ up, projected down."""

    def __init__(self, module: Any) -> None:
        self._gate_up = _stack([module.gate_proj, module.up_proj])
        self._down = _stack([module.down_proj])
        self._act: Any = module.act_fn

    @property
    def stacks(self) -> "tuple[_PlainStack | _MixedStack, ...]":
        return self._gate_up, self._down

    def __call__(self, x: Tensor) -> Tensor:
        gate, up = self._gate_up(x).chunk(2, -1)
        return self._down(self._act(gate) * up)


class _Norm:
    """An RMS norm over the last dimension."""

    def __init__(self, module: Any) -> None:
        self._mixed = module if isinstance(module, MixedNorm) else None
        plain = module if self._mixed is None else self._mixed.plain
        self._weight: Tensor | None = None if self._mixed else plain.weight
        self._eps: float = plain.variance_epsilon

    def __call__(self, x: Tensor) -> Tensor:
        normed = rms_norm(x, x.shape[-1:], self._weight, self._eps)
        return normed if self._mixed is None else normed * self._mixed.sequence_weight(x.dim())


class _HeadNorm:
    """The norms of Qwen3's query and key heads, at once."""

    def __init__(self, queries: Any, keys: Any, counts: tuple[int, int]) -> None:
        self._norms = queries, keys
        self._counts = counts
        plain = queries.plain if isinstance(queries, MixedNorm) else queries
        self._eps: float = plain.variance_epsilon
        self._weight = torch.empty(0)

    @classmethod
    def of(cls, attention: Any, queries: int, heads: int) -> "_HeadNorm | None":
        """The norms of an attention layer that has them."""
        if not hasattr(attention, "q_norm"):
            return None
        return cls(attention.q_norm, attention.k_norm, (queries, heads - queries))

    def refresh(self) -> None:
        weights = [
            norm.sequence_weight(4)
            if isinstance(norm, MixedNorm)
            else norm.weight.view(1, 1, 1, -1)
            for norm in self._norms
        ]
        sequences = max(len(weight) for weight in weights)
        self._weight = torch.cat(
            [
                weight.expand(sequences, 1, count, -1)
                for weight, count in zip(weights, self._counts, strict=True)
            ],
            2,
        )

    def __call__(self, heads: Tensor) -> Tensor:
        """``[batch, tokens, heads, head_dim]`` to the same."""
        return rms_norm(heads, heads.shape[-1:], None, self._eps) * self._weight


class _PlainStack:
    """Linear layers that read the same, as one product."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self._weight = parts[0].weight
        self._bias = parts[0].bias
        if len(parts) > 1:
            self._weight = torch.cat([part.weight.data for part in parts])
            _make_views([part.weight for part in parts], self._weight)
            if any(part.bias is not None for part in parts):
                self._bias = torch.cat([part.bias.data for part in parts])
                _make_views([part.bias for part in parts], self._bias)

    def __call__(self, x: Tensor) -> Tensor:
        return linear(x, self._weight, self._bias)


class _MixedStack:
    """Linear layers of one input with a λ per sequence: [x, λ ⊙ x]·[W_i, Δ]ᵀ + b + λ·Δb."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self._sequence = next(part.sequence for part in parts if isinstance(part, MixedLinear))
        self._parts = tuple(parts)
        weights = [part.weight.data for part in parts]
        deltas = [_delta_of(part) for part in parts]
        self._both = torch.cat([torch.cat(weights), torch.cat(deltas)], 1)
        size = weights[0].shape[1]
        self._instruct = self._both[:, :size]
        start = 0
        for part in parts:
            if isinstance(part, MixedLinear) and part.delta is not None:
                part.delta = self._both[start : start + part.out_features, size:].t()
            start += part.out_features
        biases = [part.bias for part in parts]
        self._bias = None if biases[0] is None else torch.cat(biases)
        self._bias_delta: Tensor | None = None
        if any(getattr(part, "bias_delta", None) is not None for part in parts):
            self._bias_delta = torch.cat([_bias_delta_of(part) for part in parts])

    def __call__(self, x: Tensor) -> Tensor:
        sequence = self._sequence
        if sequence.is_zero:
            return linear(x, self._instruct, self._bias)
        both = (x.unsqueeze(2) * sequence.scale).flatten(2)
        if both.dtype is not x.dtype:
            both = both.to(x.dtype)
        y = linear(both, self._both, self._bias)
        if self._bias_delta is not None:
            y += (sequence.column[:, None] * self._bias_delta).to(y.dtype)
        return y

    def parts(self) -> dict[int, Callable[[Tensor], Tensor]]:
        """The share of each mixed layer, by the ``id`` of its module."""

        def share(start: int, end: int) -> Callable[[Tensor], Tensor]:
            return lambda x: self(x)[..., start:end]

        ends = list(accumulate(part.out_features for part in self._parts))
        return {
            id(part): share(end - part.out_features, end)
            for part, end in zip(self._parts, ends, strict=True)
            if isinstance(part, MixedLinear)
        }


def _stack(parts: Sequence[Any]) -> _PlainStack | _MixedStack:
    mixed = any(isinstance(part, MixedLinear) for part in parts)
    return _MixedStack(parts) if mixed else _PlainStack(parts)


def _make_views(parameters: Sequence[nn.Parameter], stacked: Tensor) -> None:
    """Let parameters be the parts of one tensor, in their order."""
    lengths = [len(parameter) for parameter in parameters]
    for parameter, view in zip(parameters, torch.split(stacked, lengths), strict=True):
        parameter.data = view


def _delta_of(part: Any) -> Tensor:
    delta: Tensor | None = part.delta if isinstance(part, MixedLinear) else None
    return torch.zeros_like(part.weight) if delta is None else delta.t()


def _bias_delta_of(part: Any) -> Tensor:
    delta: Tensor | None = part.bias_delta if isinstance(part, MixedLinear) else None
    return torch.zeros_like(part.bias) if delta is None else delta


def _window_of(attention: Any) -> int | None:
    """The sliding window of a layer; Mistral keeps it in its configuration."""
    own = attention.sliding_window if hasattr(attention, "sliding_window") else None
    if hasattr(attention, "sliding_window") or attention.config.model_type != "mistral":
        return own
    window: int | None = getattr(attention.config, "sliding_window", None)
    return window
