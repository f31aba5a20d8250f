"""The mixing kernel for files: NumPy over raw bytes, one rounding at the end.

``anchor + Σ weightₖ · (sourceₖ − anchor)`` covers every method: interpolation and weighted sums
anchor on the first checkpoint, task arithmetic on the base. It is computed in float32 where all
elements have 16 bits, and in float64 where any have more. NumPy has no bfloat16, so its bits
are handled as integers; that spares the import of torch. What ``mixing_kernel.c`` compiles to
takes this module's place where there is a C compiler (``compiled_kernel.py``), and gives the
same bytes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mi_tui.checkpoints.kernels.raw_bytes import CHUNK, WIDTH, Bytes, Raw

Floats = np.ndarray[Any, np.dtype[np.float32]]
Doubles = np.ndarray[Any, np.dtype[np.float64]]
WIDE = frozenset({"F32", "F64"})
"""The dtypes whose mixtures are computed in float64."""

_NUMPY: dict[str, type[np.generic]] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": np.uint16,
}
_EXPONENT = {"F16": 0x7C00, "BF16": 0x7F80}


def widen(raw: Bytes, dtype: str, out: Floats) -> None:
    """Turn the bytes of one chunk into float32 (float64 is rounded, all others are exact).

    Args:
        raw: the chunk's little-endian bytes.
        dtype: F64, F32, F16 or BF16.
        out: receives as many elements as ``raw`` holds.
    """
    values = np.frombuffer(raw, _NUMPY[dtype])
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
    np.copyto(bits, np.frombuffer(raw, np.int16))  # Fills the upper half with the sign.
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits.view(np.uint32), 0x8FFFE000, out=bits.view(np.uint32))
    np.multiply(out, np.float32(2.0**112), out=out)


def widen_doubles(raw: Bytes, dtype: str, out: Doubles) -> None:
    """Turn the bytes of one chunk into float64, exactly; arguments as of :func:`widen`."""
    if dtype in WIDE:
        np.copyto(out, np.frombuffer(raw, _NUMPY[dtype]))
    else:
        values = np.empty(len(out), np.float32)
        widen(raw, dtype, values)
        np.copyto(out, values)


def blend(
    anchor: "Floats | Doubles",
    sources: "Sequence[tuple[float, Floats | Doubles]]",
    out: "Floats | Doubles",
) -> None:
    """``out = anchor + Σ weight · (source − anchor)``; the sources are overwritten.

    All arrays are float32, or all float64.

    ``out`` may be the first source, but not the anchor. The order of operations is part of the
    contract: ``mix`` in torch repeats it.
    """
    first = True
    for weight, source in sources:
        np.subtract(source, anchor, out=source)
        np.multiply(source, source.dtype.type(weight), out=source)
        np.add(anchor if first else out, source, out=out)
        first = False
    if first:
        np.copyto(out, anchor)


def narrow(values: Floats, dtype: str, out: Bytes, spare: Floats) -> None:
    """Round float32 to the nearest of ``dtype``, ties to even.

    NaN becomes the one without sign and payload: which of them would survive the arithmetic
    depends on the processor.

    Args:
        values: used up.
        dtype: F64, F32, F16 or BF16.
        out: receives the bytes.
        spare: as many elements as ``values``; used up.
    """
    if np.isnan(values.max(initial=0)):
        values[np.isnan(values)] = np.nan
    target = np.frombuffer(out, _NUMPY[dtype])
    if dtype == "BF16":
        bits, last = values.view(np.uint32), spare.view(np.uint32)
        np.right_shift(bits, 16, out=last)
        np.bitwise_and(last, 1, out=last)
        np.add(last, 0x7FFF, out=last)
        np.add(bits, last, out=bits)
        np.right_shift(bits, 16, out=bits)
        np.copyto(target, bits, casting="unsafe")
    else:
        with np.errstate(over="ignore"):  # An overflow to Inf is found by has_nonfinite.
            np.copyto(target, values, casting="unsafe")


def narrow_doubles(values: Doubles, dtype: str, out: Bytes) -> None:
    """Round float64 to the nearest of ``dtype``, ties to even, in one rounding.

    Args:
        values: used up.
        dtype: F64, F32, F16 or BF16.
        out: receives the bytes.
    """
    values[np.isnan(values)] = np.nan
    if dtype in WIDE:
        with np.errstate(over="ignore"):  # An overflow to Inf is found by has_nonfinite.
            np.copyto(np.frombuffer(out, _NUMPY[dtype]), values, casting="unsafe")
        return
    odd = _to_odd(values)
    narrow(odd, dtype, out, np.empty_like(odd))


def _to_odd(values: Doubles) -> Floats:
    """Float32 towards zero, the last bit set where it is not exact.

    Rounding it again to 16 bits then gives what one rounding gives (Boldo and Melquiond 2008,
    "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd").
    """
    with np.errstate(over="ignore", invalid="ignore"):
        near = values.astype(np.float32)
        difference = near.astype(np.float64) - values
    inexact = (difference != 0) & np.isfinite(values)
    beyond = inexact & ((near > 0) == (difference > 0)) & (near != 0)
    bits = near.view(np.uint32)
    bits -= beyond
    bits |= inexact
    return near


def has_nonfinite(raw: Bytes, dtype: str) -> bool:
    """Whether NaN or Inf is among the elements whose bytes these are."""
    if dtype not in WIDTH or not len(raw):
        return False
    exponent = _EXPONENT.get(dtype)
    if exponent is not None:
        # As signed numbers the positive ones lie on top, as unsigned ones the negative.
        values = np.frombuffer(raw, np.int16)
        positive, negative = values.max(), values.view(np.uint16).max()
        return bool(positive >= exponent or negative >= 0x8000 | exponent)
    values = np.frombuffer(raw, _NUMPY[dtype])
    return not (np.isfinite(values.max()) and np.isfinite(values.min()))


class NumpyKernel:
    """Mixes chunks of up to ``CHUNK`` elements; one for each thread, because it owns buffers."""

    def __init__(self) -> None:
        self._buffers: list[Floats] = []

    def mix(self, anchor: Raw, terms: Sequence[tuple[float, Raw]], dtype: str, out: Bytes) -> bool:
        """As :meth:`mi_tui.checkpoints.kernels.compiled_kernel.Kernel.mix`."""
        if not WIDE.isdisjoint([anchor.dtype, *(raw.dtype for _, raw in terms)]):
            return self._mix_doubles(anchor, terms, dtype, out)
        base = self._widened(anchor, 0)
        sources = [
            (weight, self._widened(raw, number)) for number, (weight, raw) in enumerate(terms, 1)
        ]
        result = sources[0][1] if sources else self._buffer(1, len(base))
        blend(base, sources, result)
        narrow(result, dtype, out, base)
        return has_nonfinite(out, dtype)

    @staticmethod
    def _mix_doubles(
        anchor: Raw, terms: Sequence[tuple[float, Raw]], dtype: str, out: Bytes
    ) -> bool:
        def widened(raw: Raw) -> Doubles:
            values = np.empty(len(raw.data) // WIDTH[raw.dtype], np.float64)
            widen_doubles(raw.data, raw.dtype, values)
            return values

        base = widened(anchor)
        sources = [(weight, widened(raw)) for weight, raw in terms]
        result = sources[0][1] if sources else base.copy()
        blend(base, sources, result)
        narrow_doubles(result, dtype, out)
        return has_nonfinite(out, dtype)

    def has_nonfinite(self, raw: Raw) -> bool:
        """As :meth:`mi_tui.checkpoints.kernels.compiled_kernel.Kernel.has_nonfinite`."""
        return has_nonfinite(raw.data, raw.dtype)

    def _widened(self, raw: Raw, number: int) -> Floats:
        values = self._buffer(number, len(raw.data) // WIDTH[raw.dtype])
        widen(raw.data, raw.dtype, values)
        return values

    def _buffer(self, number: int, count: int) -> Floats:
        while len(self._buffers) <= number:
            self._buffers.append(np.empty(CHUNK, np.float32))
        return self._buffers[number][:count]
