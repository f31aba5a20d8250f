"""λ as it is read back: from the weights of a merged model, and from the outputs of mixed modules.

A module whose λ is wrong by δ gives y* + δ·d, where y* is its right output and d the derivative
by λ. The projection of what it gives on d therefore finds δ, also where δ·d drowns in rounding
number by number: rounding has no direction.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mi_tui.engines.transformers.model.mixed_layers import (
    MixedEmbedding,
    MixedExperts,
    MixedLinear,
    MixedNorm,
    MixedRouter,
)
from mi_tui.engines.transformers.model.pair_tensors import PairTensors, TensorPair
from mi_tui.engines.transformers.weights.interpolate import mix
from mi_tui.plan.recipe import Recipe

TOLERANCE = 0.005
"""By how much λ may be off."""

_DEVIATIONS = 5.0
"""Standard deviations of rounding that are allowed on top."""

_ROUNDINGS = 0.5
"""The standard deviation of a rounded output, in units of eps · |y|: two roundings, and some."""

_CHUNK = 1 << 20
_OUTPUTS = 1 << 16
"""Numbers of output that are asked of a module in half precision for each sequence, about."""

_STEP = 0.01
"""The change of λ from which the derivative of a module is taken that is not linear in it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """λ of one module or tensor: as it should be, as it was found, and how far it may be off."""

    name: str
    wanted: float
    found: float
    tolerance: float

    @property
    def is_right(self) -> bool:
        """Whether λ is as it should be; not so where it is not a number."""
        return abs(self.found - self.wanted) <= self.tolerance

    def __str__(self) -> str:
        return f"{self.name} has λ {self.found:.3f} instead of {self.wanted:.3f}"


def worst(readings: Iterator[Reading]) -> Reading | None:
    """The reading that is wrong by most; ``None`` where all are right."""
    wrong = [reading for reading in readings if not reading.is_right]
    return max(wrong, key=lambda reading: abs(reading.found - reading.wanted), default=None)


@torch.inference_mode()
def of_weights(
    tensors: Mapping[str, Tensor],
    exported: Mapping[str, Tensor],
    pair_tensors: PairTensors,
    recipe: Recipe,
) -> Iterator[Reading]:
    """λ of every tensor of a merged model: λ + ⟨W − W*, Δ⟩ / ⟨Δ, Δ⟩.

    Args:
        tensors: of the merged model, by name.
        exported: W*, the same of the merged checkpoint, rounded to the same dtype.
        pair_tensors: both sides.
        recipe: what both were made by.
    """
    for pair in pair_tensors:
        if not pair.differs or not pair.instruct.is_floating_point():
            continue
        wanted = recipe.lambda_at(pair.role.layer, pair.role.kind)
        sides = tensors[pair.name], exported[pair.name], pair.instruct, pair.thinking
        along = size = spread = 0.0
        for parts in zip(*(torch.split(side.reshape(-1), _CHUNK) for side in sides), strict=True):
            ours, theirs, instruct, thinking = (part.to(sides[0].device).float() for part in parts)
            delta = thinking - instruct
            along += float(torch.dot(ours - theirs, delta))
            size += float(torch.dot(delta, delta))
            spread += float((theirs * delta).square().sum())
        tolerance = TOLERANCE
        if sides[0].dtype != pair_tensors.dtype:
            # Some tensors are kept in float32, and a merged checkpoint rounds them too.
            eps = torch.finfo(pair_tensors.dtype).eps
            tolerance += _DEVIATIONS * _ROUNDINGS * eps * spread**0.5 / size
        yield Reading(pair.name.removesuffix(".weight"), wanted, wanted + along / size, tolerance)


@torch.inference_mode()
def of_outputs(
    mixed: Any,
    plain: Any,
    pair_tensors: PairTensors,
    recipes: Sequence[Recipe],
    fused: Mapping[int, Callable[[Tensor], Tensor]],
) -> Iterator[Reading]:
    """λ of every mixed module for every sequence, from its outputs for random inputs.

    Args:
        mixed: a model with mixed modules, prepared for one sequence of each recipe.
        plain: the same architecture with its own modules; its weights are not used.
        pair_tensors: both sides.
        recipes: one for each sequence.
        fused: what computes a linear layer in its place, by the module's ``id``.
    """
    names = {id(parameter): name for name, parameter in plain.named_parameters()}
    for name, module in mixed.named_modules():
        if isinstance(module, _MIXED):
            twin = plain.get_submodule(name)
            own = {
                at: pair_tensors[names[id(parameter)]]
                for at, parameter in twin.named_parameters(recurse=False)
            }
            yield from _of_module(name, module, module, _Twin(twin, own), recipes)
            if id(module) in fused:
                yield from _of_module(name, module, fused[id(module)], _Twin(twin, own), recipes)


_MIXED = (MixedLinear, MixedEmbedding, MixedNorm, MixedRouter, MixedExperts)


