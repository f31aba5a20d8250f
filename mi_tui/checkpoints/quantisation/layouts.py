"""Layouts of quantised weights: which scale and which byte belongs to each number."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScaleLayout:
    """Which scale each element of a stack of matrices has.

    Args:
        rows: of each matrix.
        columns: of each matrix, as numbers: a packed one has half as many bytes.
        block: rows and columns that share a scale; the last blocks may be cut short.
        grid: rows and columns of scales for each matrix.
        shared: whether one scale holds for everything.
        packed: whether a byte holds two numbers of four bits, the first in its lower half.
    """

    rows: int
    columns: int
    block: tuple[int, int]
    grid: tuple[int, int]
    shared: bool = False
    packed: bool = False


@dataclass(frozen=True, slots=True)
class PackedLayout:
    """Blocks of shape [experts, rows, groups, bytes], of which the plain tensor is the transpose.

    That is [experts, groups · bytes · 2, rows]. One expert's blocks are read at a time.
    """

    rows: int
    groups: int
    group_bytes: int
