"""vLLM's layers with weights W_i + λ·Δ, a λ of its own for each token or row of logits.

The layers stay as they are, with their sharding and collectives; only how they apply their weights
is replaced. Everything is plain torch on fixed buffers, so it can be compiled and captured.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, linear
from vllm.model_executor.layers.layernorm import GemmaRMSNorm, RMSNorm
from vllm.model_executor.layers.linear import (
    LinearBase,
    LinearMethodBase,
    UnquantizedLinearMethod,
)
from vllm.model_executor.layers.vocab_parallel_embedding import (
    UnquantizedEmbeddingMethod,
    VocabParallelEmbedding,
)

from mi_tui.checkpoints.roles import role_of
from mi_tui.engines.vllm.worker.differences import CannotMixError, Difference, Differences
from mi_tui.engines.vllm.worker.lambda_buffers import LambdaBuffers, LambdaColumn
from mi_tui.engines.vllm.worker.recipe_table import Place


@dataclass(frozen=True, slots=True)
class MixedPart:
    """A module to mix: its path, itself, and the differences of its own parameters by name."""

    path: str
    module: nn.Module
    own: dict[str, Difference]

    @property
    def place(self) -> Place:
        """The layer and module kind; a tied head has those of the embedding it shares."""
        role = role_of(next(iter(self.own.values())).name)
        return role.layer, role.kind


def parts_to_mix(model: nn.Module, found: Differences) -> list[MixedPart]:
    """The modules that own a parameter that differs.

    Raises:
        CannotMixError: one of them is of a kind that cannot be mixed in one pass.
    """
    parts = []
    for path, module in model.named_modules():
        named = module.named_parameters(recurse=False)
        own = {name: found[id(value)] for name, value in named if id(value) in found}
        if own:
            _require_known(path, module, own)
            parts.append(MixedPart(path, module, own))
    return parts


def mix(parts: list[MixedPart], lambdas: LambdaBuffers, *, skip_zero: bool) -> None:
    """Make the parts of a loaded and processed model follow λ.

    Args:
        parts: what :func:`parts_to_mix` found.
        lambdas: the buffers.
        skip_zero: leave Δ out of a step whose rows are all at λ = 0. Only without compilation
            and CUDA graphs, which would keep the choice of the moment they were made.
    """
    for part in parts:
        column = lambdas.column(part.place)
        module: Any = part.module
        if isinstance(module, VocabParallelEmbedding):
            module.quant_method = MixedVocabulary(module.quant_method, part.own, column, skip_zero)
        elif isinstance(module, LinearBase):
            module.quant_method = MixedLinear(module.quant_method, part.own, column, skip_zero)
        else:
            norm = MixedRMSNorm(module, part.own["weight"], column, skip_zero)
            module._forward_method = norm


def _require_known(path: str, module: Any, own: dict[str, Difference]) -> None:
    kind = type(module).__name__
    if isinstance(module, VocabParallelEmbedding):
        known = own.keys() == {"weight"} and _is_plain(
            module.quant_method, UnquantizedEmbeddingMethod
        )
    elif isinstance(module, LinearBase):
        returns_bias = "bias" in own and module.skip_bias_add
        two_dimensional = "weight" not in own or own["weight"].delta.dim() == 2
        known = (
            own.keys() <= {"weight", "bias"}
            and two_dimensional
            and not returns_bias
            and _is_plain(module.quant_method, UnquantizedLinearMethod)
        )
    else:
        known = type(module) in (RMSNorm, GemmaRMSNorm) and own.keys() == {"weight"}
    if not known:
        raise CannotMixError(f"{path} is a {kind}, which one pass cannot mix")


def _is_plain(method: Any, plain: type) -> bool:
    return type(method) is plain


class _Mixed(LinearMethodBase):  # type: ignore[misc]  # vLLM is not typed
    """A layer's way to apply its weights, with Δ beside it; all else is the plain way's."""

    def __init__(
        self, plain: Any, own: dict[str, Difference], column: LambdaColumn, skip_zero: bool
    ) -> None:
        self.plain = plain
        self.column = column
        self.skip_zero = skip_zero
        self.delta = own["weight"].delta if "weight" in own else None
        self.bias_delta = own["bias"].delta if "bias" in own else None

    def create_weights(self, *args: Any, **kwargs: Any) -> None:
        """As the plain way does."""
        self.plain.create_weights(*args, **kwargs)

    def process_weights_after_loading(self, layer: nn.Module) -> None:
        """As the plain way does."""
        self.plain.process_weights_after_loading(layer)

    def _mixed(self, layer: nn.Module, x: Tensor, bias: Tensor | None, lambdas: Tensor) -> Tensor:
        y: Tensor = self.plain.apply(layer, x, bias)
        if self.skip_zero and self.column.is_zero:
            return y
        rows = lambdas[: x.shape[0]]
        if self.delta is not None:
            y = y + linear((x * rows).to(x.dtype), self.delta)
        if self.bias_delta is not None and bias is not None:
            y = y + (rows * self.bias_delta).to(y.dtype)
        return y


class MixedLinear(_Mixed):
    """A linear layer: x·W_iᵀ + (λ ⊙ x)·Δᵀ + b, before whatever the ranks then add up or gather."""

    def apply(self, layer: nn.Module, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """``[tokens, in]`` to ``[tokens, out]``, both the rank's own part."""
        return self._mixed(layer, x, bias, self.column.tokens)


