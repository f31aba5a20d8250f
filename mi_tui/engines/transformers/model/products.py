"""Matrix products on a CPU, by whichever of torch's two libraries is faster for their size."""

import torch
from torch import Tensor
from torch.nn.functional import linear

_MANY_TOKENS = 48
"""From so many tokens on oneDNN's faster kernels make up for what a call of it costs (measured on
an AMD EPYC, where MKL, torch's own choice for float32, takes up to twice as long)."""

# torch gives the first no types.
_ONEDNN: bool = (
    torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
)


def product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x·Wᵀ + b as ``torch.nn.functional.linear`` computes it, in the same dtype.

    Args:
        x: ``[batch, tokens, in]``.
        weight: ``[out, in]``, contiguous.
        bias: ``[out]``.
    """
    many = x.shape[0] * x.shape[1] >= _MANY_TOKENS
    if many and _ONEDNN and x.dtype is torch.float32 and x.device.type == "cpu":
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], None)
        return y
    return linear(x, weight, bias)
