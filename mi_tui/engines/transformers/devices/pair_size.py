"""The size of a pair in memory, told from its headers."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mi_tui.checkpoints.headers import TensorInfo
from mi_tui.checkpoints.inspect import CheckpointInfo

Dtype = Literal["float32", "bfloat16", "float16"]

ITEM_BYTES: dict[Dtype, int] = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of one number."""

_IN_FILES: dict[Dtype, str] = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}
_ONE_EXPERT = re.compile(r"\.experts\.\d+\.")


@dataclass(frozen=True, slots=True)
class PairSize:
    """Bytes of memory that a pair takes.

    ``model`` is one model. ``copied`` is what reading both sides takes of main memory: tensors
    that are used as they are stored stay mapped from their files and take none, those of another
    dtype are converted, experts that are stored one by one are stacked, and quantised tensors are
    dequantised.
    """

    model: int
    copied: int


def pair_size(instruct: CheckpointInfo, thinking: CheckpointInfo, dtype: Dtype) -> PairSize:
    """The size of a pair that is used in this dtype."""
    size = ITEM_BYTES[dtype]
    model = max(sum(t.count for t in _used(side)) for side in (instruct, thinking)) * size
    copied = sum(
        tensor.count * size
        for side in (instruct, thinking)
        for tensor in _used(side)
        if tensor.stored != (tensor,)
        or tensor.dtype != _IN_FILES[dtype]
        or _ONE_EXPERT.search(tensor.name)
    )
    return PairSize(model, copied)


def _used(info: CheckpointInfo) -> Iterable[TensorInfo]:
    """The tensors that are loaded: a tied head is the embedding."""
    tied = info.is_tied and info.embedding is not None
    head = info.stored_head if tied else None
    return (tensor for tensor in info.tensors.values() if tensor != head)