class MixedVocabulary(_Mixed):
    """The embedding, the head, or both when they are tied; the vocabulary is padded as vLLM does.

    The embedding sees tokens, the head rows of logits: one for each request and draft.
    """

    def apply(self, layer: nn.Module, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """``[rows of logits, hidden]`` to the rank's part of the logits."""
        return self._mixed(layer, x, bias, self.column.logits)

    def embedding(self, layer: nn.Module, ids: Tensor) -> Tensor:
        """Token ids ``[tokens]`` to ``[tokens, hidden]``."""
        plain: Tensor = self.plain.embedding(layer, ids)
        if self.delta is None or (self.skip_zero and self.column.is_zero):
            return plain
        change = self.column.tokens[: ids.shape[0]] * embedding(ids, self.delta)
        return (plain + change).to(plain.dtype)

    def tie_weights(self, layer: nn.Module, embed_tokens: nn.Module) -> Any:
        """As the plain way does."""
        return self.plain.tie_weights(layer, embed_tokens)


class MixedRMSNorm:
    """An RMS norm, ``w`` or ``1 + w``, whose weight is W_i + λ·Δ for each token: exact, not scaled.

    Takes the place of the layer's own computation; its weight stays with the layer.
    """

    def __init__(
        self, layer: Any, difference: Difference, column: LambdaColumn, skip_zero: bool
    ) -> None:
        self._layer = layer
        self._plain = layer._forward_method
        self._size = getattr(layer, "variance_size_override", None)
        self._adds_one = isinstance(layer, GemmaRMSNorm)
        self._delta = difference.delta
        self._column = column
        self._skip_zero = skip_zero

    def __call__(self, x: Tensor, residual: Tensor | None = None) -> Any:
        """``[tokens, …, size]``; with a residual, both the norm and the new residual."""
        if self._skip_zero and self._column.is_zero:
            return self._plain(x) if residual is None else self._plain(x, residual)
        wide = x.float()
        if residual is not None:
            wide = wide + residual.float()
            residual = wide.to(x.dtype)
        counted = wide if self._size is None else wide[..., : self._size]
        variance = counted.pow(2).mean(dim=-1, keepdim=True)
        wide = wide * torch.rsqrt(variance + self._layer.variance_epsilon)
        weight = self._weight(x)
        normed = (wide.to(weight.dtype) * weight).to(x.dtype)
        return normed if residual is None else (normed, residual)

    def _weight(self, x: Tensor) -> Tensor:
        """The weight of each token, of a shape that broadcasts against ``x``."""
        weight = self._layer.weight
        mixed = weight.float() + self._column.tokens[: x.shape[0]] * self._delta.float()
        mixed = mixed.view(x.shape[0], *[1] * (x.dim() - 2), -1)
        shaped: Tensor = mixed + 1.0 if self._adds_one else mixed.to(weight.dtype)
        return shaped
