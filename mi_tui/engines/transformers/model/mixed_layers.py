"""Layers with weights W_i + λ·Δ and a λ of its own for each sequence of the batch.

All of them share Instruct's tensors with the pair and add only Δ = W_t − W_i. λ is kept in
float32; products are rounded to the model's dtype.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import embedding, layer_norm, linear

from mi_tui.checkpoints.roles import TensorRole
from mi_tui.engines.transformers.model.pair_tensors import TensorPair

_grouped_mm = getattr(functional, "grouped_mm", None)
"""One product per expert in one launch; torch has it from 2.10 on."""

_GROUPED = frozenset({"cuda"})
"""Devices on which experts are grouped; a CPU has nothing to launch, and takes one at a time."""


class SequenceLambda:
    """λ of each sequence of the batch for one layer and module kind.

    ``column`` is float32 of shape ``[batch, 1]``, and ``scale`` (1, λ), of shape
    ``[batch, 1, 2, 1]``; ``is_zero`` says that every sequence has Instruct's weights here.
    """

    def __init__(self, role: TensorRole) -> None:
        self.role = role
        self.column = torch.zeros(1, 1)
        self.scale = torch.zeros(1, 1, 2, 1)
        self.is_zero = True

    def for_tokens(self, count: int) -> Tensor:
        """λ of each of ``count`` tokens, sequences one after the other: ``[count, 1]``."""
        tokens = count // len(self.column)
        return self.column if tokens == 1 else self.column.repeat_interleave(tokens, 0)


class MixedLinear(nn.Module):
    """A linear layer: x·W_iᵀ + (λ ⊙ x)·Δᵀ + b."""

    def __init__(
        self,
        plain: nn.Linear,
        weight: TensorPair,
        bias: TensorPair | None,
        sequence: SequenceLambda,
    ) -> None:
        super().__init__()
        self.weight = plain.weight
        self.bias = plain.bias
        self.in_features, self.out_features = plain.in_features, plain.out_features
        self.delta = weight.delta().t() if weight.differs else None
        self.bias_delta = bias.delta() if bias is not None and bias.differs else None
        self.sequence = sequence
        # Beside the registered parameters, which torch looks up slowly.
        self._plain = (plain.weight, plain.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, tokens, in]`` or ``[batch · tokens, in]`` to the same with ``out``."""
        weight, bias = self._plain
        y = linear(x, weight, bias)
        if self.sequence.is_zero:
            return y
        flat = x if x.dim() == 2 else x.reshape(-1, self.in_features)
        lambda_ = self.sequence.for_tokens(len(flat))
        change = y.view(-1, self.out_features)
        if self.delta is not None:
            scaled = flat * lambda_
            change.addmm_(scaled if scaled.dtype is y.dtype else scaled.to(y.dtype), self.delta)
        if self.bias_delta is not None:
            change += (lambda_ * self.bias_delta).to(y.dtype)
        return y


class MixedEmbedding(nn.Module):
    """An embedding, with the scale that some architectures put after it."""

    def __init__(
        self, plain: nn.Embedding, tensor_pair: TensorPair, sequence: SequenceLambda
    ) -> None:
        super().__init__()
        self.weight = plain.weight
        self._scale = getattr(plain, "embed_scale", None)
        self._delta = tensor_pair.delta()
        self._sequence = sequence

    def forward(self, ids: Tensor) -> Tensor:
        """Token ids ``[batch, tokens]`` to ``[batch, tokens, hidden]``."""
        mixed = embedding(ids, self.weight)
        if not self._sequence.is_zero:
            change = self._sequence.column[:, :, None] * embedding(ids, self._delta)
            mixed = (mixed + change).to(mixed.dtype)
        return mixed if self._scale is None else mixed * self._scale.to(mixed.dtype)


class MixedNorm(nn.Module):
    """A norm whose weight and bias follow each sequence's λ.

    The architecture's own norm does the work, with its epsilon, its dtypes and its ``w`` or
    ``1 + w``: only its weight is replaced, by one that has a value for each sequence.
    """

    def __init__(
        self, plain: nn.Module, pair_tensors: dict[str, TensorPair], sequence: SequenceLambda
    ) -> None:
        super().__init__()
        self.plain: Any = _AnyShapeLayerNorm(plain) if isinstance(plain, nn.LayerNorm) else plain
        self._sides = {name: (s.instruct, s.delta()) for name, s in pair_tensors.items()}
        for name in self._sides:
            del self.plain._parameters[name]
        self._sequence = sequence
        self._followed: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, …, size]`` to the same shape."""
        self._follow(x.dim())
        normed: Tensor = self.plain(x)
        return normed

    def sequence_weight(self, dimensions: int) -> Tensor:
        """The weight of each sequence, ``[batch, 1, …, size]``, for an input of ``dimensions``."""
        self._follow(dimensions)
        weight: Tensor = self.plain.weight
        return weight

    def _follow(self, dimensions: int) -> None:
        column = self._sequence.column
        if self._followed is column:
            return
        for name, (instruct, delta) in self._sides.items():
            mixed = (instruct + column * delta).to(instruct.dtype)
            setattr(self.plain, name, mixed.view(len(column), *[1] * (dimensions - 2), -1))
        self._followed = column


class MixedRouter(nn.Module):
    """A router of experts: the architecture's own, with logits x·W_iᵀ + λ ⊙ (x·Δᵀ)."""

    def __init__(self, plain: nn.Module, tensor_pair: TensorPair, sequence: SequenceLambda) -> None:
        super().__init__()
        del plain._parameters["weight"]
        # No tensor, but all that the router's own code does with it is to call linear.
        plain.weight = _SequenceWeight(tensor_pair.instruct, tensor_pair.delta(), sequence)  # type: ignore[assignment]
        self._plain = plain

    def forward(self, hidden: Tensor) -> Any:
        """Whatever the architecture's router returns."""
        return self._plain(hidden)


