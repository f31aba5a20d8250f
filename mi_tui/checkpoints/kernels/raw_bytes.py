"""Raw bytes of tensors in files, in chunks of elements of a dtype."""

from typing import NamedTuple

CHUNK = 1 << 17
"""Elements handled at once: the buffers of one chunk stay in the processor's own cache."""

WIDTH = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""Bytes per element of the dtypes that can be mixed."""

Bytes = memoryview
"""A stretch of memory, byte by byte."""


class Raw(NamedTuple):
    """Elements of a tensor as they are in a file: little-endian bytes of a dtype."""

    dtype: str
    data: Bytes


def memory(nbytes: int) -> Bytes:
    """New memory to read and compute into."""
    return memoryview(bytearray(nbytes))
