"""The mixing kernel for files: NumPy over raw bytes, in float32, one rounding at the end.

``anchor + Σ weightₖ · (sourceₖ − anchor)`` covers every method: interpolation and weighted sums
anchor on the first checkpoint, task arithmetic on the base. NumPy has no bfloat16, so its bits
are handled as integers; that is as fast as torch here and spares its import.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

CHUNK = 1 << 17
"""Elements handled at once: the float32 buffers of one chunk stay in the cache."""

Floats = np.ndarray[Any, np.dtype[np.float32]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]

WIDTH = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""Bytes per element of the dtypes that can be mixed."""

_NUMPY: dict[str, type[np.generic]] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": np.uint16,
}
_EXPONENT = {"F16": 0x7C00, "BF16": 0x7F80}


class Workspace:
    """The buffers of one thread, reused for every chunk."""

    def __init__(self) -> None:
        self.source = np.empty(CHUNK, np.float32)
        self.result = np.empty(CHUNK, np.float32)
        self.bits = np.empty(CHUNK, np.uint32)
        self.raw_in = np.empty(CHUNK * 8, np.uint8)
        self.raw_out = np.empty(CHUNK * 8, np.uint8)


def widen(raw: Bytes, dtype: str, out: Floats) -> None:
    """Turn the bytes of one chunk into float32 (float64 is rounded, all others are exact).

    Args:
        raw: the chunk's little-endian bytes.
        dtype: F64, F32, F16 or BF16.
        out: receives as many elements as ``raw`` holds.
    """
    values = raw.view(_NUMPY[dtype])
    if dtype == "BF16":
        bits = out.view(np.uint32)
        np.copyto(bits, values)
        np.left_shift(bits, 16, out=bits)
    else:
        np.copyto(out, values, casting="same_kind")


def blend(anchor: Floats, sources: Sequence[tuple[float, Floats]], out: Floats) -> None:
    """``out = anchor + Σ weight · (source − anchor)``; the sources are overwritten.

    ``out`` may not be the anchor. The order of operations is part of the contract: ``mix`` in
    torch repeats it.
    """
    first = True
    for weight, source in sources:
        np.subtract(source, anchor, out=source)
        np.multiply(source, np.float32(weight), out=source)
        np.add(anchor if first else out, source, out=out)
        first = False
    if first:
        np.copyto(out, anchor)


def narrow(values: Floats, dtype: str, space: Workspace) -> Bytes:
    """Round float32 to the nearest of ``dtype``, ties to even; returns bytes in the workspace.

    ``values`` is used up. NaN stays NaN.
    """
    count = len(values)
    if dtype == "BF16":
        if np.isnan(values.max()):
            values[np.isnan(values)] = np.nan  # Other NaN patterns would carry over into a zero.
        bits, odd = values.view(np.uint32), space.bits[:count]
        np.right_shift(bits, 16, out=odd)
        np.bitwise_and(odd, 1, out=odd)
        np.add(odd, 0x7FFF, out=odd)
        np.add(bits, odd, out=bits)
        np.right_shift(bits, 16, out=bits)
        values = bits  # type: ignore[assignment]
    raw = space.raw_out[: count * WIDTH[dtype]]
    with np.errstate(over="ignore"):  # An overflow to Inf is found by has_nonfinite.
        np.copyto(raw.view(_NUMPY[dtype]), values, casting="unsafe")
    return raw


def has_nonfinite(raw: Bytes, dtype: str) -> bool:
    """Whether NaN or Inf is among the elements whose bytes these are."""
    if dtype not in WIDTH or not len(raw):
        return False
    values = raw.view(_NUMPY[dtype])
    exponent = _EXPONENT.get(dtype)
    if exponent is not None:
        return bool(np.bitwise_and(values.view(np.uint16), 0x7FFF).max() >= exponent)
    return not (np.isfinite(values.max()) and np.isfinite(values.min()))
