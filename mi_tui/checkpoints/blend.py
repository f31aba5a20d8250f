"""The mixing kernel for files: NumPy over raw bytes, in float32, one rounding at the end.

``anchor + Σ weightₖ · (sourceₖ − anchor)`` covers every method: interpolation and weighted sums
anchor on the first checkpoint, task arithmetic on the base. NumPy has no bfloat16, so its bits
are handled as integers; that is as fast as torch here and spares its import.

Two ways lead from bytes to float32 and back. ``widen`` and ``narrow`` serve every dtype and keep
the elements' order. ``unpack`` and ``pack`` serve chunks that are bfloat16 throughout: they take
two elements as one 32-bit word, which needs no conversion between integer widths, and put the
elements at even places before those at odd ones, which does not matter to ``blend``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

CHUNK = 1 << 17
"""Elements handled at once: the buffers of one chunk stay in the processor's own cache."""

Floats = np.ndarray[Any, np.dtype[np.float32]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Words = np.ndarray[Any, np.dtype[np.uint32]]

WIDTH = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""Bytes per element of the dtypes that can be mixed."""

_NUMPY: dict[str, type[np.generic]] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": np.uint16,
}
_EXPONENT = {"F16": 0x7C00, "BF16": 0x7F80}
_UPPER = 0xFFFF0000


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
    elif dtype == "F16" and not has_nonfinite(raw, dtype):
        _widen_half(raw, out)
    else:
        np.copyto(out, values, casting="same_kind")


def _widen_half(raw: Bytes, out: Floats) -> None:
    """Finite float16 to float32, many times faster than NumPy's conversion.

    Exponent and fraction move to float32's places, which makes every number too small by 2¹¹²;
    the multiplication that mends this is exact, subnormal numbers included.
    """
    bits = out.view(np.int32)
    np.copyto(bits, raw.view(np.int16))  # Fills the upper half with the sign.
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits.view(np.uint32), 0x8FFFE000, out=bits.view(np.uint32))
    np.multiply(out, np.float32(2.0**112), out=out)


def unpack(raw: Bytes, out: Floats) -> None:
    """Turn an even number of bfloat16 into float32: those at even places first, then the odd."""
    words, bits = raw.view(np.uint32), out.view(np.uint32)
    np.left_shift(words, 16, out=bits[: len(words)])
    np.bitwise_and(words, _UPPER, out=bits[len(words) :])


def blend(anchor: Floats, sources: Sequence[tuple[float, Floats]], out: Floats) -> None:
    """``out = anchor + Σ weight · (source − anchor)``; the sources are overwritten.

    ``out`` may be the first source, but not the anchor. The order of operations is part of the
    contract: ``mix`` in torch repeats it.
    """
    first = True
    for weight, source in sources:
        np.subtract(source, anchor, out=source)
        np.multiply(source, np.float32(weight), out=source)
        np.add(anchor if first else out, source, out=out)
        first = False
    if first:
        np.copyto(out, anchor)


def narrow(values: Floats, dtype: str, out: Bytes, spare: Floats) -> None:
    """Round float32 to the nearest of ``dtype``, ties to even. NaN stays NaN.

    Args:
        values: used up.
        dtype: F64, F32, F16 or BF16.
        out: receives the bytes.
        spare: as many elements as ``values``; used up.
    """
    target = out.view(_NUMPY[dtype])
    if dtype == "BF16":
        if np.isnan(values.max(initial=0)):
            values[np.isnan(values)] = np.nan  # Other NaN patterns would carry over into a zero.
        bits = values.view(np.uint32)
        _prepare_to_cut(bits, spare.view(np.uint32))
        np.right_shift(bits, 16, out=bits)
        np.copyto(target, bits, casting="unsafe")
    else:
        with np.errstate(over="ignore"):  # An overflow to Inf is found by has_nonfinite.
            np.copyto(target, values, casting="unsafe")


def pack(values: Floats, out: Bytes, spare: Floats) -> None:
    """Round to bfloat16 as ``narrow`` does, from the order that ``unpack`` made.

    NaN stays NaN where it comes from bfloat16 sources: its lower bits are then zero.
    """
    bits = values.view(np.uint32)
    _prepare_to_cut(bits, spare.view(np.uint32))
    half = len(bits) // 2
    even, odd = bits[:half], bits[half:]
    np.right_shift(even, 16, out=even)
    np.bitwise_and(odd, _UPPER, out=odd)
    np.bitwise_or(even, odd, out=out.view(np.uint32))


def _prepare_to_cut(bits: Words, spare: Words) -> None:
    """Make cutting off the lower 16 bits a rounding to the nearest, ties to even."""
    np.right_shift(bits, 16, out=spare)
    np.bitwise_and(spare, 1, out=spare)
    np.add(spare, 0x7FFF, out=spare)
    np.add(bits, spare, out=bits)


def has_nonfinite(raw: Bytes, dtype: str) -> bool:
    """Whether NaN or Inf is among the elements whose bytes these are."""
    if dtype not in WIDTH or not len(raw):
        return False
    exponent = _EXPONENT.get(dtype)
    if exponent is not None:
        # As signed numbers the positive ones lie on top, as unsigned ones the negative.
        positive, negative = raw.view(np.int16).max(), raw.view(np.uint16).max()
        return bool(positive >= exponent or negative >= 0x8000 | exponent)
    values = raw.view(_NUMPY[dtype])
    return not (np.isfinite(values.max()) and np.isfinite(values.min()))
