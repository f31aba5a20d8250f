"""Blocks of sequences of about the same length, each attended to as far as it reaches.

Attention reads every sequence as far as the longest sequence of the call reaches. Where responses
differ much in length most of that is in vain: the batch is kept in blocks of sequences of falling
length, and each block is attended to as far as its own longest sequence.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

BLOCK = 16
"""Sequences of a block: fewer mean more calls, more make short ones wait for a long one."""

_ALIKE = 32
"""Tokens: sequences that differ by less need not change places."""

Lengths = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LengthBlock:
    """The sequences ``start`` to ``stop`` − 1, attended to up to ``length`` tokens."""

    start: int
    stop: int
    length: int

    def of(
        self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Its share of a decode pass: of ``[batch, kv_heads, …]`` and the bias ``[batch, …]``."""
        sequences, until = slice(self.start, self.stop), self.length
        return (
            query[sequences],
            key[sequences, :, :until],
            value[sequences, :, :until],
            bias[sequences, ..., :until],
        )


def length_blocks(lengths: Lengths, worth: int) -> tuple[LengthBlock, ...]:
    """Part the sequences where it saves reading.

    Args:
        lengths: tokens of each sequence, shape [n].
        worth: how many tokens must not have to be read for one more call to pay.

    Returns:
        Blocks that cover all sequences in order.
    """
    parts: list[LengthBlock] = []
    for start in range(0, len(lengths), BLOCK):
        stop = min(start + BLOCK, len(lengths))
        block = LengthBlock(start, stop, int(lengths[start:stop].max()))
        if parts and _saved(parts[-1], block) < worth:
            last = parts.pop()
            block = LengthBlock(last.start, stop, max(last.length, block.length))
        parts.append(block)
    return tuple(parts)


def _saved(one: LengthBlock, other: LengthBlock) -> int:
    shorter = one if one.length < other.length else other
    return (shorter.stop - shorter.start) * abs(one.length - other.length)


def sort_into_blocks(lengths: Lengths) -> tuple[list[int], list[int]]:
    """The moves that bring longer sequences into earlier blocks, where that spares reading.

    Args:
        lengths: tokens of each sequence, shape [n].

    Returns:
        The places from which sequences move, and those to which they do: the same ones.
    """
    now = np.arange(len(lengths)) // BLOCK
    wanted = np.empty_like(now)
    wanted[np.argsort(-(lengths // _ALIKE), kind="stable")] = now
    places = np.flatnonzero(now != wanted)
    origins = places[np.argsort(wanted[places], kind="stable")]
    after = lengths.copy()
    after[places] = lengths[origins]
    # A last block of few sequences may hide fewer behind a long sequence than a full one would.
    if _tokens_read(after) >= _tokens_read(lengths):
        return [], []
    return origins.tolist(), places.tolist()


def _tokens_read(lengths: Lengths) -> int:
    return sum((block.stop - block.start) * block.length for block in length_blocks(lengths, 0))