class _Twin:
    """A plain module that computes in float32 with the weights of any λ."""

    def __init__(self, module: nn.Module, own: Mapping[str, TensorPair]) -> None:
        self.module = module
        self.own = own
        self.role = next(iter(own.values())).role
        self.first = next(iter(own.values())).instruct
        # What a module does not mix has the dtype of the model.
        self._buffers = {
            name: buffer.to(self.first.dtype).float() if buffer.is_floating_point() else buffer
            for name, buffer in module.named_buffers(recurse=False)
        }

    def __call__(self, lambda_: float, inputs: Sequence[Tensor], *, rounded: bool) -> Tensor:
        """The output at λ; ``rounded``: with weights that are rounded to the model's dtype."""
        weights = {name: self._mixed(pair, lambda_, rounded) for name, pair in self.own.items()}
        floats = tuple(x.float() if x.is_floating_point() else x for x in inputs)
        return _numbers(functional_call(self.module, {**weights, **self._buffers}, floats))

    def rows(self, lambda_: float, ids: Tensor) -> Tensor:
        """An embedding's rows of some ids, rounded and scaled."""
        pair = self.own["weight"]
        found = mix(pair.instruct[ids], pair.thinking[ids], lambda_).float()
        scale: Tensor | None = self._buffers.get("embed_scale")
        return found if scale is None else found * scale

    @staticmethod
    def _mixed(pair: TensorPair, lambda_: float, rounded: bool) -> Tensor:
        dtype = pair.instruct.dtype if rounded else torch.float32
        return mix(pair.instruct, pair.thinking, lambda_, out_dtype=dtype).float()


def _of_module(
    name: str,
    module: nn.Module,
    compute: Callable[..., Any],
    twin: _Twin,
    recipes: Sequence[Recipe],
) -> Iterator[Reading]:
    inputs = _inputs(module, twin, len(recipes))
    outputs = _numbers(compute(*inputs)).float()
    outputs = outputs.reshape(len(recipes), -1)
    for at, recipe in enumerate(recipes):
        wanted = recipe.lambda_at(twin.role.layer, twin.role.kind)
        share = [x[at * len(x) // len(recipes) : (at + 1) * len(x) // len(recipes)] for x in inputs]
        right, slope = (side.flatten() for side in _expected(module, twin, wanted, share))
        size = float(torch.dot(slope, slope))
        if size == 0.0:
            continue
        off = float(torch.dot(outputs[at] - right, slope)) / size
        # A norm's output is not rounded: what it is given has float32.
        dtype = torch.float32 if isinstance(module, MixedNorm) else twin.first.dtype
        noise = _ROUNDINGS * torch.finfo(dtype).eps * float((right * slope).norm())
        tolerance = TOLERANCE + _DEVIATIONS * noise / size
        yield Reading(name, wanted, wanted + off, tolerance)


def _expected(
    module: nn.Module, twin: _Twin, lambda_: float, inputs: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """The right output of a module, and its derivative by λ."""
    if isinstance(module, MixedEmbedding):
        (ids,) = inputs
        return twin.rows(lambda_, ids), twin.rows(1.0, ids) - twin.rows(0.0, ids)
    if isinstance(module, MixedNorm):
        # Its mixed weight is rounded, as a merged checkpoint's is.
        right = twin(lambda_, inputs, rounded=True)
        return right, twin(1.0, inputs, rounded=True) - twin(0.0, inputs, rounded=True)
    if isinstance(module, MixedLinear):
        instruct, thinking = (twin(side, inputs, rounded=False) for side in (0.0, 1.0))
        slope = thinking - instruct
        return instruct + lambda_ * slope, slope
    right = twin(lambda_, inputs, rounded=False)
    return right, (twin(lambda_ + _STEP, inputs, rounded=False) - right) / _STEP


def _inputs(module: nn.Module, twin: _Twin, sequences: int) -> tuple[Tensor, ...]:
    """Random inputs in the model's dtype, for the sequences one after the other."""
    like = twin.first
    generator = torch.Generator().manual_seed(0)
    # Linear layers and routers write dim 0, experts and embeddings their last one.
    outputs = len(like) if isinstance(module, MixedLinear | MixedRouter) else like.shape[-1]
    wanted = _OUTPUTS if like.dtype.itemsize < 4 else _OUTPUTS >> 4
    rows = max(4, min(256, wanted // outputs))
    if isinstance(module, MixedEmbedding):
        differing = (like != twin.own["weight"].thinking).any(-1).nonzero().flatten()
        chosen = torch.randint(len(differing), (sequences, rows), generator=generator)
        return (differing[chosen.to(differing.device)],)
    if isinstance(module, MixedExperts):
        experts = len(like)
        rows = max(rows, experts)
        gate_up = twin.own["gate_up_proj"].instruct
        x = torch.randn(sequences * rows, gate_up.shape[2], generator=generator)
        first = torch.arange(sequences * rows) % experts
        chosen = torch.stack([first, (first + 1) % experts], 1)[:, : min(2, experts)]
        shares = torch.rand(chosen.shape, generator=generator)
        return x.to(like), chosen.to(like.device), shares.to(like)
    x = torch.randn(sequences, rows, like.shape[-1], generator=generator).to(like.device)
    if isinstance(module, MixedNorm):
        return (x[:, :, None],)  # with a dimension for heads, which some norms are given
    x = x.to(like)
    return (x.flatten(0, 1),) if isinstance(module, MixedRouter) else (x,)


def _numbers(output: Any) -> Tensor:
    """The tensor of floating-point numbers in an output, the largest of several."""
    parts = output if isinstance(output, tuple) else (output,)
    floating = [part for part in parts if isinstance(part, Tensor) and part.is_floating_point()]
    return max(floating, key=Tensor.numel)
