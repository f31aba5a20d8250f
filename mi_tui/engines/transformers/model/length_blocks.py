"""Rows of about the same length side by side, so that none is attended to beyond its neighbours.

Attention reads every row as far as the longest row of the call reaches. Where responses differ
much in length most of that is in vain: the batch is kept in blocks of rows of falling length, and
each block is attended to as far as its own longest row.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

BLOCK = 16
"""Rows of a block: fewer would be more calls, more would hide more short rows behind a long one."""

_ALIKE = 32
"""Tokens: rows that differ by less need not change places."""

Lengths = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Segment:
    """The rows ``start`` to ``stop`` − 1, attended to up to ``length`` tokens."""

    start: int
    stop: int
    length: int

    def of(
        self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Its share of a decode pass: of ``[rows, kv_heads, …]`` and the bias ``[rows, …]``."""
        rows, until = slice(self.start, self.stop), self.length
        return query[rows], key[rows, :, :until], value[rows, :, :until], bias[rows, ..., :until]


def segments(lengths: Lengths, worth: int) -> tuple[Segment, ...]:
    """Part the rows where it saves reading.

    Args:
        lengths: tokens of each row, shape [n].
        worth: how many tokens must not have to be read for one more call to pay.

    Returns:
        Segments that cover all rows in order.
    """
    parts: list[Segment] = []
    for start in range(0, len(lengths), BLOCK):
        stop = min(start + BLOCK, len(lengths))
        block = Segment(start, stop, int(lengths[start:stop].max()))
        if parts and _saved(parts[-1], block) < worth:
            last = parts.pop()
            block = Segment(last.start, stop, max(last.length, block.length))
        parts.append(block)
    return tuple(parts)


def _saved(one: Segment, other: Segment) -> int:
    shorter = one if one.length < other.length else other
    return (shorter.stop - shorter.start) * abs(one.length - other.length)


def arrange(lengths: Lengths) -> tuple[list[int], list[int]]:
    """How rows change places so that longer ones are in earlier blocks, where that spares reading.

    Args:
        lengths: tokens of each row, shape [n].

    Returns:
        The places from which rows move, and those to which they do: the same ones.
    """
    now = np.arange(len(lengths)) // BLOCK
    wanted = np.empty_like(now)
    wanted[np.argsort(-(lengths // _ALIKE), kind="stable")] = now
    places = np.flatnonzero(now != wanted)
    sources = places[np.argsort(wanted[places], kind="stable")]
    after = lengths.copy()
    after[places] = lengths[sources]
    # A last block of few rows may hide fewer behind a long row than a full one would.
    if _tokens_read(after) >= _tokens_read(lengths):
        return [], []
    return sources.tolist(), places.tolist()


def _tokens_read(lengths: Lengths) -> int:
    return sum((block.stop - block.start) * block.length for block in segments(lengths, 0))
