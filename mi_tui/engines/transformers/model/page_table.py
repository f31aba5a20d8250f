"""The page table of a cache: which pages of its storage each sequence holds, and which are free.

Page 0 belongs to nobody: what is written for padding goes there.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mi_tui.engines.transformers.model.length_blocks import Lengths

PAGE = 256
"""Tokens of a page: flash attention takes multiples of this."""


def pages_for(lengths: Lengths) -> NDArray[np.int64]:
    """The pages that sequences of so many tokens fill, the last one perhaps in part."""
    pages: NDArray[np.int64] = -(-lengths // PAGE)
    return pages


class PageTable:
    """The pages of up to ``sequences`` sequences, on the host.

    ``table`` (int32, ``[sequences, most]``) holds the numbers of their pages in order, 0 where
    there is none, ``held`` (int64, ``[sequences]``) how many they are. ``pages`` is the size of the
    storage, page 0 included.
    """

    def __init__(self, sequences: int) -> None:
        self.table = np.zeros((sequences, 1), dtype=np.int32)
        self.held = np.zeros(sequences, dtype=np.int64)
        self.pages = 1
        self._free: list[int] = []

    @property
    def free_pages(self) -> int:
        """How many pages nobody holds."""
        return len(self._free)

    def missing(self, sequences: NDArray[np.int64], lengths: Lengths) -> int:
        """How many pages the storage lacks for these sequences to be so long; 0 where none."""
        more = np.maximum(0, pages_for(lengths) - self.held[sequences])
        return max(0, int(more.sum()) - self.free_pages)

    def extend(self, sequences: NDArray[np.int64], lengths: Lengths) -> bool:
        """Give these sequences the pages for so many tokens, which must not be missing.

        Returns:
            Whether any was needed.
        """
        wanted = pages_for(lengths)
        most = int(wanted.max(initial=0))
        if most > self.table.shape[1]:
            wider = np.zeros((len(self.table), most + most // 4), dtype=np.int32)
            wider[:, : self.table.shape[1]] = self.table
            self.table = wider
        growing = np.flatnonzero(wanted > self.held[sequences])
        for at in growing.tolist():
            row, until = sequences[at], wanted[at]
            for place in range(self.held[row], until):
                self.table[row, place] = self._free.pop()
            self.held[row] = until
        return bool(len(growing))

    def free(self, sequences: Iterable[int]) -> None:
        """Take back all pages of these sequences."""
        for row in sequences:
            self._free += self.table[row, : self.held[row]][::-1].tolist()
            self.table[row] = 0
            self.held[row] = 0

    def move(self, origins: list[int], targets: list[int]) -> None:
        """Let sequences take other places, whose pages are taken back; none may be both."""
        self.free(targets)
        self.table[targets], self.held[targets] = self.table[origins], self.held[origins]
        self.table[origins], self.held[origins] = 0, 0

    def resize(self, sequences: int) -> None:
        """Keep the first ``sequences`` sequences, or make room for as many."""
        self.free(range(sequences, len(self.table)))
        more = max(0, sequences - len(self.table))
        self.table = np.pad(self.table[:sequences], ((0, more), (0, 0)))
        self.held = np.pad(self.held[:sequences], (0, more))

    def grow(self, pages: int) -> None:
        """The storage has become so many pages large."""
        self._free = [*range(pages - 1, self.pages - 1, -1), *self._free]
        self.pages = pages

    def compact(self) -> NDArray[np.int64]:
        """Number the pages in use from 1 on, and forget all others.

        Returns:
            The old number of each page by its new one, page 0 first.
        """
        used = np.concatenate(
            [[0], *(line[:held] for line, held in zip(self.table, self.held, strict=True))]
        ).astype(np.int64)
        renamed = np.zeros(self.pages, dtype=np.int32)
        renamed[used] = np.arange(len(used))
        self.table = renamed[self.table]
        self.pages, self._free = len(used), []
        return used
