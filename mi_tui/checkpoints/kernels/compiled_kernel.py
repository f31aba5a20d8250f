"""The mixing kernel compiled from ``mixing_kernel.c``, where there was a C compiler for it.

The build of the package compiles it (``hatch_build.py``). Without the library everything works
by ``NumpyKernel``, which gives the same bytes; ``mi-tui doctor`` says which one is used.
"""

import ctypes
import hashlib
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

from mi_tui.checkpoints.kernels.raw_bytes import WIDTH, Bytes, Raw

SOURCE = Path(__file__).with_name("mixing_kernel.c")
LIBRARY = Path(__file__).with_name("mixing_kernel.so")

DTYPES = {"F64": 0, "F32": 1, "F16": 2, "BF16": 3}
"""The numbers that ``mixing_kernel.c`` gives the dtypes."""


class Kernel(Protocol):
    """Mixes chunks; one object for each thread, because it may own buffers."""

    def mix(self, anchor: Raw, terms: Sequence[tuple[float, Raw]], dtype: str, out: Bytes) -> bool:
        """Write ``anchor + Σ weight · (source − anchor)`` as ``dtype`` into ``out``.

        Args:
            anchor: bytes of as many elements as ``out`` holds.
            terms: weight and bytes of each source, with the same number of elements.
            dtype: of the result.
            out: receives the result's bytes.

        Returns:
            Whether NaN or Inf is in the result.
        """
        ...

    def has_nonfinite(self, raw: Raw) -> bool:
        """Whether NaN or Inf is among these elements."""
        ...


class CompiledKernel:
    """The compiled kernel; it needs no buffers and works without Python's lock."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._blend = library.mi_tui_blend
        self._has_nonfinite = library.mi_tui_has_nonfinite

    def mix(self, anchor: Raw, terms: Sequence[tuple[float, Raw]], dtype: str, out: Bytes) -> bool:
        """As :meth:`Kernel.mix`."""
        if not out:
            return False
        number = len(terms)
        sources = (ctypes.c_void_p * number)(*(_address(raw.data) for _, raw in terms))
        dtypes = (ctypes.c_int * number)(*(DTYPES[raw.dtype] for _, raw in terms))
        weights = (ctypes.c_double * number)(*(weight for weight, _ in terms))
        nonfinite: int = self._blend(
            _address(anchor.data),
            DTYPES[anchor.dtype],
            number,
            sources,
            dtypes,
            weights,
            _address(out),
            DTYPES[dtype],
            ctypes.c_size_t(len(out) // WIDTH[dtype]),
        )
        return bool(nonfinite)

    def has_nonfinite(self, raw: Raw) -> bool:
        """As :meth:`Kernel.has_nonfinite`."""
        count = ctypes.c_size_t(len(raw.data) // WIDTH[raw.dtype])
        return bool(self._has_nonfinite(_address(raw.data), DTYPES[raw.dtype], count))


def _address(memory: Bytes) -> ctypes.c_void_p:
    return ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(memory)))


def make_kernel() -> Kernel:
    """The fastest kernel there is, with buffers of its own."""
    library = compiled_library()
    if library is not None:
        return CompiledKernel(library)
    from mi_tui.checkpoints.kernels.numpy_kernel import NumpyKernel

    return NumpyKernel()


def kernel_name() -> str:
    """Which kernel is used: the compiled one, or that of a version of NumPy."""
    if compiled_library() is not None:
        return "compiled"
    import numpy as np

    return f"NumPy {np.__version__}"


@cache
def compiled_library() -> ctypes.CDLL | None:
    """The compiled kernel of this installation; ``None`` where there is none."""
    return load_library(LIBRARY)


def load_library(file: Path) -> ctypes.CDLL | None:
    """Load a compiled kernel.

    Returns:
        ``None`` where it is missing or made for another system, where it was compiled from
        another source than the one that lies here, and on a big-endian machine.
    """
    if sys.byteorder != "little":
        return None
    try:
        library = ctypes.CDLL(str(file))
        compiled_from = (ctypes.c_char * 64).in_dll(library, "mi_tui_digest").raw
        source = hashlib.sha256(SOURCE.read_bytes()).hexdigest()
    except (OSError, ValueError):
        return None
    return library if compiled_from == source.encode() else None
