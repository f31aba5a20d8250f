"""Interpolation kernels in torch, for an engine that holds both checkpoints in memory.

They do exactly the arithmetic of ``numpy_kernel`` (the kernel for files), step by step and
unfused, so that a model mixed in memory and one merged on disk agree bit for bit in every dtype.
"""

from collections.abc import Collection

import torch
from torch import Tensor

_WIDE = frozenset({torch.float32, torch.float64})
_CHUNK = {"cpu": 1 << 17}
_LARGE_CHUNK = 1 << 24
"""Elements handled at once: on the CPU what its cache holds, elsewhere what bounds the memory."""


def mix(
    instruct: Tensor,
    thinking: Tensor,
    lambda_: float,
    *,
    out_dtype: torch.dtype | None = None,
    stored: Collection[torch.dtype] | None = None,
) -> Tensor:
    """W(λ) = W_i + λ·(W_t − W_i), rounded once at the end.

    In float32 inside where the files hold 16-bit numbers, in float64 where they hold longer ones.

    Args:
        instruct: weights of any shape and dtype; integer and boolean tensors must be equal on
            both sides and are returned as they are.
        thinking: weights of the same shape, on the same device.
        lambda_: 0 returns Instruct's weights and 1 Thinking's, bit for bit.
        out_dtype: dtype of the result; ``None``: Instruct's.
        stored: the dtypes in the files of both sides; ``None``: those of the tensors.

    Returns:
        A new tensor of the inputs' shape.

    Raises:
        ValueError: the shapes differ, or integer tensors do.
    """
    out = torch.empty_like(instruct, dtype=out_dtype or instruct.dtype)
    return mix_into(out, instruct, thinking, lambda_, stored=stored)


def mix_into(
    out: Tensor,
    instruct: Tensor,
    thinking: Tensor,
    lambda_: float,
    *,
    stored: Collection[torch.dtype] | None = None,
) -> Tensor:
    """Write W(λ) into ``out``, whose dtype is that of the result, and return it.

    ``out`` may be ``instruct`` or ``thinking`` itself. On the CPU the work goes through the
    tensors once, in pieces that stay in the cache; shapes, λ and errors as in :func:`mix`.
    """
    if instruct.shape != thinking.shape or out.shape != instruct.shape:
        raise ValueError(
            f"shapes differ: {tuple(instruct.shape)} and {tuple(thinking.shape)} "
            f"into {tuple(out.shape)}"
        )
    with torch.no_grad():
        if not instruct.is_floating_point():
            if not torch.equal(instruct, thinking):
                raise ValueError("integer tensors differ: they are compared, not mixed")
            return out.copy_(instruct)
        if lambda_ in (0.0, 1.0):
            return out.copy_(thinking if lambda_ else instruct)
        blend = _blend
        if not _WIDE.isdisjoint(stored or (instruct.dtype, thinking.dtype)):
            blend = _blend_doubles
        flat = (out, instruct, thinking)
        if not all(tensor.is_contiguous() for tensor in flat):
            return _round_into(out, blend(instruct, thinking, lambda_))
        size = _CHUNK.get(out.device.type, _LARGE_CHUNK)
        pieces = [torch.split(tensor.view(-1), size) for tensor in flat]
        for part, i, t in zip(*pieces, strict=True):
            _round_into(part, blend(i, t, lambda_))
    return out


def _blend(instruct: Tensor, thinking: Tensor, lambda_: float) -> Tensor:
    # One operation at a time: add with alpha or lerp would fuse and round differently.
    anchor = instruct.float()
    return thinking.to(torch.float32, copy=True).sub_(anchor).mul_(lambda_).add_(anchor)


def _blend_doubles(instruct: Tensor, thinking: Tensor, lambda_: float) -> Tensor:
    anchor = instruct.double()
    return thinking.to(torch.float64, copy=True).sub_(anchor).mul_(lambda_).add_(anchor)


def _round_into(out: Tensor, values: Tensor) -> Tensor:
    """Round to ``out``'s dtype, once: torch takes a float64 to 16 bits by way of float32."""
    if values.dtype is torch.float64 and out.dtype in (torch.bfloat16, torch.float16):
        values = _to_odd(values)
    return out.copy_(values)


def _to_odd(values: Tensor) -> Tensor:
    """Float32 towards zero, the last bit set where it is not exact; see ``numpy_kernel``."""
    near = values.float()
    difference = near.double() - values
    inexact = (difference != 0) & values.isfinite()
    beyond = inexact & ((near > 0) == (difference > 0)) & (near != 0)
    bits = near.view(torch.int32)
    return bits.sub_(beyond.int()).bitwise_or_(inexact.int()).view(torch.float32)
