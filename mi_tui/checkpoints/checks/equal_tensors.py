"""Small tensors that two checkpoints have in common, byte for byte."""

from mi_tui.checkpoints.headers import same_bytes
from mi_tui.checkpoints.inspect import CheckpointInfo

_SMALL = 1 << 20
"""Bytes of a buffer, a bias or a router; larger tensors are not read for a check."""


def equal_tensors(one: CheckpointInfo, other: CheckpointInfo) -> frozenset[str]:
    """The names of small tensors whose bytes are equal on both sides.

    Tensors whose bytes are not on this machine are left out.
    """
    return frozenset(
        name
        for name, tensor in one.tensors.items()
        if tensor.nbytes <= _SMALL
        and (same := other.tensors.get(name)) is not None
        and same_bytes(tensor, same)
    )
