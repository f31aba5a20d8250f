"""Readers of safetensors headers, without torch, that trust nothing in them.

The format (huggingface.co/docs/safetensors): eight bytes give the header's length as a little
endian integer, then a JSON object maps tensor names to dtype, shape and byte offsets, then the
tensors' bytes follow without gaps. Every claim is checked against the file's real size.
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mi_tui.checkpoints.errors import HeaderError

MAX_HEADER_BYTES = 100_000_000
"""The safetensors library's own limit."""

BITS: Mapping[str, int] = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64,
}  # fmt: skip
"""Bits per element of every dtype the format knows."""

MIXABLE = frozenset({"F64", "F32", "F16", "BF16"})
"""The dtypes that weights can be mixed in; all others are compared, not mixed."""

MAX_TENSORS = 1 << 18
"""Tensors of one file: several times what all files of the largest models hold together."""

_MAX_DIMENSIONS = 64
_MAX_NAME = 1024
_COMPARED = 1 << 20


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor in a file; ``start`` and ``end`` are byte positions counted from the file's."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    start: int
    end: int

    @property
    def count(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The size in bytes."""
        return self.end - self.start

    @property
    def stored(self) -> "tuple[TensorInfo, ...]":
        """The tensors in files that this one is read from."""
        return (self,)


def read_header(file: Path) -> dict[str, TensorInfo]:
    """The tensors of a safetensors file, by name, in the order of their bytes.

    Raises:
        HeaderError: the file cannot be read, is cut short, or its header does not describe it
            exactly (length, dtypes, shapes, offsets, names).
    """
    try:
        if file.exists() and not file.is_file():
            raise HeaderError(f"{file} is no file: download it again")
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            prefix = stream.read(8)
            length = _checked_length(file, prefix, size)
            text = stream.read(length)
    except OSError as error:
        raise HeaderError(
            f"cannot read {file}: {(error.strerror or str(error)).lower()}"
        ) from error
    return parse_header(text, file, size)


def parse_header(text: bytes, file: Path, size: int) -> dict[str, TensorInfo]:
    """The tensors a header describes, checked against a file of ``size`` bytes.

    Args:
        text: the JSON of the header, without the eight bytes of its length.
        file: the file the tensors lie in; named in errors.
        size: the whole file's size in bytes.

    Raises:
        HeaderError: the header does not describe such a file exactly.
    """
    entries = _parse_json(text, file)
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise HeaderError(f"{file}: the header's metadata is no table of texts: download it again")
    if len(entries) > MAX_TENSORS:
        raise HeaderError(
            f"{file}: its header names {len(entries):,} tensors, more than any model has: do not "
            "use this file"
        )
    origin = 8 + len(text)
    tensors = [checked_tensor(file, name, entry, origin) for name, entry in entries.items()]
    tensors.sort(key=lambda t: (t.start, t.end))
    _check_layout(file, tensors, origin, size)
    return {tensor.name: tensor for tensor in tensors}


def _checked_length(file: Path, prefix: bytes, size: int) -> int:
    if len(prefix) < 8:
        raise HeaderError(f"{file} is too short for a safetensors file: download it again")
    length = int.from_bytes(prefix, "little")
    if length > MAX_HEADER_BYTES:
        raise HeaderError(f"{file} is no safetensors file: its header claims {length} bytes")
    if 8 + length > size:
        raise HeaderError(f"{file} is cut short inside its header: download it again")
    return length


def _parse_json(text: bytes, file: Path) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) < len(pairs):
            raise HeaderError(f"{file}: the header names something twice: do not use this file")
        return table

    try:
        entries = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise HeaderError(f"{file}: the header is no valid JSON: download it again") from error
    if not isinstance(entries, dict):
        raise HeaderError(f"{file}: the header is no JSON object: download it again")
    return entries


def checked_tensor(file: Path, name: str, entry: Any, origin: int) -> TensorInfo:
    """One entry of a header; its offsets count from byte ``origin`` of the file.

    Raises:
        HeaderError: name, dtype, shape or offsets are not valid, or contradict each other.
    """
    where = f"{file}: tensor {name[:80]!r}"
    if not name or len(name) > _MAX_NAME or not name.isprintable():
        raise HeaderError(f"{where} has a name that is empty, too long or not printable")
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise HeaderError(f"{where} needs exactly dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise HeaderError(f"{where} has the unknown dtype {str(dtype)[:40]!r}")
    if not _are_sizes(shape) or len(shape) > _MAX_DIMENSIONS:
        raise HeaderError(f"{where} has no valid shape")
    if not _are_sizes(offsets) or len(offsets) != 2:
        raise HeaderError(f"{where} has no valid data_offsets")
    start, end = offsets
    if 8 * (end - start) != math.prod(shape) * BITS[dtype]:
        raise HeaderError(f"{where} spans {end - start} bytes, which its shape and dtype do not")
    return TensorInfo(name, dtype, tuple(shape), file, origin + start, origin + end)


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(
        type(value) is int and 0 <= value < 2**63 for value in values
    )


def _check_layout(file: Path, tensors: list[TensorInfo], origin: int, size: int) -> None:
    """The tensors must fill the file after the header: no overlap, no gap, nothing behind."""
    position = origin
    for tensor in tensors:
        if tensor.start != position:
            what = "overlaps another" if tensor.start < position else "follows a gap"
            raise HeaderError(f"{file}: tensor {tensor.name!r} {what}: download the file again")
        position = tensor.end
    if position > size:
        raise HeaderError(
            f"{file} is cut short: {size} bytes instead of {position}: download it again"
        )
    if position < size:
        raise HeaderError(f"{file} has {size - position} bytes behind its last tensor")


def same_bytes(one: TensorInfo, other: TensorInfo) -> bool | None:
    """Whether two tensors are equal byte for byte; ``None`` where that cannot be read."""
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    if (one.stored, other.stored) != ((one,), (other,)):
        return False  # What is made from other tensors has no bytes in a file.
    if one.stored != (one,) or other.stored != (other,):
        return None
    try:
        with one.file.open("rb") as first, other.file.open("rb") as second:
            first.seek(one.start)
            second.seek(other.start)
            left = one.nbytes
            while left:
                mine, theirs = (f.read(min(left, _COMPARED)) for f in (first, second))
                if not mine or not theirs:
                    return None
                if mine != theirs:
                    return False
                left -= len(mine)
    except OSError:
        return None
    return True