class MixedExperts(nn.Module):
    """Stacked experts (``gate_up_proj`` and ``down_proj`` of shape [experts, out, in])."""

    def __init__(
        self, plain: nn.Module, gate_up: TensorPair, down: TensorPair, sequence: SequenceLambda
    ) -> None:
        super().__init__()
        self._gate_up, self._down = gate_up.instruct, down.instruct
        self._gate_up_delta, self._down_delta = gate_up.delta(), down.delta()
        self._act: Any = plain.act_fn
        self._sequence = sequence

    def forward(self, hidden: Tensor, chosen: Tensor, shares: Tensor) -> Tensor:
        """Send each token to its experts and add up what they say.

        Args:
            hidden: ``[tokens, hidden]``.
            chosen: the experts of each token, ``[tokens, k]``.
            shares: their weights, ``[tokens, k]``.
        """
        lambda_ = self._sequence.for_tokens(len(hidden))
        if hidden.device.type in _GROUPED and _grouped_mm is not None:
            return self._grouped(hidden, chosen, shares, lambda_)
        mixed = torch.zeros_like(hidden)
        for expert in sorted(set(chosen.flatten().tolist())):
            token, place = torch.where(chosen == expert)
            at = lambda_[token]
            gate, up = _mixed_linear(
                hidden[token], self._gate_up[expert], self._gate_up_delta[expert], at
            ).chunk(2, dim=-1)
            out = _mixed_linear(
                self._act(gate) * up, self._down[expert], self._down_delta[expert], at
            )
            mixed.index_add_(0, token, (out * shares[token, place, None]).to(mixed.dtype))
        return mixed

    def _grouped(self, hidden: Tensor, chosen: Tensor, shares: Tensor, lambda_: Tensor) -> Tensor:
        """All experts in a few products, without asking the device which ones were chosen."""
        experts, order = chosen.flatten().sort(stable=True)
        token = order // chosen.shape[1]
        numbers = torch.arange(len(self._down), device=experts.device)
        ends = torch.searchsorted(experts, numbers, right=True).int()
        at = lambda_[token]
        x = hidden[token]
        gate, up = _grouped_linear(x, self._gate_up, self._gate_up_delta, at, ends).chunk(2, -1)
        out = _grouped_linear(self._act(gate) * up, self._down, self._down_delta, at, ends)
        out = out * shares.flatten()[order, None]
        back = torch.empty_like(order).index_copy_(
            0, order, torch.arange(len(order), device=order.device)
        )
        mixed: Tensor = out[back].view(*chosen.shape, -1).sum(1)
        return mixed.to(hidden.dtype)


def _grouped_linear(
    x: Tensor, weight: Tensor, delta: Tensor, lambda_: Tensor, ends: Tensor
) -> Tensor:
    grouped: Any = _grouped_mm
    changed = (x * lambda_).to(x.dtype)
    plain: Tensor = grouped(x, weight.transpose(1, 2), offs=ends)
    change: Tensor = grouped(changed, delta.transpose(1, 2), offs=ends)
    return plain + change


def _mixed_linear(x: Tensor, weight: Tensor, delta: Tensor, lambda_: Tensor) -> Tensor:
    return linear(x, weight).addmm_((x * lambda_).to(x.dtype), delta.t())


class _SequenceWeight:
    """Stands in for a weight in ``linear(x, weight)`` inside someone else's forward."""

    def __init__(self, instruct: Tensor, delta: Tensor, sequence: SequenceLambda) -> None:
        self._instruct, self._delta, self._sequence = instruct, delta, sequence

    def type(self, dtype: torch.dtype) -> "_SequenceWeight":
        """The same in another dtype."""
        return _SequenceWeight(self._instruct.to(dtype), self._delta.to(dtype), self._sequence)

    to = type

    def float(self) -> "_SequenceWeight":
        """The same in float32."""
        return self.type(torch.float32)

    @classmethod
    def __torch_function__(
        cls, function: Any, _: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if (
            function is not linear
            or kwargs
            or len(args) not in (2, 3)
            or args[2:] not in ((), (None,))
        ):
            return NotImplemented
        x, weight = args[:2]
        lambda_ = weight._sequence.for_tokens(len(x))
        return _mixed_linear(x, weight._instruct, weight._delta, lambda_)


class _AnyShapeLayerNorm(nn.Module):
    """LayerNorm with a weight of any shape that broadcasts, which torch's own refuses."""

    def __init__(self, plain: nn.LayerNorm) -> None:
        super().__init__()
        self._shape, self._eps = plain.normalized_shape, plain.eps
        # Nemotron's scales by 1 + w.
        self._offset = 1.0 if type(plain).__name__.endswith("LayerNorm1P") else 0.0
        self.weight, self.bias = plain.weight, plain.bias

    def forward(self, x: Tensor) -> Tensor:
        normed = layer_norm(x, self._shape, eps=self._eps) * (self.weight + self._offset)
        return normed if self.bias is None else normed + self.bias
