"""Spherical linear interpolation (Shoemake 1985, doi 10.1145/325165.325242) of each tensor."""

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from mi_tui.plan.method import (
    LAMBDA,
    METHODS,
    ChunkMerge,
    MergeChunk,
    Mergekit,
    MergeMethod,
    Sum,
    Tensor,
    Values,
)

if TYPE_CHECKING:
    from mi_tui.checkpoints.kernels.numpy_kernel import Floats

PARALLEL = 0.9995
"""The cosine from which a tensor is interpolated linearly, as in mergekit."""

_SMALL = 1e-8
"""The norm up to which a tensor counts as zero, as in mergekit."""


class Slerp(MergeMethod):
    """Each tensor on the arc between its two sides; the angle is that of the whole tensor."""

    name = "slerp"
    order = 50
    title = "SLERP"
    short = "SLERP"
    help = "Interpolates along the arc between both sides; near-parallel tensors linearly."
    takes_lambda = True
    in_paper = True

    def tensor(self, values: Values) -> Sum | ChunkMerge:
        """One pass for norms and angle, a second merges."""
        lambda_ = values[LAMBDA]
        if lambda_ in (0.0, 1.0):
            return Sum("thinking" if lambda_ else "instruct")
        return ChunkMerge(("instruct", "thinking"), partial(_start, lambda_))

    def mergekit(self, values: Values) -> Mergekit:
        """mergekit's method of the same name, whose ``t`` runs from its base model."""
        del values
        return Mergekit("slerp", lambda_="t", lambda_is_shared=True)


def _start(lambda_: float, tensor: Tensor) -> MergeChunk:
    import numpy as np

    squares, product = [0.0, 0.0], 0.0
    for instruct, thinking in tensor.chunks("instruct", "thinking"):
        squares[0] += float(np.square(instruct, dtype=np.float64).sum())
        squares[1] += float(np.square(thinking, dtype=np.float64).sum())
        product += float(np.multiply(instruct, thinking, dtype=np.float64).sum())
    shares = coefficients(lambda_, math.sqrt(squares[0]), math.sqrt(squares[1]), product)
    of_instruct, of_thinking = (np.float32(share) for share in shares)

    def merge(chunk: "Sequence[Floats]") -> "Floats":
        instruct, thinking = chunk
        np.multiply(instruct, of_instruct, out=instruct)
        np.multiply(thinking, of_thinking, out=thinking)
        return np.add(instruct, thinking, out=instruct)

    return merge


def coefficients(
    lambda_: float, norm_instruct: float, norm_thinking: float, product: float
) -> tuple[float, float]:
    """The factors of Instruct and Thinking, from their norms and their inner product."""
    norms = [norm if norm > _SMALL else 1.0 for norm in (norm_instruct, norm_thinking)]
    cosine = max(-1.0, min(1.0, product / norms[0] / norms[1]))
    if not abs(cosine) <= PARALLEL:  # True of NaN, too.
        return 1.0 - lambda_, lambda_
    angle = math.acos(cosine)
    sine = math.sin(angle)
    return math.sin((1.0 - lambda_) * angle) / sine, math.sin(lambda_ * angle) / sine


METHODS.register(Slerp())
